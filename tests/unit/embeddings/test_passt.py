"""PaSST: the frontend by librosa, the rule for windows, and values that were checked against hear21passt."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from standins_audio import TOY, write_passt

from noencore.embeddings import load_embedding_model, passt

RATE = passt.SAMPLE_RATE


@pytest.fixture(scope="module")
def model(audio_weights):
    return load_embedding_model("passt", audio_weights)


def test_log_mel_by_librosa(music):
    import librosa

    wave = music(0.5, RATE).astype(np.float64)
    emphasised = wave[1:] - 0.97 * wave[:-1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 799)
    spectrum = librosa.stft(emphasised, n_fft=1024, hop_length=320, win_length=800, window=window, pad_mode="reflect")
    mels = 1127 * np.log(1 + np.arange(513) * RATE / 1024 / 700)
    corners = np.linspace(0, 1127 * np.log(1 + 15_000 / 700), 130)
    filters = [np.interp(mels, corners[i : i + 3], [0, 1, 0]) for i in range(128)]
    expected = (np.log(np.array(filters) @ np.abs(spectrum) ** 2 + 1e-5) + 4.5) / 5
    ours = passt.log_mel(torch.from_numpy(wave.astype(np.float32))[None], passt.mel_filters())[0]
    np.testing.assert_allclose(ours, expected, atol=2e-4)


def test_windows_overlap_by_a_half(model, music):
    """The toy's are of 1 s. Every second one has no overlap: what the preset `audiocraft` is made of."""
    wave = music(3, RATE)
    embedded = model.embed(wave)
    assert model.window_s == 1
    assert len(embedded.logits) == 5
    apart = [model.embed(part).logits[0] for part in np.split(wave, 3)]
    np.testing.assert_allclose(embedded.logits[::2], apart, atol=1e-4)


def test_a_short_clip_is_taken_at_its_own_length(model, music):
    wave = music(0.6, RATE)
    short, filled = model.embed(wave), model.embed(np.pad(wave, (0, RATE - len(wave))))
    assert short.padded.tolist() == [0]
    assert np.abs(short.logits - filled.logits).max() > 1e-3
    shortest = model.embed(music(0.1, RATE))
    np.testing.assert_allclose(shortest.padded, [1 - 3200 / passt.SHORTEST], rtol=1e-6)


def test_the_window_is_what_the_checkpoint_has_positions_for(tmp_path, music):
    write_passt(tmp_path, replace(TOY, passt_patches=20))  # as 200 in the checkpoint of 20 s
    model = load_embedding_model("passt", tmp_path)
    assert model.window_s == 2
    assert len(model.embed(music(4, RATE)).logits) == 3


# The first of each, as hear21passt 0.0.26 gives them for the same weights; all agree to 2e-6, in the released size too
LOGITS = [-2.443349, 1.281598, 1.003894, -0.307408, -2.723172, -0.524347]
EMBEDDING = [-0.926849, -1.152035, -0.289277, 0.372161, 0.588826, 1.332355]


def test_logits_are_those_of_hear21passt(model, music):
    embedded = model.embed(music(1, RATE))
    np.testing.assert_allclose(embedded.logits[0, :6], LOGITS, atol=1e-4)
    np.testing.assert_allclose(embedded.embeddings[0, :6], EMBEDDING, atol=1e-4)
