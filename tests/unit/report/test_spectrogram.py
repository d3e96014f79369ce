"""Spectrogram pictures: the right band at the right moment, one scale for all, and small files."""

import numpy as np
import pytest
from PIL import Image

from noencore.report.spectrogram import (
    COLUMNS,
    RANGE_DB,
    ROWS,
    SHADES,
    draw_spectrograms,
    mel_filters,
    mel_powers,
    shaded,
)

RATE = 16000


def tone(hertz, seconds=1.0, rate=RATE):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize(("rate", "n_fft"), [(16000, 2048), (44100, 8192)])
def test_filters_are_those_of_librosa(rate, n_fft):
    from librosa.filters import mel

    theirs = mel(sr=rate, n_fft=n_fft, n_mels=ROWS, htk=True, norm=None)
    np.testing.assert_allclose(mel_filters(rate, n_fft), theirs, atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_every_band_hears_something(rate):
    noise = np.random.default_rng(0).normal(0, 0.1, rate)
    powers = mel_powers(noise, rate)
    assert powers.shape == (ROWS, COLUMNS)
    assert powers.min() > 0


@pytest.mark.parametrize("hertz", [110, 440, 3000])
def test_a_tone_is_in_its_band_all_the_time_or_beside_it(hertz):
    def band(of):
        return np.log10(1 + of / 700) / np.log10(1 + RATE / 2 / 700) * (ROWS + 1) - 1

    np.testing.assert_allclose(mel_powers(tone(hertz), RATE).argmax(axis=0), band(hertz), atol=1.5)


def test_what_sounds_in_the_second_half_is_drawn_in_the_second_half():
    wave = tone(440, 4.0)
    wave[: len(wave) // 2] = 0
    (picture,) = shaded([mel_powers(wave, RATE)])
    heard = picture.max(axis=0) > SHADES / 2
    assert np.flatnonzero(heard).tolist() == list(range(COLUMNS // 2 - 2, COLUMNS))


def test_all_sounds_share_the_scale_of_the_loudest_and_low_pitches_are_at_the_bottom():
    loud, soft, silent = shaded([mel_powers(gain * tone(220), RATE) for gain in (1, 0.1, 0)])
    assert loud.max() == SHADES - 1
    assert loud.max() - soft.max() == pytest.approx(20 / RANGE_DB * (SHADES - 1), abs=1)
    assert silent.max() == 0
    assert loud.argmax(axis=0).min() > ROWS / 2


def test_pictures_are_small_and_the_same_again(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE)  # the largest file
    for run in ("one", "two"):
        draw_spectrograms([noise, 0 * noise], [RATE, RATE], [tmp_path / run / f"{name}.png" for name in "ab"])
    for name in "ab":
        one, two = (tmp_path / run / f"{name}.png" for run in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
        assert one.stat().st_size < 25_000
        assert Image.open(one).size == (COLUMNS, ROWS)
    assert np.array(Image.open(tmp_path / "one/b.png").convert("RGB")).max() < 10
