"""Waves: how loud they are."""

import math

import numpy as np
import pytest

from noencore.waves import describe_audio


def test_the_level_of_a_full_scale_sine_is_minus_3_db():
    sine = np.sin(2 * np.pi * np.arange(1600) / 16).astype(np.float32)
    level = -10 * math.log10(2)
    assert describe_audio(sine) == {"rms_db": pytest.approx(level, abs=1e-4), "silent": False, "clipped": 1 / 8}
    assert describe_audio(0.99 * sine)["clipped"] == 0
    assert describe_audio(sine * 10**-2.5)["rms_db"] == pytest.approx(-53.01, abs=0.01)
    assert describe_audio(sine * 10**-3)["silent"]
    assert describe_audio(0 * sine) == {"rms_db": pytest.approx(-120), "silent": True, "clipped": 0.0}
