"""Landmark fingerprints: sound as pairs of peaks, which finds a passage again after noise, filters, gain and coding.

After A. Wang, "An industrial-strength audio search algorithm" (ISMIR 2003). A landmark is two onsets of partials close
in time; its hash says (frequency of the first, frequencies between, frames between). Two sounds that share a passage
share many landmarks, all at one offset in time. A change of key or tempo hides the passage.
"""

import json
from dataclasses import dataclass

import numpy as np

NAME = "landmarks"  # of the file, beside those of embeddings
SAMPLE_RATE = 16000  # Hz, mono
VERSION = 1  # part of the store key: raise it with any change of what `fingerprint` returns
FRAME, HOP = 1024, 256  # samples: 64 ms and 16 ms; a bin is 15.6 Hz wide
COMPRESSION = 10.0  # level = log(1 + 10 magnitude / loudest): a bin 40 dB below the loudest hardly counts
HALF_SECOND = 31  # frames: how far the loudest magnitude is looked for
BLUR = (1.5, 0.7)  # frames, bins
RISE_FRAMES = 4  # an onset is a rise of the level over 64 ms: it has a time, which a held note's maximum has not
RISE = 0.12  # the least rise, where 1 is from silence to the loudest
NEAR_FRAMES, NEAR_BINS = 5, 10  # a peak is the steepest rise of +-80 ms x +-156 Hz
FAN = 6  # landmarks that begin at one peak: with its next neighbours
MAX_FRAMES, MAX_BINS = 187, 127  # 3 s and 2 kHz: the size of a landmark; slow music has few onsets a second
MINIMUM_LANDMARKS = 30  # what a copy is a share of at least: a handful of landmarks may agree by chance


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of n clips: `hash` int64 [n_landmarks], `time` (frames) and `clip` (0 ... n - 1) of each."""

    hash: np.ndarray
    time: np.ndarray
    clip: np.ndarray
    n: int


def fingerprint(wave):
    """Landmarks of a mono wave, float [n_samples] at SAMPLE_RATE Hz: (hash int64 [n], time int32 [n]).

    `time` is the frame (HOP samples) of the first peak; landmarks are in order of time. A wave that is silent or
    shorter than a frame has none. Gain changes nothing. Raises ValueError for a wave that is not one-dimensional or
    not finite.
    """
    wave = np.asarray(wave, np.float32)
    if wave.ndim != 1 or not np.isfinite(wave).all():
        raise ValueError(f"wave: shape {wave.shape}; a finite mono wave [n_samples] is needed")
    frames, bins = _peaks(wave)
    first, second = _pairs(frames, bins)
    between = bins[second] - bins[first] + MAX_BINS
    hashes = (bins[first] << 16) | (between << 8) | (frames[second] - frames[first])
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
        "model": NAME,
        "sample_rate": str(SAMPLE_RATE),
        "fingerprint_version": str(VERSION),
    }
    return tensors, metadata


def landmark_scores(query, reference):
    """How much of each clip of `query` is found in the one clip of `reference` that has most of it, in 0 ... 1, [n].

    Both are `Landmarks`. The score of two clips is the number of landmarks that they share at one offset in time, over
    the number of landmarks of the clip that has fewer (or MINIMUM_LANDMARKS): 1 for a copy, also of a part. Frames
    between peaks may differ by one, and so may offsets, since a copy need not start on a frame. A clip without
    landmarks has 0.

    Cost: a sort of the reference, then for each query clip the landmarks that share a hash with it: linear in the
    landmarks of both, with a slope that grows as hashes repeat. No pair of clips is visited that shares none.
    """
    order = np.argsort(reference.hash, kind="stable")
    hashes, times, clips = reference.hash[order], reference.time[order].astype(np.int64), reference.clip[order]
    sizes = np.bincount(reference.clip, minlength=reference.n)
    width = 2 * (int(max(query.time.max(initial=0), reference.time.max(initial=0))) + 2)  # offsets of one clip
    scores = np.zeros(query.n)
    by_clip = np.argsort(query.clip, kind="stable")
    bounds = np.searchsorted(query.clip[by_clip], np.arange(query.n + 1))
    for clip in range(query.n):
        own = by_clip[bounds[clip] : bounds[clip + 1]]
        which, found = _matches(query.hash[own], hashes)
        place = clips[found] * width + times[found] - query.time[own][which] + width // 2
        places, hits = np.unique(place, return_counts=True)
        if len(places):
            hits[:-1] += np.where(np.diff(places) == 1, hits[1:], 0)  # neighbouring offsets are one
            most = np.maximum(np.minimum(sizes[places // width], len(own)), MINIMUM_LANDMARKS)
            scores[clip] = min(1.0, (hits / most).max())
    return scores


def _matches(wanted, hashes):
    """All pairs (index into `wanted`, index into the sorted `hashes`) alike but for one frame between peaks."""
    near = (wanted[:, None] + np.array([-1, 0, 1])).ravel()
    start = np.searchsorted(hashes, near, side="left")
    counts = np.searchsorted(hashes, near, side="right") - start
    rank = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(np.arange(len(near)) // 3, counts), np.repeat(start, counts) + rank


def _peaks(wave):
    """Frames and bins of the peaks, each [n_peaks], in order of time and then of frequency."""
    from scipy.ndimage import gaussian_filter, maximum_filter, maximum_filter1d

    if len(wave) < FRAME or not wave.any():
        return np.zeros((2, 0), np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(wave, FRAME)[::HOP]
    magnitude = np.abs(np.fft.rfft(windows * np.hanning(FRAME + 1)[:-1].astype(np.float32), axis=1))
    loudest = maximum_filter1d(magnitude.max(axis=1), 2 * HALF_SECOND + 1, mode="nearest")[:, None]
    level = np.log1p(COMPRESSION * magnitude / np.maximum(loudest, 1e-6)) / np.log1p(COMPRESSION)
    level = gaussian_filter(level, BLUR)
    rise = level - level[np.maximum(np.arange(len(level)) - RISE_FRAMES, 0)]
    near = maximum_filter(rise, (2 * NEAR_FRAMES + 1, 2 * NEAR_BINS + 1), mode="nearest")
    return np.nonzero((rise == near) & (rise > RISE))


def _pairs(frames, bins):
    """Indices (first, second) of the peaks of each landmark, in order of the first."""
    start = np.searchsorted(frames, frames, side="right")
    stop = np.searchsorted(frames, frames + MAX_FRAMES, side="right")
    seconds = []
    for peak in range(len(frames)):
        later = np.arange(start[peak], stop[peak])
        seconds.append(later[np.abs(bins[later] - bins[peak]) <= MAX_BINS][:FAN])
    counts = [len(second) for second in seconds]
    return np.repeat(np.arange(len(frames)), counts), np.concatenate([np.zeros(0, int), *seconds])
