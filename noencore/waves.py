"""Waves of a run: whether a file is the one that the catalogue describes, and how loud it is. Imports no torch."""

from pathlib import Path

import numpy as np

from noencore.errors import UserError
from noencore.files import sha256

AUDIO_CURE = "delete catalogue.parquet beside its folder and run again"
SILENCE_DB = -60.0
FULL_SCALE = 0.999  # of a sample that is taken for clipped


def check_audio(path, expected_sha256):
    """Raise UserError where an audio file is not the one that the catalogue describes."""
    if not Path(path).exists():
        raise UserError(f"{path}: missing; {AUDIO_CURE}")
    if sha256(path) != expected_sha256:
        raise UserError(f"{path}: damaged or changed since the catalogue was made; {AUDIO_CURE}")


def describe_audio(wave):
    """Level of a clip in dB below full scale, whether that is silence, and the share of its samples at full scale."""
    level = 10 * np.log10(np.mean(np.square(wave, dtype=np.float64)) + 1e-12)
    clipped = np.mean(np.abs(wave) >= FULL_SCALE)
    return {"rms_db": float(level), "silent": bool(level < SILENCE_DB), "clipped": float(clipped)}
