"""The one real run that most workflow tests look at."""

import pytest
from workflow_tree import Tree


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A tree with the results of tests/workflow/tiny.yaml. Whoever changes something puts it back."""
    tree = Tree.of_repository(tmp_path_factory.mktemp("finished") / "tree")
    tree.run()
    return tree
