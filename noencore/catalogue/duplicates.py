"""The same tune under two titles, found by its notes."""

import re
from collections import defaultdict
from itertools import pairwise

import networkx

NGRAM = 8  # intervals in a row
SHARED = 0.5  # share of the shorter tune's n-grams that makes two works one


def tune_groups(melodies, titles):
    """Groups of works that are one tune: a dict work_id -> group (the first work_id of its group).

    melodies: dict work_id -> MIDI pitches in order, grace notes left out. Two works are one tune where they share at
    least half of the interval 8-grams of the shorter one (so transposition does not hide it), or where their titles
    are equal without case, punctuation and "first setting" remarks.
    """
    grams = {work: _interval_ngrams(pitches) for work, pitches in melodies.items()}
    holders = defaultdict(set)
    for work, found in grams.items():
        for gram in found:
            holders[gram].add(work)
    graph = networkx.Graph()
    graph.add_nodes_from(sorted(melodies))
    for work, found in grams.items():
        for other in set().union(*(holders[gram] for gram in found)) - {work} if found else ():
            if len(found & grams[other]) >= SHARED * min(len(found), len(grams[other])):
                graph.add_edge(work, other)
    by_title = defaultdict(list)
    for work in sorted(melodies):
        by_title[_plain(titles[work])].append(work)
    for title, works in by_title.items():
        if title:
            networkx.add_path(graph, works)
    return {work: min(group) for group in networkx.connected_components(graph) for work in group}


def _interval_ngrams(pitches):
    intervals = [b - a for a, b in pairwise(pitches)]
    return {tuple(intervals[i : i + NGRAM]) for i in range(len(intervals) - NGRAM + 1)}


def _plain(title):
    title = re.sub(r"\(.*?\)|\b(\d\w*|first|second|third) (setting|version)\b", "", title.lower())
    return re.sub(r"[^a-z]+", "", re.sub(r"^the |, the$", "", title.strip()))
