"""What every embedding model of released weights holds to, at toy size."""

import socket

import numpy as np
import pytest
import torch

from noencore.embeddings import load_embedding_model

MODELS = ("vggish", "laion_clap", "passt")


@pytest.fixture(scope="module", params=MODELS)
def model(request, audio_weights):
    return load_embedding_model(request.param, audio_weights)


def test_shapes(model, music):
    embedded = model.embed(music(2.5 * model.window_s, model.sample_rate))
    n_windows = len(embedded.embeddings)
    assert n_windows >= 3
    assert embedded.embeddings.shape == (n_windows, model.dimension)
    assert embedded.embeddings.dtype == embedded.padded.dtype == np.float32
    assert embedded.padded.tolist() == [0] * n_windows
    if model.classes:
        assert embedded.logits.shape == (n_windows, model.classes)
        assert embedded.logits.dtype == np.float32
    else:
        assert embedded.logits is None


def test_the_same_sound_gives_the_same_bytes(model, music, audio_weights):
    """Longer than a window too, where laion-clap would crop at random, and from a model loaded anew."""
    wave = music(3 * model.window_s, model.sample_rate)
    first = model.embed(wave)
    model.embed(music(model.window_s, model.sample_rate, seed=1))
    torch.manual_seed(5)
    np.testing.assert_array_equal(model.embed(wave).embeddings, first.embeddings)
    again = load_embedding_model(model.name, audio_weights)
    assert again.weights_sha256 == model.weights_sha256
    np.testing.assert_array_equal(again.embed(wave).embeddings, first.embeddings)


def test_a_window_in_a_batch_is_the_window_alone(model, music):
    wave = music(6 * model.window_s, model.sample_rate)  # more windows than a batch of CLAP or PaSST
    window = round(model.window_s * model.sample_rate)
    together = model.embed(wave).embeddings
    np.testing.assert_allclose(together[:1], model.embed(wave[:window]).embeddings, atol=2e-5)
    np.testing.assert_allclose(together[-1:], model.embed(wave[-window:]).embeddings, atol=2e-5)


def test_windows_differ(model, music):
    embeddings = model.embed(music(3 * model.window_s, model.sample_rate)).embeddings
    assert np.abs(embeddings[0] - embeddings[-1]).max() > 1e-3


@pytest.mark.parametrize("n_samples", [0, 1])
def test_next_to_no_sound_is_one_finite_window(model, n_samples):
    embedded = model.embed(np.full(n_samples, 0.5, np.float32))
    assert embedded.embeddings.shape == (1, model.dimension)
    assert np.isfinite(embedded.embeddings).all()
    if n_samples == 0:
        assert embedded.padded.tolist() == [1]


def test_silence_is_finite(model):
    embedded = model.embed(np.zeros(round(1.5 * model.window_s * model.sample_rate), np.float32))
    assert np.isfinite(embedded.embeddings).all()


def test_loading_needs_no_network(audio_weights, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    for name in MODELS:
        load_embedding_model(name, audio_weights)
