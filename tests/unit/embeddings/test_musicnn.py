"""musicnn in torch: variables, spectrogram, windows, and values that were checked against TensorFlow."""

import numpy as np
import pytest
import torch

from noencore import embeddings
from noencore.embeddings import musicnn
from noencore.embeddings.tf_bundle import read_bundle
from noencore.errors import UserError

RATE = musicnn.SAMPLE_RATE


def chord(seconds=3.0, rate=RATE, seed=0):
    """Three tones with overtones, struck twice a second, and a little noise."""
    t = np.arange(int(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * f * k * t) / k for f in (220.0, 277.18, 329.63) for k in (1, 2, 3))
    noise = np.random.default_rng(seed).standard_normal(t.size)
    return (0.1 * tones * np.exp(-4 * (t % 0.5)) + 0.002 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def variables():
    data = musicnn.weights_file()
    return read_bundle(data.with_name(".index"), data)


@pytest.fixture(scope="module")
def model():
    return embeddings.load_embedding_model("musicnn")


def test_variables_of_the_bundle(variables):
    shapes = {
        "conv2d/kernel": (7, 38, 1, 204),
        "conv2d_1/kernel": (7, 67, 1, 204),
        "conv2d_2/kernel": (128, 1, 1, 51),
        "conv2d_4/bias": (51,),
        "conv2d_5/kernel": (7, 561, 1, 64),
        "conv2d_7/kernel": (7, 64, 1, 64),
        "batch_normalization/gamma": (1,),
        "batch_normalization_9/moving_variance": (1506,),
        "batch_normalization_10/moving_mean": (200,),
        "dense/kernel": (1506, 200),
        "dense_1/kernel": (200, 50),
    }
    assert {name: variables[name].shape for name in shapes} == shapes
    assert all(np.isfinite(value).all() for value in variables.values())
    assert (variables["batch_normalization_9/moving_variance"] > 0).all()


def test_a_damaged_bundle_is_refused(tmp_path):
    index, data = tmp_path / "index", tmp_path / "data"
    whole = musicnn.weights_file()
    index.write_bytes(whole.with_name(".index").read_bytes())
    data.write_bytes(whole.read_bytes()[:100_000])
    with pytest.raises(UserError, match="data: cut short"):
        read_bundle(index, data)
    index.write_bytes(index.read_bytes()[:1000])
    with pytest.raises(UserError, match="index: not the index"):
        read_bundle(index, data)
    with pytest.raises(UserError, match="nothing: missing"):
        read_bundle(index, tmp_path / "nothing")


def test_missing_weights_name_the_file_and_the_cure(monkeypatch, tmp_path):
    monkeypatch.setattr(musicnn.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps musicnn"):
        musicnn.load()
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(musicnn.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(UserError, match=r"MSD_musicnn/\.data-00000-of-00001: missing; pip install"):
        musicnn.load()
    with pytest.raises(UserError, match="unknown; choose one of musicnn"):
        embeddings.load_embedding_model("opennl3")


def test_mel_filters_are_those_of_librosa():
    from librosa.filters import mel

    filters = mel(sr=RATE, n_fft=musicnn.N_FFT, n_mels=musicnn.N_MELS)
    np.testing.assert_allclose(musicnn.mel_filters(), filters, rtol=1e-6, atol=1e-9)


def test_log_mel_by_hand():
    n, hop = musicnn.N_FFT, musicnn.HOP
    padded = np.pad(chord().astype(np.float64), n // 2, mode="reflect")
    frames = np.stack([padded[hop * i : hop * i + n] for i in range(musicnn.N_FRAMES)])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    power = np.abs(np.fft.rfft(frames * hann)) ** 2 @ musicnn.mel_filters().T
    expected = np.log10(10_000 * power.astype(np.float16).astype(np.float32) + 1)
    ours = musicnn.log_mel(torch.from_numpy(chord())[None])[0]
    assert ours.shape == (musicnn.N_FRAMES, musicnn.N_MELS)
    np.testing.assert_allclose(ours, expected, atol=1e-3)  # a power may round to the next float16


def test_windows_reach_the_end_and_a_short_clip_is_padded(model):
    made = model.embed(chord(4.5))
    assert made.embeddings.shape == (3, 200)
    assert made.padded.tolist() == [0, 0, 0]
    np.testing.assert_allclose(made.embeddings[-1:], model.embed(chord(4.5)[-3 * RATE :]).embeddings, atol=1e-5)
    short = model.embed(chord(1.0))
    assert short.padded.tolist() == pytest.approx([2 / 3])
    zeros = np.concatenate([chord(1.0), np.zeros(2 * RATE, np.float32)])
    np.testing.assert_array_equal(short.embeddings, model.embed(zeros).embeddings)


# The first of each. All 50 and all 200 are those of musicnn's own extractor in TensorFlow 2.15, to 1e-5.
TAG_PROBABILITIES = [0.050747, 0.038643, 0.069506, 0.152291, 0.333584, 0.052556, 0.016693, 0.016730]
EMBEDDING = [-0.17718, -0.12703, -0.28483, -0.27512, -0.25391, -0.24004, -0.25741, 0.80063]


def test_tags_of_a_chord(variables):
    """Frozen to 1e-4."""
    penultimate, tags = musicnn.MusiCNN(variables).forward(musicnn.log_mel(torch.from_numpy(chord())[None]))
    assert penultimate.shape == (1, 200)
    assert tags.shape == (1, 50)
    np.testing.assert_allclose(tags[0, :8].sigmoid(), TAG_PROBABILITIES, atol=1e-4)
    np.testing.assert_allclose(penultimate[0, :8], EMBEDDING, atol=1e-4)


def test_batches_and_windows_do_not_change_an_embedding(model):
    wave = chord(6.2)
    together = model.embed(wave)
    assert together.embeddings.shape == (5, 200)
    assert together.logits.shape == (5, model.classes)
    assert together.embeddings.dtype == together.logits.dtype == together.padded.dtype == np.float32
    alone = model.embed(wave[2 * RATE : 5 * RATE])
    np.testing.assert_allclose(together.embeddings[2:3], alone.embeddings, atol=1e-5)
    np.testing.assert_allclose(together.logits[2:3], alone.logits, atol=1e-5)
    np.testing.assert_array_equal(together.embeddings, model.embed(wave).embeddings)
