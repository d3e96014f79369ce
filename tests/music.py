"""Seeded tunes of our synthesizer, and what can happen to a sound."""

import numpy as np

from noencore.catalogue.synthesis import SAMPLE_RATE, TIMBRES, render

MAJOR = np.array([0, 2, 4, 5, 7, 9, 11, 12])


def tune(seed, seconds=6.0):
    """A random melody over its own bass, float32 [n_samples] at 16 kHz: key, tempo, rhythm and instrument are drawn."""
    rng = np.random.default_rng(seed)
    beat, key = rng.uniform(0.2, 0.35), rng.integers(55, 67)
    notes, time = [], 0.1
    while time < seconds - 0.2:
        length = beat * rng.choice([1, 1, 2, 0.5])
        notes.append((time, 0.9 * length, key + rng.choice(MAJOR)))
        if rng.random() < 0.3:
            notes.append((time, length, key - 12 + rng.choice(MAJOR)))
        time += length
    return render(notes, str(rng.choice(sorted(TIMBRES))), seconds)


def noisy(wave, snr_db, seed=0):
    """White noise added, `snr_db` below the wave."""
    noise = np.random.default_rng(seed).standard_normal(len(wave))
    return (wave + noise * np.sqrt(np.mean(wave**2) / 10 ** (snr_db / 10))).astype(np.float32)


def mu_law(wave):
    """To 8 bits by mu-law and back."""
    coded = np.round(127 * np.sign(wave) * np.log1p(255 * np.abs(wave)) / np.log(256)) / 127
    return (np.sign(coded) * (256 ** np.abs(coded) - 1) / 255).astype(np.float32)


def low_pass(wave, hertz=3000):
    from scipy.signal import butter, sosfilt

    return sosfilt(butter(8, hertz, fs=SAMPLE_RATE, output="sos"), wave).astype(np.float32)


def later(wave, seconds=1.37):
    """The wave without its beginning."""
    return wave[round(seconds * SAMPLE_RATE) :]


def spliced(wave, other, seconds=3.0):
    """`other` with its middle replaced by the middle of `wave`."""
    length = round(seconds * SAMPLE_RATE)
    to, start = (len(other) - length) // 2 + 123, (len(wave) - length) // 2
    return np.concatenate([other[:to], wave[start : start + length], other[to + length :]])


ALTERED = {
    "identity": lambda wave, other: wave,
    "mu-law, 8 bits": lambda wave, other: mu_law(wave),
    "1.37 s later": lambda wave, other: later(wave),
    "noise at 20 dB": lambda wave, other: noisy(wave, 20),
    "noise at 5 dB": lambda wave, other: noisy(wave, 5),
    "gain of -12 dB": lambda wave, other: wave / 4,
    "low-pass at 3 kHz": lambda wave, other: low_pass(wave),
    "3 s in another tune": spliced,
}
