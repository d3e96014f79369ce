"""Landmark fingerprints: a sound as pairs of peaks of its spectrogram, in the way of A. Wang, "An industrial-strength
audio search algorithm" (ISMIR 2003).

A landmark is two peaks close in time; its hash says (frequency of the first, frequency of the second, frames between).
Two recordings that share a passage share many landmarks, all at one offset in time: that survives noise, filters, gain
and coding, but not a change of key or tempo.
"""

import json

import numpy as np

SAMPLE_RATE = 16000  # Hz, mono
VERSION = 1  # part of the store key: raise it with any change of what `fingerprint` returns
FRAME, HOP = 1024, 256  # samples: 64 ms and 16 ms; bins are 15.6 Hz wide
RANGE = 30.0  # dB: a peak lies at most so far below the loudest bin within half a second
NEAR_BINS, NEAR_FRAMES, NEAR_LOUD = 10, 5, 31  # a peak is the largest of +-10 bins x +-5 frames; loud: +-31 frames
FAN = 6  # landmarks that start at one peak
MAX_FRAMES, MAX_BINS = 63, 127  # size of a landmark


def fingerprint(wave):
    """Landmarks of a mono wave, float [n_samples] at SAMPLE_RATE Hz: (hash int64 [n], time int32 [n]).

    `time` is the frame (HOP samples) of the first peak; landmarks are in order of time. A wave that is silent or
    shorter than a frame has none. Raises ValueError for a wave that is not one-dimensional or not finite.
    """
    wave = np.asarray(wave, np.float32)
    if wave.ndim != 1 or not np.isfinite(wave).all():
        raise ValueError(f"wave: shape {wave.shape}; a finite mono wave [n_samples] is needed")
    frames, bins = _peaks(wave)
    first, second = _pairs(frames, bins)
    step = frames[second] - frames[first]
    hashes = (bins[first] << 18) | ((bins[second] - bins[first] + MAX_BINS) << 6) | step
    return hashes.astype(np.int64), frames[first].astype(np.int32)


def landmark_tensors(fingerprints, clip_ids):
    """(tensors, metadata) of a landmarks file, from the (hash, time) of each clip in the order of `clip_ids`.

    tensors: `hash` int64 [n], `time` int32 [n] and `clip` int64 [n], an index into the json list metadata["clip_ids"],
    in which an id may occur more than once (one clip, many seeds).
    """
    import torch

    counts = [len(hashes) for hashes, _ in fingerprints]
    empty = (np.zeros(0, np.int64), np.zeros(0, np.int32))
    hashes, times = (np.concatenate(arrays) for arrays in zip(empty, *fingerprints, strict=True))
    tensors = {
        "hash": torch.from_numpy(hashes),
        "time": torch.from_numpy(times),
        "clip": torch.from_numpy(np.repeat(np.arange(len(counts), dtype=np.int64), counts)),
    }
    metadata = {
        "clip_ids": json.dumps([str(clip_id) for clip_id in clip_ids]),
        "model": "landmarks",
        "sample_rate": str(SAMPLE_RATE),
        "fingerprint_version": str(VERSION),
    }
    return tensors, metadata


def _levels(wave):
    """Levels in dB, [n_frames, n_bins], of the frames that lie wholly inside the wave."""
    windows = np.lib.stride_tricks.sliding_window_view(wave, FRAME)[::HOP]
    spectrum = np.abs(np.fft.rfft(windows * np.hanning(FRAME + 1)[:-1].astype(np.float32), axis=1))
    return 20 * np.log10(np.maximum(spectrum, 1e-6))


def _peaks(wave):
    """Frames and bins of the peaks, each [n_peaks], in order of time and then of frequency."""
    from scipy.ndimage import maximum_filter, maximum_filter1d

    if len(wave) < FRAME or not wave.any():
        return np.zeros((2, 0), np.int64)
    levels = _levels(wave)
    loudest = maximum_filter1d(levels.max(axis=1), 2 * NEAR_LOUD + 1, mode="nearest")
    near = maximum_filter(levels, (2 * NEAR_FRAMES + 1, 2 * NEAR_BINS + 1), mode="nearest")
    return np.nonzero((levels == near) & (levels > loudest[:, None] - RANGE))


def _pairs(frames, bins):
    """Indices (first, second) of the peaks of each landmark, in order of the first."""
    first, second = [], []
    last = np.searchsorted(frames, frames + MAX_FRAMES, side="right")
    start = np.searchsorted(frames, frames, side="right")
    for peak in range(len(frames)):
        ahead = np.arange(start[peak], last[peak])
        ahead = ahead[np.abs(bins[ahead] - bins[peak]) <= MAX_BINS][:FAN]
        first.append(np.full(len(ahead), peak))
        second.append(ahead)
    return (np.concatenate([np.zeros(0, int), *chosen]).astype(int) for chosen in (first, second))
