"""Recordings that are the same music, found by landmarks that they share at one offset in time.

Of each recording a small sketch is kept: the landmark pairs with the least hashes, so that two recordings keep the
same ones of those that they share (bottom-k sampling, Broder 1997). A sketch grows with the recording, and two of them
are compared up to the hash to which both are whole, so a passage is found in a recording of any length. Candidates come
from an inverted index over part of the sketches, in which every entry meets its next neighbours alone, so the cost
grows with the number of recordings and not with that of pairs; candidates are then compared with all of their sketches.
"""

from dataclasses import dataclass

import networkx
import numpy as np
import pandas as pd

from noencore.fingerprint import HOP, SAMPLE_RATE, fingerprint

PART = 60  # s: a recording is heard in parts, so that memory does not grow with its length
SKETCH = 256  # entries of a recording's sketch for each of its parts
INDEXED, NEIGHBOURS = 64, 4  # of them in the index; entries there that each one meets
MEETINGS = 3  # for each part of the shorter recording: what makes two of them candidates
BLOCK = 8192  # recordings whose meetings are counted at a time
SHARED, CHANCE = 0.12, 6  # share of the smaller sketch, and entries besides: what makes two recordings one music


@dataclass(frozen=True)
class Sketch:
    """Of a recording of so many parts the entries with the least keys: `keys` uint32 [n] in order, `times` int32 [n].

    A time is in frames (fingerprint.HOP samples) from the beginning of the recording.
    """

    keys: np.ndarray
    times: np.ndarray
    parts: int

    @property
    def limit(self):
        """The key up to which the recording has no other entries, None where all are there."""
        return self.keys[-1] if len(self.keys) == SKETCH * self.parts else None


def entries(wave):
    """Entries of a part, a mono wave at fingerprint.SAMPLE_RATE: (key uint32 [n], time int32 [n]), by key.

    An entry is two landmarks in a row that begin at the same time, which strangers share less than single ones; the
    lowest bit of a landmark's hash (frames between its peaks, which coding may shift by one) is left out. Of those that
    come again the first is kept: of a loop as of other music there is room for many.
    """
    hashes, times = fingerprint(wave)
    hashes = (hashes >> 1).astype(np.uint64)
    together = np.flatnonzero(times[1:] == times[:-1]) if len(times) else np.zeros(0, int)
    keys = _mixed(_mixed(hashes[together]) + hashes[together + 1]) >> np.uint64(32)  # half the memory, few more alike
    keys, first = np.unique(keys.astype(np.uint32), return_index=True)
    return keys, times[together][first]


def sketch(parts):
    """The `Sketch` of a recording from the `entries` of its parts of PART seconds, in order."""
    frames = PART * SAMPLE_RATE // HOP
    keys = np.concatenate([keys for keys, _ in parts])
    times = np.concatenate([times + number * frames for number, (_, times) in enumerate(parts)])
    least = np.argsort(keys, kind="stable")[: SKETCH * len(parts)]
    return Sketch(keys[least], times[least].astype(np.int32), len(parts))


def duplicate_pairs(sketches):
    """Pairs of recordings that share music: a frame of a, b (indices, a < b), shared (share of the smaller sketch)."""
    rows = []
    for a, b in _candidates(sketches):
        count, size = _aligned(sketches[a], sketches[b])
        if count >= CHANCE + SHARED * size:
            rows.append((a, b, min(1.0, count / size)))
    return pd.DataFrame(rows, columns=["a", "b", "shared"])


def _candidates(sketches):
    """Pairs (a, b), a < b, that meet often in the index: int64 [n, 2], in order."""
    keys, owner = _index(sketches)
    parts = np.array([one.parts for one in sketches])
    found = [np.zeros((0, 2), np.int64)]
    for begin in range(0, len(sketches), BLOCK):  # meetings of all recordings at once would take a gigabyte in 100,000
        first = np.flatnonzero((owner >= begin) & (owner < begin + BLOCK))
        met = []
        for step in range(1, NEIGHBOURS + 1):
            first = first[: np.searchsorted(first, len(keys) - step)]
            same = first[keys[first] == keys[first + step]]
            met.append(owner[same].astype(np.int64) * len(sketches) + owner[same + step])
        pairs, counts = np.unique(np.concatenate(met), return_counts=True)
        pairs = np.column_stack(np.divmod(pairs, len(sketches)))
        found.append(pairs[counts >= MEETINGS * parts[pairs].min(axis=1)])
    return np.concatenate(found)


def _index(sketches):
    """The indexed entries of all sketches, by key and then by recording: (key uint32 [n], recording int32 [n])."""
    indexed = [np.unique(one.keys[: INDEXED * one.parts]) for one in sketches]
    owner = np.repeat(np.arange(len(sketches), dtype=np.int32), [len(keys) for keys in indexed])
    keys = np.concatenate([np.zeros(0, np.uint32), *indexed])
    del indexed
    order = np.argsort(keys, kind="stable")
    return keys[order], owner[order]


def _aligned(one, other):
    """(entries shared at the one offset in time that has most, entries of the smaller), up to where both are whole.

    Neighbouring offsets are one.
    """
    limits = [limit for limit in (one.limit, other.limit) if limit is not None]
    ends = [np.searchsorted(each.keys, min(limits), "right") if limits else len(each.keys) for each in (one, other)]
    keys, times = one.keys[: ends[0]], one.times[: ends[0]]
    start = np.searchsorted(other.keys[: ends[1]], keys, side="left")
    counts = np.searchsorted(other.keys[: ends[1]], keys, side="right") - start
    rank = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    offsets = other.times[np.repeat(start, counts) + rank] - np.repeat(times, counts)
    offsets, hits = np.unique(offsets, return_counts=True)
    hits[:-1] += np.where(np.diff(offsets) == 1, hits[1:], 0)
    return int(hits.max(initial=0)), min(ends)


def merge_groups(works, pairs):
    """Works joined by pairs: (dict work -> group, dict work -> the work that it shares most with).

    works: work_id of each recording, in the order of the pairs' indices. The group is the first of its works by name.
    """
    graph = networkx.Graph()
    graph.add_nodes_from(works)
    best = {}
    for pair in pairs.sort_values("shared", ascending=False, kind="stable").itertuples():
        a, b = works[pair.a], works[pair.b]
        if a != b:
            graph.add_edge(a, b)
            best.setdefault(a, b)
            best.setdefault(b, a)
    return {work: min(group) for group in networkx.connected_components(graph) for work in group}, best


def _mixed(x):
    """splitmix64's finalizer: a bijection of uint64 whose low and high values are as good as random."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
