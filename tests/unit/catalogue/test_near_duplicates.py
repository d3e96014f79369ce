"""The same music in another file is found, other music is not, and no pair is visited for it."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
from own_audio import melody, write

from noencore.catalogue import near_duplicates
from noencore.catalogue.near_duplicates import (
    INDEXED,
    MEETINGS,
    NEIGHBOURS,
    SKETCH,
    _candidates,
    duplicate_pairs,
    merge_groups,
    sketch,
)
from noencore.fingerprint import SAMPLE_RATE

WAVE = melody(20.0, seed=1)


def coded(wave, path):
    return soundfile.read(write(path, wave), dtype="float32")[0]


COPIES = {
    "mp3": lambda folder: coded(WAVE, folder / "a.mp3"),
    "ogg": lambda folder: coded(WAVE, folder / "a.ogg"),
    "quieter": lambda folder: 0.1 * WAVE,
    "the beginning cut": lambda folder: WAVE[3 * SAMPLE_RATE + 77 :],
    "the second half": lambda folder: WAVE[len(WAVE) // 2 :],
    "by way of 11 kHz": lambda folder: soxr.resample(soxr.resample(WAVE, 16000, 11025), 11025, 16000),
    "in noise": lambda folder: WAVE + 0.01 * np.random.default_rng(0).standard_normal(len(WAVE)).astype(np.float32),
}


@pytest.fixture(scope="module")
def strangers():
    return [sketch(melody(20.0, seed)) for seed in range(2, 8)]


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found_and_no_stranger(strangers, kind, tmp_path):
    pairs = duplicate_pairs([sketch(WAVE), *strangers, sketch(COPIES[kind](tmp_path))])
    assert pairs[["a", "b"]].to_numpy().tolist() == [[0, 7]]
    assert 0.15 <= pairs["shared"][0] <= 1


def test_a_copy_to_the_bit_shares_all(strangers):
    assert duplicate_pairs([strangers[0], strangers[0]])["shared"].tolist() == [1.0]


def test_many_copies_are_one_group(strangers):
    """More than each entry of the index meets."""
    pairs = duplicate_pairs([strangers[0]] * 20 + [strangers[1]])
    groups, _ = merge_groups([f"w{i:02}" for i in range(21)], pairs)
    assert set(groups.values()) == {"w00", "w20"}


def test_sketches_are_small_and_sorted_and_silence_has_none():
    keys, times = sketch(WAVE)
    assert 100 < len(keys) == len(times) <= SKETCH
    assert (keys[1:] >= keys[:-1]).all()
    empty = sketch(np.zeros(50000, np.float32))
    assert len(empty[0]) == 0
    assert duplicate_pairs([empty, empty, sketch(WAVE[:100])]).empty
    assert duplicate_pairs([]).empty


def test_candidates_grow_with_recordings_and_not_with_pairs():
    """Also where every recording shares entries with every other."""
    draw = np.random.default_rng(0)

    def made(count):
        hot = draw.integers(0, 1000, (count, SKETCH)).astype(np.uint64)
        return [(np.sort(keys), np.zeros(SKETCH, np.int32)) for keys in hot]

    few, many = (len(_candidates(made(count))) for count in (500, 2000))
    assert many < 8 * max(few, 500)


@pytest.mark.parametrize("block", [1, 7, 8192])
def test_candidates_are_a_count_of_all_meetings_however_many_recordings_are_counted_at_a_time(monkeypatch, block):
    draw = np.random.default_rng(1)
    sketches = [(np.sort(draw.integers(0, 40, count).astype(np.uint64)), None) for count in draw.integers(0, 90, 60)]
    entries = sorted((key, owner) for owner, (keys, _) in enumerate(sketches) for key in keys[:INDEXED].tolist())
    meetings = Counter(
        (one[1], other[1])
        for place, one in enumerate(entries)
        for other in entries[place + 1 : place + 1 + NEIGHBOURS]
        if one[0] == other[0] and one[1] != other[1]
    )
    expected = sorted(pair for pair, count in meetings.items() if count >= MEETINGS)
    assert len(expected) > 20
    monkeypatch.setattr(near_duplicates, "BLOCK", block)
    assert [tuple(pair) for pair in _candidates(sketches).tolist()] == expected


def test_groups_are_joined_over_several_steps_and_name_the_nearest():
    pairs = pd.DataFrame({"a": [0, 1, 3], "b": [1, 2, 4], "shared": [0.3, 0.8, 0.5]})
    groups, nearest = merge_groups(["c", "b", "d", "x", "x", "z"], pairs)
    assert groups == {"b": "b", "c": "b", "d": "b", "x": "x", "z": "z"}
    assert nearest == {"b": "d", "d": "b", "c": "b"}
