"""Weights of released models: what is missing is said cheaply, and nothing but the known bytes is loaded."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from standins_audio import declare

from noencore.embeddings import load_embedding_model, weights
from noencore.embeddings.weights import CLAP, DECLARED, PASST, VGGISH
from noencore.errors import UserError
from noencore.files import sha256

MODELS = {"vggish": VGGISH, "laion_clap": CLAP, "passt": PASST}


@pytest.fixture
def copy(audio_weights, tmp_path):
    """A copy of the weights that a test may spoil."""
    return Path(shutil.copytree(audio_weights, tmp_path / "weights"))


def error_of(model, directory):
    with pytest.raises(UserError) as caught:
        load_embedding_model(model, directory)
    message = str(caught.value)
    assert "\n" not in message
    assert str(directory / model) in message
    return message


def test_the_table_is_whole():
    for files in weights.WEIGHTS.values():
        for file in files:
            assert len(file.sha256) in (0, 64)
            assert file.url.endswith(f"/{file.name}")
    assert VGGISH.sha256.startswith(VGGISH.name.split("-")[1].removesuffix(".pth"))  # torch hub's promise


def test_missing_names_file_size_and_source(tmp_path):
    lines = weights.missing("laion_clap", tmp_path)
    assert len(lines) == 3
    assert lines[0].startswith(f"{tmp_path}/laion_clap/{CLAP.name}: missing; fetch it from {CLAP.url} (2,352.5 MB)")
    assert weights.missing("passt", None)[0].startswith(f"weights/passt/{PASST.name}: missing")
    assert weights.missing("musicnn", tmp_path) == []  # brings its own


def test_missing_sees_a_file_of_another_size(tmp_path):
    (tmp_path / "passt").mkdir()
    (tmp_path / "passt" / PASST.name).write_bytes(b"cut")
    (line,) = weights.missing("passt", tmp_path)
    assert "3 bytes instead of 344,665,734" in line
    assert "3 bytes instead of" in error_of("passt", tmp_path)


def test_missing_reads_no_weights(tmp_path, monkeypatch):
    """A sparse file of the right size passes here, and is refused where it is loaded."""
    monkeypatch.setitem(weights.WEIGHTS, "passt", (replace(PASST, size=1_000_000),))
    (tmp_path / "passt").mkdir()
    with (tmp_path / "passt" / PASST.name).open("wb") as file:
        file.truncate(1_000_000)
    assert weights.missing("passt", tmp_path) == []
    assert f"sha256 d29751f2..., not {PASST.sha256[:8]}..." in error_of("passt", tmp_path)


def test_weights_that_nobody_has_summed_are_taken_as_they_are(tmp_path):
    """Whoever wants them pinned declares them."""
    lines = weights.missing("encodec", tmp_path)
    assert [line.partition(":")[0] for line in lines] == [
        f"{tmp_path}/encodec/config.json",
        f"{tmp_path}/encodec/model.safetensors",
    ]
    (tmp_path / "encodec").mkdir()
    path = tmp_path / "encodec" / "model.safetensors"
    path.write_bytes(b"weights")
    assert weights.verified_file("encodec", weights.ENCODEC, tmp_path) == (path, sha256(path))
    (tmp_path / "encodec" / "config.json").write_text("{}")
    declare(path.parent)
    path.write_bytes(b"others")
    with pytest.raises(UserError, match="sha256"):
        weights.verified_file("encodec", weights.ENCODEC, tmp_path)


def test_declared_weights_take_the_place_of_the_tables(copy):
    assert weights.missing("vggish", copy) == []
    model = load_embedding_model("vggish", copy)
    assert model.weights_sha256 == sha256(copy / "vggish" / VGGISH.name) != VGGISH.sha256
    (copy / "vggish" / DECLARED).unlink()
    assert f"not {VGGISH.sha256[:8]}" in error_of("vggish", copy)


@pytest.mark.parametrize("text", ["", "no sums\n", f"{'0' * 64}  another.pth\n"])
def test_a_declaration_that_leaves_a_file_out_is_refused(copy, text):
    (copy / "vggish" / DECLARED).write_text(text)
    assert "SHA256SUMS: needs one line" in error_of("vggish", copy)


@pytest.mark.parametrize("model", MODELS)
def test_a_missing_file(copy, model):
    (copy / model / MODELS[model].name).unlink()
    assert "missing; fetch it from http" in error_of(model, copy)


@pytest.mark.parametrize("model", MODELS)
def test_a_truncated_file(copy, model):
    path = copy / model / MODELS[model].name
    path.write_bytes(path.read_bytes()[:-2000])
    assert "sha256" in error_of(model, copy)
    declare(path.parent)  # even where somebody declares it
    assert "not a checkpoint of tensors" in error_of(model, copy)


@pytest.mark.parametrize(("model", "other"), [("vggish", "passt"), ("passt", "vggish"), ("laion_clap", "passt")])
def test_the_checkpoint_of_another_model(copy, model, other):
    path = copy / model / MODELS[model].name
    shutil.copy(copy / other / MODELS[other].name, path)
    declare(path.parent)
    assert "not the weights of this network" in error_of(model, copy)


@pytest.mark.parametrize("content", [[torch.zeros(3)], torch.zeros(3)])
def test_a_file_without_a_dict(copy, content):
    torch.save(content, copy / "vggish" / VGGISH.name)
    declare(copy / "vggish")
    assert "not the dict of a checkpoint" in error_of("vggish", copy)


class Intruder:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_foreign_pickle_is_not_run(copy, legacy):
    trace, path = copy / "trace", copy / "vggish" / VGGISH.name
    torch.save({"features.0.bias": Intruder(trace)}, path, _use_new_zipfile_serialization=not legacy)
    declare(path.parent)
    assert "not a checkpoint of tensors" in error_of("vggish", copy)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # it would have been run


def test_numpys_scalars_are_plain_values(tmp_path):
    """The optimizer in CLAP's checkpoint has one, under the name that numpy 1 gave it."""
    torch.save({"lr": np.float64(1e-5), "loss": np.float32(0.5)}, tmp_path / "new.pt")
    assert weights.read_checkpoint(tmp_path / "new.pt", CLAP) == {"lr": 1e-5, "loss": 0.5}
