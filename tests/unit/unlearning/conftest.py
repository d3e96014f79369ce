"""Clips to unlearn and to keep, a target that has an opinion, and all that it says of them."""

import pytest
from cases import LOSSES

from noencore.unlearning import reference
from noencore.unlearning.recipes import make_recipe


@pytest.fixture(scope="session")
def forget(make_clips):
    return make_clips(6)


@pytest.fixture(scope="session")
def remain(make_clips):
    return make_clips(5, seed=1)


@pytest.fixture(scope="session", params=[8, 64], ids=["8 entries", "all entries"])
def values(request, make_target, forget, remain):
    """All reference values of the target: with few entries of each distribution, and with all 24."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "ENTRIES", request.param)
        return {kind: reference.reference_values(kind, make_target(), forget, remain) for kind in reference.KINDS}


@pytest.fixture(scope="session")
def recipe():
    """A function (loss of LOSSES, changes) -> Recipe."""

    def make(loss, **changes):
        return make_recipe("x", {"lr": 1.0e-3, "steps": 10, "batch": 4, **LOSSES.get(loss, {}), **changes})

    return make
