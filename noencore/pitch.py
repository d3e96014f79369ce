"""The pitch of audio by librosa's pyin, in a process of its own.

pyin runs code that numba compiled, and in a process that had loaded torch and audiocraft that code ended in a
segmentation fault (numba 0.68.1: 2 of 7 runs of the codec's tests). By itself it never did.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

LOWEST, HIGHEST = 110.0, 2000.0  # Hz


def read_pitches(waves, sample_rate):
    """Fundamental frequency of each of `waves` (float32 [n_samples]): a list of float64 [n_frames], Hz, NaN: unvoiced.

    Raises RuntimeError, with what it printed, where the other process fails.
    """
    with tempfile.TemporaryDirectory() as directory:
        asked, found = Path(directory) / "waves.npz", Path(directory) / "pitches.npz"
        np.savez(asked, *waves)
        command = [
            sys.executable,
            "-P",
            __file__,
            str(asked),
            str(found),
            str(sample_rate),
        ]  # -P: not this folder first
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"pitch of {len(waves)} waves: exit status {done.returncode}\n{done.stderr}")
        with np.load(found) as pitches:
            return [pitches[f"arr_{index}"] for index in range(len(waves))]


def main(asked, found, sample_rate):
    import librosa

    with np.load(asked) as waves:
        pitches = [librosa.pyin(waves[name], fmin=LOWEST, fmax=HIGHEST, sr=float(sample_rate))[0] for name in waves]
    np.savez(found, *pitches)


if __name__ == "__main__":
    main(*sys.argv[1:])
