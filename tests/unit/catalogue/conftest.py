"""A web site of our own for what is fetched."""

import pytest
from websites import running_site


@pytest.fixture(scope="module")
def site():
    with running_site() as running:
        yield running
