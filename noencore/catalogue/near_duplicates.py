"""Recordings that are the same music, found by landmarks that they share at one offset in time.

Of each recording a small sketch is kept: the landmark triples with the least hashes, so that two recordings keep the
same ones of those that they share (bottom-k sampling, Broder 1997). Matches come from an inverted index in which every
entry meets its nearest neighbours alone: the cost grows with the number of recordings, not with that of pairs.
"""

import networkx
import numpy as np
import pandas as pd

from noencore.fingerprint import fingerprint

SKETCH = 256  # landmark triples a recording
NEIGHBOURS = 4  # entries of one triple that each entry is compared with
SHARED, LEAST = 0.1, 6  # of the smaller sketch, and triples: what makes two recordings one music
OFFSET = 2  # frames within which offsets are one


def sketch(wave):
    """The sketch of a mono wave at fingerprint.SAMPLE_RATE: (key uint64 [n], time int32 [n]), n <= SKETCH.

    A triple is two landmarks in a row that start at the same time: more specific than one by far, which keeps
    strangers apart in a large catalogue.
    """
    hashes, times = fingerprint(wave)
    together = np.flatnonzero(times[1:] == times[:-1]) if len(times) else np.zeros(0, int)
    with np.errstate(over="ignore"):
        keys = _mixed(_mixed(hashes[together].astype(np.uint64)) + hashes[together + 1].astype(np.uint64))
    keys, first = np.unique(keys, return_index=True)  # sorted: the least come first
    return keys[:SKETCH], times[together][first][:SKETCH].astype(np.int32)


def duplicate_pairs(sketches):
    """Pairs of recordings that share music: a frame of a, b (indices, a < b), shared (share of the smaller sketch)."""
    sizes = np.array([len(keys) for keys, _ in sketches], dtype=np.int64)
    owner = np.repeat(np.arange(len(sketches)), sizes)
    keys = np.concatenate([np.zeros(0, np.uint64), *(keys for keys, _ in sketches)])
    times = np.concatenate([np.zeros(0, np.int32), *(times for _, times in sketches)])
    order = np.lexsort((owner, keys))
    keys, owner, times = keys[order], owner[order], times[order]
    meetings = []
    for step in range(1, NEIGHBOURS + 1):
        same = np.flatnonzero(keys[step:] == keys[:-step])
        meetings.append(
            pd.DataFrame({"a": owner[same], "b": owner[same + step], "offset": times[same + step] - times[same]})
        )
    met = pd.concat(meetings)
    met = met[met["a"] != met["b"]]
    # An offset on the edge of a bin counts in the next one too.
    bins = pd.concat([met.assign(offset=(met["offset"] + shift) // OFFSET) for shift in (0, OFFSET // 2)], keys=(0, 1))
    bins["shift"] = bins.index.get_level_values(0)
    counts = bins.groupby(["a", "b", "shift", "offset"]).size().groupby(["a", "b"]).max().reset_index(name="count")
    smaller = np.minimum(sizes[counts["a"]], sizes[counts["b"]])
    counts["shared"] = counts["count"] / np.maximum(smaller, 1)
    return counts[(counts["count"] >= LEAST) & (counts["shared"] >= SHARED)].reset_index(drop=True)


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
