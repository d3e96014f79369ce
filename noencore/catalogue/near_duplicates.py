"""Recordings that are the same music, found by landmarks that they share at one offset in time.

Of each recording a small sketch is kept: the landmark pairs with the least hashes, so that two recordings keep the
same ones of those that they share (bottom-k sampling, Broder 1997). Candidates come from an inverted index over part of
the sketches, in which every entry meets its next neighbours alone, so the cost grows with the number of recordings and
not with that of pairs; candidates are then compared with all of their sketches.
"""

import networkx
import numpy as np
import pandas as pd

from noencore.fingerprint import fingerprint

SKETCH = 256  # entries of a recording's sketch
INDEXED, NEIGHBOURS, MEETINGS = 64, 4, 3  # of them in the index; entries that each one meets; what makes a candidate
BLOCK = 8192  # recordings whose meetings are counted at a time
SHARED, LEAST = 0.15, 8  # share of the smaller sketch, and entries: what makes two recordings one music


def sketch(wave):
    """The sketch of a mono wave at fingerprint.SAMPLE_RATE: (key uint64 [n], time int32 [n]), n <= SKETCH, by key.

    An entry is two landmarks in a row that begin at the same time, which strangers share less than single ones; the
    lowest bit of a landmark's hash (frames between its peaks, which coding may shift by one) is left out.
    """
    hashes, times = fingerprint(wave)
    hashes = (hashes >> 1).astype(np.uint64)
    together = np.flatnonzero(times[1:] == times[:-1]) if len(times) else np.zeros(0, int)
    keys = _mixed(_mixed(hashes[together]) + hashes[together + 1])
    least = np.argsort(keys, kind="stable")[:SKETCH]
    return keys[least], times[together][least]


def duplicate_pairs(sketches):
    """Pairs of recordings that share music: a frame of a, b (indices, a < b), shared (share of the smaller sketch)."""
    rows = []
    for a, b in _candidates(sketches):
        count = _aligned(sketches[a], sketches[b])
        shared = min(1.0, count / min(len(sketches[a][0]), len(sketches[b][0])))
        if count >= LEAST and shared >= SHARED:
            rows.append((a, b, shared))
    return pd.DataFrame(rows, columns=["a", "b", "shared"])


def _candidates(sketches):
    """Pairs (a, b), a < b, that meet often in the index: int64 [n, 2], in order."""
    keys, owner = _index(sketches)
    found = [np.zeros((0, 2), np.int64)]
    for begin in range(0, len(sketches), BLOCK):  # meetings of all recordings at once would take a gigabyte in 100,000
        first = np.flatnonzero((owner >= begin) & (owner < begin + BLOCK))
        met = []
        for step in range(1, NEIGHBOURS + 1):
            first = first[: np.searchsorted(first, len(keys) - step)]
            same = first[(keys[first] == keys[first + step]) & (owner[first] != owner[first + step])]
            met.append(owner[same].astype(np.int64) * len(sketches) + owner[same + step])
        pairs, counts = np.unique(np.concatenate(met), return_counts=True)
        found.append(np.column_stack(np.divmod(pairs[counts >= MEETINGS], len(sketches))))
    return np.concatenate(found)


def _index(sketches):
    """The indexed entries of all sketches, by key and then by recording: (key uint64 [n], recording int32 [n])."""
    indexed = [keys[:INDEXED] for keys, _ in sketches]
    keys = np.concatenate([np.zeros(0, np.uint64), *indexed])
    owner = np.repeat(np.arange(len(sketches), dtype=np.int32), [len(keys) for keys in indexed])
    order = np.argsort(keys, kind="stable")
    return keys[order], owner[order]


def _aligned(one, other):
    """The most entries that two sketches share at one offset in time; neighbouring offsets are one."""
    start = np.searchsorted(other[0], one[0], side="left")
    counts = np.searchsorted(other[0], one[0], side="right") - start
    rank = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    offsets = other[1][np.repeat(start, counts) + rank] - np.repeat(one[1], counts)
    offsets, hits = np.unique(offsets, return_counts=True)
    hits[:-1] += np.where(np.diff(offsets) == 1, hits[1:], 0)
    return int(hits.max(initial=0))


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
