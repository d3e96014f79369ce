"""VGGish: the frontend by another implementation, and values that were checked against torchvggish."""

import numpy as np
import torch

from noencore.embeddings import fixed_windows, load_embedding_model, vggish


def test_mel_filters_are_kaldis():
    """Kaldi and HTK agree on the axis; Kaldi leaves out the last bin, which is beyond 7500 Hz."""
    from torchaudio.compliance.kaldi import get_mel_banks

    filters, _ = get_mel_banks(vggish.N_MELS, vggish.N_FFT, vggish.SAMPLE_RATE, 125.0, 7500.0, 100.0, -500.0, 1.0)
    np.testing.assert_allclose(vggish.mel_filters()[:-1], filters.T, atol=1e-4)  # in single precision
    assert (vggish.mel_filters()[-1] == 0).all()


def test_log_mel_by_librosa(music):
    """librosa centres a frame of 400 in one of 512; the magnitudes are the same."""
    import librosa

    wave = music(vggish.WINDOW / vggish.SAMPLE_RATE, vggish.SAMPLE_RATE)
    around = np.pad(wave.astype(np.float64), 56)
    spectrum = np.abs(librosa.stft(around, n_fft=512, hop_length=160, win_length=400, window="hann", center=False))
    expected = np.log(spectrum.T @ vggish.mel_filters() + 0.01)
    ours = vggish.log_mel(torch.from_numpy(wave)[None])[0]
    assert ours.shape == (vggish.N_FRAMES, vggish.N_MELS)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_windows_follow_each_other_without_a_gap():
    """96 frames make 0.96 s; window i of a long clip begins at frame 96 i, as in the original."""
    windows, _ = fixed_windows(np.arange(3 * vggish.WINDOW_HOP + 240), vggish.WINDOW, vggish.WINDOW_HOP)
    assert windows[:, 0].tolist() == [0, 15360, 30720]
    assert vggish.WINDOW == 15600


def test_a_short_clip_is_padded_with_zeros(audio_weights, music):
    model = load_embedding_model("vggish", audio_weights)
    wave = music(0.5, vggish.SAMPLE_RATE)
    short = model.embed(wave)
    np.testing.assert_allclose(short.padded, [1 - 8000 / 15600], rtol=1e-6)
    full = model.embed(np.pad(wave, (0, 7600)))
    np.testing.assert_array_equal(short.embeddings, full.embeddings)
    assert full.padded.tolist() == [0]


# The first of the second window, as torchvggish 0.2 gives them for the same weights with its last relu taken away
EMBEDDING = [0.031886, 0.107279, 0.070214, 0.050545, -0.066495, 0.124771, 0.152536, -0.087142]


def test_embeddings_are_those_of_torchvggish(audio_weights, music):
    embeddings = load_embedding_model("vggish", audio_weights).embed(music(2, vggish.SAMPLE_RATE)).embeddings
    np.testing.assert_allclose(embeddings[1, :8], EMBEDDING, atol=1e-5)
