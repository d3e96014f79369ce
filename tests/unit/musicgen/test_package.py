"""A model directory: there and back, and what a broken one says."""

import json

import pytest
import torch

from noencore.errors import UserError
from noencore.files import read_tensors, write_tensors
from noencore.musicgen.model import ModelConfig, MusicGenLM
from noencore.musicgen.package import load_model, save_model

CONFIG = ModelConfig(dim=16, layers=2, heads=2, card=10, n_q=4, text_dim=8)


@pytest.fixture
def directory(tmp_path):
    save_model(MusicGenLM(CONFIG, seed=0), tmp_path / "target-0", {"train_seed": 0})
    return tmp_path / "target-0"


def test_there_and_back(directory):
    model, loaded = MusicGenLM(CONFIG, seed=0), load_model(directory)
    assert loaded.config == CONFIG
    assert json.loads((directory / "config.json").read_text())["train_seed"] == 0
    for (name, before), (same, after) in zip(model.named_parameters(), loaded.named_parameters(), strict=True):
        assert name == same
        assert after.requires_grad
        assert torch.equal(before, after)
    codes, text, mask = torch.zeros(1, 4, 5, dtype=torch.long), torch.randn(1, 3, 8), torch.ones(1, 3).bool()
    assert torch.equal(model(codes, text, mask), loaded(codes, text, mask))


def test_the_same_model_gives_the_same_bytes(directory, tmp_path):
    save_model(load_model(directory), tmp_path / "again", {"train_seed": 0})
    for name in ("model.safetensors", "config.json"):
        assert (directory / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_model_in_half_precision_is_read_in_fp32(directory):
    tensors, _ = read_tensors(directory / "model.safetensors")
    write_tensors({name: tensor.half() for name, tensor in tensors.items()}, directory / "model.safetensors")
    assert {parameter.dtype for parameter in load_model(directory).parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_or_damaged_file_is_named(directory, name):
    content = (directory / name).read_bytes()
    (directory / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=name):
        load_model(directory)
    (directory / name).unlink()
    with pytest.raises(UserError, match=name):
        load_model(directory)


@pytest.mark.parametrize("change", [{"dim": 32}, {"layers": 3}, {"layers": 1}])
def test_weights_that_do_not_fit_name_the_file(directory, change):
    stored = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(stored | change))
    with pytest.raises(UserError, match=r"model\.safetensors: does not fit"):
        load_model(directory)


@pytest.mark.parametrize("change", [{"dim": "16"}, {"heads": 3}, {"card": None}])
def test_sizes_that_make_no_sense_name_the_file(directory, change):
    stored = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(stored | change))
    with pytest.raises(UserError, match=r"config\.json"):
        load_model(directory)


def test_extra_may_not_hide_a_size(tmp_path):
    with pytest.raises(ValueError, match="sizes of the model"):
        save_model(MusicGenLM(CONFIG, seed=0), tmp_path, {"dim": 3})
