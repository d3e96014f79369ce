"""From audio files to embeddings files: every kind of file, each sound embedded once, and none instead of another."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
import soundfile

from noencore.embeddings import Embedded, EmbeddingModel, TextAudioModel
from noencore.embeddings.files import (
    Sound,
    embed_captions,
    embed_files,
    landmark_feature,
    model_feature,
    reference_clips,
)
from noencore.errors import UserError

RATE = 16_000


class Counting:
    """An embedding model of one window a second, mean and spread of the samples, that counts how often it ran."""

    def __init__(self, classes=1, weights_sha256="w"):
        self.calls = 0
        self.model = EmbeddingModel("counting", RATE, 1.0, 1.0, 2, weights_sha256, self.embed, classes)

    def embed(self, wave):
        self.calls += 1
        parts = np.array_split(wave, max(1, len(wave) // RATE))
        rows = np.array([[part.mean(), part.std()] for part in parts], np.float32)
        logits = rows[:, :1] * 2 if self.model.classes else None
        return Embedded(rows, np.full(len(rows), max(0, 1 - len(wave) / RATE), np.float32), logits)


@pytest.fixture
def counting():
    return Counting()


@pytest.fixture
def embed(tmp_path):
    """A function (paths, counting, code) -> (tensors, metadata) by way of one store."""

    def run(paths, counting, code="c"):
        feature = model_feature(counting.model, code)
        ids = [str(i) for i in range(len(paths))]
        return embed_files(paths, ids, [-1] * len(ids), [feature], tmp_path / "store")["counting"]

    return run


def tone(seconds=2.0, rate=RATE, frequency=220.0, gain=0.5):
    return (gain * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def write(path, wave, rate=RATE, subtype="FLOAT"):
    soundfile.write(path, wave, rate, subtype=subtype)
    return path


def statuses(made):
    return json.loads(made[1]["status"])


def test_the_layout_of_the_file(embed, counting, tmp_path):
    paths = [write(tmp_path / "a.wav", tone(2)), write(tmp_path / "b.wav", tone(0.25))]
    tensors, metadata = embed(paths, counting)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "embeddings": (3, 2),
        "padded": (3,),
        "logits": (3, 1),
        "clip": (3,),
    }
    assert tensors["clip"].tolist() == [0, 0, 1]
    assert tensors["padded"].tolist() == [0, 0, 0.75]
    assert json.loads(metadata["clip_ids"]) == ["0", "1"]
    assert json.loads(metadata["eval_seeds"]) == [-1, -1]
    assert statuses((tensors, metadata)) == ["ok", "ok"]
    about = {key: metadata[key] for key in ("model", "weights_sha256", "sample_rate", "window_s")}
    assert about == {"model": "counting", "weights_sha256": "w", "sample_rate": "16000", "window_s": "1.0"}
    assert "logits" not in embed(paths, Counting(classes=0))[0]


def test_no_clips(embed, counting):
    tensors, metadata = embed([], counting)
    assert tensors["embeddings"].shape == (0, 2)
    assert tensors["logits"].shape == (0, 1)
    assert statuses((tensors, metadata)) == []


def test_a_file_that_cannot_be_used_has_a_status_and_no_other_takes_its_place(embed, counting, tmp_path, caplog):
    whole = write(tmp_path / "whole.wav", tone())
    (tmp_path / "cut.wav").write_bytes(whole.read_bytes()[:-1000])
    flac = write(tmp_path / "whole.flac", tone(), subtype="PCM_16")
    (tmp_path / "cut.flac").write_bytes(flac.read_bytes()[:-1000])
    (tmp_path / "text.wav").write_text("no audio")
    write(tmp_path / "empty.wav", np.zeros(0, np.float32))
    write(tmp_path / "nan.wav", np.array([0, np.nan, 0], np.float32))
    write(tmp_path / "inf.wav", np.array([0, np.inf, 0], np.float32))
    bad = {
        "cut.wav": "unreadable",
        "cut.flac": "unreadable",
        "text.wav": "unreadable",
        "absent.wav": "unreadable",
        "empty.wav": "empty",
        "nan.wav": "nonfinite",
        "inf.wav": "nonfinite",
    }
    paths = [tmp_path / name for name in bad]
    with caplog.at_level(logging.WARNING):
        made = embed([*paths, whole], counting)
    assert statuses(made) == [*bad.values(), "ok"]
    assert set(made[0]["clip"].tolist()) == {len(bad)}
    assert len(json.loads(made[1]["clip_ids"])) == len(bad) + 1
    for path in paths:
        assert f"{path}: {bad[path.name]}" in caplog.text


def test_silence_is_embedded(embed, counting, tmp_path):
    made = embed([write(tmp_path / "silence.wav", np.zeros(RATE, np.float32))], counting)
    assert statuses(made) == ["ok"]
    assert made[0]["embeddings"].tolist() == [[0, 0]]


def test_stereo_is_the_mean_of_its_channels(tmp_path):
    left, right = tone(1, frequency=220), tone(1, frequency=330)
    stereo = Sound(write(tmp_path / "stereo.wav", np.stack([left, right], axis=1)))
    np.testing.assert_allclose(stereo.at(RATE), (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize("rate", [8_000, 96_000])
def test_another_rate_is_resampled(tmp_path, rate):
    """A tone below both Nyquist frequencies is the same tone, away from the ends."""
    heard = Sound(write(tmp_path / "a.wav", tone(1, rate), rate)).at(RATE)
    assert len(heard) == RATE
    np.testing.assert_allclose(heard[2000:-2000], tone(1)[2000:-2000], atol=1e-4)


def test_16_bits_are_floats_but_for_the_rounding(tmp_path):
    exact = Sound(write(tmp_path / "float.wav", tone())).at(RATE)
    rounded = Sound(write(tmp_path / "int.wav", tone(), subtype="PCM_16")).at(RATE)
    np.testing.assert_allclose(rounded, exact, atol=1 / 2**15)


def test_ten_added_clips_embed_ten_clips(embed, counting, tmp_path):
    paths = [write(tmp_path / f"{i}.wav", tone(frequency=100 + i)) for i in range(15)]
    embed(paths[:5], counting)
    assert counting.calls == 5
    with_ten = embed(paths, counting)
    assert counting.calls == 15
    fresh = Counting()
    np.testing.assert_array_equal(
        with_ten[0]["embeddings"], np.concatenate([fresh.embed(Sound(p).at(RATE)).embeddings for p in paths])
    )


def test_a_sound_that_occurs_twice_is_embedded_once(embed, counting, tmp_path):
    one, other = write(tmp_path / "one.wav", tone()), write(tmp_path / "other.wav", tone())
    tensors, _ = embed([one, other, one], counting)
    assert counting.calls == 1
    assert tensors["clip"].tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(tensors["embeddings"][:2], tensors["embeddings"][2:4])


def test_a_file_made_again_with_another_sound_is_embedded_again(embed, counting, tmp_path):
    path = write(tmp_path / "a.wav", tone(gain=0.5))
    before = embed([path], counting)[0]["embeddings"]
    write(path, tone(gain=0.25))
    after = embed([path], counting)[0]["embeddings"]
    assert counting.calls == 2
    assert (before[:, 1] > 1.9 * after[:, 1]).all()


def test_other_weights_or_code_do_not_share_values(embed, counting, tmp_path):
    path = write(tmp_path / "a.wav", tone())
    embed([path], counting)
    other = Counting(weights_sha256="v")
    embed([path], other)
    embed([path], counting, code="d")
    assert (counting.calls, other.calls) == (2, 1)


def test_a_damaged_entry_is_computed_again(embed, counting, tmp_path):
    path = write(tmp_path / "a.wav", tone())
    before = embed([path], counting)[0]["embeddings"]
    (kept,) = (tmp_path / "store").rglob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:-4])
    np.testing.assert_array_equal(embed([path], counting)[0]["embeddings"], before)
    assert counting.calls == 2


def test_landmarks_lie_beside_the_embeddings(counting, tmp_path):
    sweep = np.sin(2 * np.pi * np.cumsum(np.linspace(200, 4000, 2 * RATE)) / RATE).astype(np.float32)
    paths = [write(tmp_path / "silence.wav", np.zeros(RATE, np.float32)), write(tmp_path / "sweep.wav", sweep)]
    features = [model_feature(counting.model, "c"), landmark_feature("l")]
    twice = [embed_files(paths, ["a", "b"], [0, 0], features, tmp_path / "store") for _ in range(2)]
    tensors, metadata = twice[0]["landmarks"]
    assert set(tensors["clip"].tolist()) == {1}
    assert len(tensors["hash"]) == len(tensors["time"]) == len(tensors["clip"]) > 0
    assert statuses(twice[0]["landmarks"]) == ["ok", "ok"]
    assert json.loads(metadata["eval_seeds"]) == [0, 0]
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, twice[1]["landmarks"][0][name])
        assert tensor.dtype == twice[1]["landmarks"][0][name].dtype
    assert counting.calls == 2


def test_reference_clips_are_test_clips_and_all_of_forget_and_holdout():
    rows = [(s, p) for s in ("forget", "remain", "holdout", "utility") for p in ("train", "dev", "test")]
    split = pd.DataFrame(
        [{"clip_id": f"{s}-{p}", "work_id": f"{s}-{p}", "set": s, "part": p} for s, p in rows]
    ).sort_values("clip_id", ignore_index=True)
    assert reference_clips(split, ["forget", "remain"]) == sorted(
        [f"{s}-{p}" for s in ("forget", "holdout") for p in ("train", "dev", "test")] + ["remain-test"]
    )


class Reading:
    """A text-audio model that notes what it was given; a text's vector is its length and its last character."""

    def __init__(self):
        self.read = []
        self.model = TextAudioModel("reading", "counting", "logits", True, "w", self.embed_text)

    def embed_text(self, texts):
        self.read += texts
        return np.array([[len(text), ord(text[-1])] for text in texts], np.float32)


def test_captions_missing_empty_long_duplicate_and_not_ascii(caplog):
    long = "slow " * 100 + "waltz"
    captions = pd.Series(
        {"a": "a jig", "b": None, "c": "  ", "d": "a jig", "e": "música lenta em lá", "f": long, "g": np.nan}
    )
    reading = Reading()
    with caplog.at_level(logging.WARNING):
        tensors, metadata = embed_captions(captions, reading.model)
    assert json.loads(metadata["clip_ids"]) == ["a", "d", "e", "f"]
    assert reading.read == ["a jig", "música lenta em lá", long]
    assert tensors["text"].tolist() == [[len(captions[c]), ord(captions[c][-1])] for c in ("a", "d", "e", "f")]
    assert metadata["model"] == "reading"
    assert "3 of 7 clips have no caption (first: b)" in caplog.text


def test_no_captions_at_all():
    with pytest.raises(UserError, match="no clip has a caption"):
        embed_captions(pd.Series({"a": None, "b": ""}), Reading().model)
