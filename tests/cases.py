"""The losses that tests run through."""

import torch

from noencore.unlearning.objectives import FORGET_LOSSES, REMAIN_LOSSES

# Every loss as part of a recipe that may run; the shape of clips and model is that of tests/conftest.py.
LOSSES = {name: {"forget": name} for name in FORGET_LOSSES}
LOSSES |= {name: {"forget": "none", "remain": name} for name in REMAIN_LOSSES}
LOSSES |= {
    "gradient_ascent capped": {"forget": {"name": "gradient_ascent", "cap": True}},
    "anchor_caption null": {"forget": {"name": "anchor_caption", "caption": "null"}},
}


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
