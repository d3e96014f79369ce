"""Pitch: what a tone is tuned to, nothing in noise, and an error that says what went wrong."""

import numpy as np
import pytest

from noencore.pitch import read_pitches


def test_a_tone_has_its_pitch_and_noise_has_none():
    time = np.arange(16000) / 16000
    tones = [np.sin(2 * np.pi * frequency * time).astype(np.float32) for frequency in (220.0, 660.0)]
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    low, high, none = read_pitches([*tones, noise], 16000)
    for found, frequency in ((low, 220.0), (high, 660.0)):
        heard = found[~np.isnan(found)]
        assert len(heard) > 0.8 * len(found)
        assert np.abs(1200 * np.log2(heard / frequency)).max() < 20
    assert np.isnan(none).mean() > 0.5


def test_a_failure_says_what_was_printed():
    with pytest.raises(RuntimeError, match=r"pitch of 1 waves: exit status 1\n.*Traceback"):
        read_pitches([np.zeros((2, 2), np.complex64)], 16000)
