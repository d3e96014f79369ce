"""Weights of released models, of toy size and random, and sound for them."""

import numpy as np
import pytest
from standins_audio import make_weights


@pytest.fixture(scope="session")
def audio_weights(tmp_path_factory):
    """A directory of weights as a user would have it, with vggish, laion_clap and passt."""
    return make_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def music():
    """A function (seconds, rate, seed) -> a wave, float32 [n_samples]: a tone that glides and pulses, and noise."""

    def make(seconds, rate, seed=0):
        t = np.arange(round(seconds * rate)) / rate
        noise = np.random.default_rng(seed).standard_normal(t.size)
        tone = np.sin(2 * np.pi * (220 + 20 * seed) * t * (1 + 0.05 * t)) * (0.6 + 0.4 * np.sin(7 * t))
        return (0.2 * tone + 0.02 * noise).astype(np.float32)

    return make
