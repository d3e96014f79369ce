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
    CHANCE,
    INDEXED,
    MEETINGS,
    NEIGHBOURS,
    PART,
    SHARED,
    SKETCH,
    Sketch,
    _candidates,
    duplicate_pairs,
    entries,
    merge_groups,
    sketch,
)
from noencore.fingerprint import HOP, SAMPLE_RATE

WAVE = melody(20.0, seed=1)
LONG = melody(200.0, seed=9)


def heard(wave):
    """The sketch of a recording."""
    return sketch([entries(wave[at : at + PART * SAMPLE_RATE]) for at in range(0, len(wave), PART * SAMPLE_RATE)])


def seconds(wave, begin, end):
    return wave[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


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
    return [heard(melody(20.0, seed)) for seed in range(2, 8)]


@pytest.fixture(scope="module")
def long_strangers():
    return [heard(melody(200.0, seed)) for seed in range(10, 13)]


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found_and_no_stranger(strangers, kind, tmp_path):
    pairs = duplicate_pairs([heard(WAVE), *strangers, heard(COPIES[kind](tmp_path))])
    assert pairs[["a", "b"]].to_numpy().tolist() == [[0, 7]]
    assert 0.12 <= pairs["shared"][0] <= 1


@pytest.mark.parametrize(("begin", "end"), [(0, 10), (55.3, 65.3), (131.7, 141.7), (0, 100), (100, 200), (40, 200)])
def test_a_passage_of_a_long_recording_is_found_wherever_it_stands(strangers, long_strangers, begin, end, tmp_path):
    passage = coded(seconds(LONG, begin, end), tmp_path / "a.mp3")
    pairs = duplicate_pairs([heard(LONG), *strangers, *long_strangers, heard(passage)])
    assert pairs[["a", "b"]].to_numpy().tolist() == [[0, 10]]


def test_of_a_long_recording_as_many_entries_a_minute_are_kept_as_of_a_short_one():
    long, half = heard(LONG), heard(LONG[: 100 * SAMPLE_RATE])
    assert (long.parts, half.parts) == (4, 2)
    assert len(long.keys) <= 4 * SKETCH
    known = {(key, time) for key, time in zip(half.keys.tolist(), half.times.tolist())}
    first = long.times < 90 * SAMPLE_RATE // HOP  # at its end the shorter one lacks what begins there
    up_to = np.uint32(2**32 - 1) if half.limit is None else half.limit
    kept = first & (long.keys <= up_to)
    assert {(key, time) for key, time in zip(long.keys[kept].tolist(), long.times[kept].tolist())} <= known
    assert kept.sum() > SKETCH


def test_two_sketches_are_compared_up_to_the_key_to_which_both_are_whole():
    """A short one keeps more of its entries: what the long one has left out is not what they do not share."""
    draw = np.random.default_rng(0)
    passage = draw.integers(2**32, size=800, dtype=np.uint32)
    rest = draw.integers(2**32, size=20_000, dtype=np.uint32)
    times = np.arange(800, dtype=np.int32)
    short = sketch([(passage, times)])
    long = sketch([(rest, np.zeros(len(rest), np.int32)), (np.zeros(0, np.uint32), times[:0]), (passage, times)])
    both = (passage <= long.limit).sum()
    assert 2 * CHANCE < both < CHANCE + SHARED * SKETCH
    assert duplicate_pairs([short, long])["shared"].tolist() == [1.0]


def test_a_copy_to_the_bit_shares_all(strangers):
    assert duplicate_pairs([strangers[0], strangers[0]])["shared"].tolist() == [1.0]


def test_many_copies_are_one_group(strangers):
    """More than each entry of the index meets."""
    pairs = duplicate_pairs([strangers[0]] * 20 + [strangers[1]])
    groups, _ = merge_groups([f"w{i:02}" for i in range(21)], pairs)
    assert set(groups.values()) == {"w00", "w20"}


def test_sketches_are_small_and_sorted_and_silence_has_none():
    one = heard(WAVE)
    assert 100 < len(one.keys) == len(one.times) <= SKETCH
    assert (one.keys[1:] > one.keys[:-1]).all()
    empty = heard(np.zeros(50000, np.float32))
    assert len(empty.keys) == 0
    assert duplicate_pairs([empty, empty, heard(WAVE[:100])]).empty
    assert duplicate_pairs([]).empty


def test_a_loop_of_hours_costs_no_more_than_other_music_and_its_copies_are_found():
    bar = melody(2.0, seed=3)
    keys, times = entries(np.tile(bar, 30))
    assert len(np.unique(keys)) == len(keys)
    assert (times < 3 * SAMPLE_RATE // HOP).mean() > 0.5
    hours = sketch([(keys, times)] * 200)
    assert len(hours.keys) <= SKETCH * 200
    pairs = duplicate_pairs([hours, heard(np.tile(bar, 6)[SAMPLE_RATE:]), heard(WAVE)])
    assert pairs[["a", "b"]].to_numpy().tolist() == [[0, 1]]


def made(keys):
    """A sketch of such keys, all at one time."""
    return Sketch(np.sort(keys.astype(np.uint32)), np.zeros(len(keys), np.int32), -(-len(keys) // SKETCH) or 1)


def test_candidates_grow_with_recordings_and_not_with_pairs():
    """Also where every recording shares entries with every other."""
    draw = np.random.default_rng(0)
    few, many = (
        len(_candidates([made(keys) for keys in draw.integers(0, 1000, (count, SKETCH))])) for count in (500, 2000)
    )
    assert many < 8 * max(few, 500)


@pytest.mark.parametrize("block", [1, 7, 8192])
def test_candidates_are_a_count_of_all_meetings_however_many_recordings_are_counted_at_a_time(monkeypatch, block):
    draw = np.random.default_rng(1)
    sketches = [made(draw.integers(0, 200, count)) for count in draw.choice([0, 40, 60, 90, 400, 600], 60)]
    indexed = sorted(
        (key, owner) for owner, one in enumerate(sketches) for key in set(one.keys[: INDEXED * one.parts].tolist())
    )
    meetings = Counter(
        (one[1], other[1])
        for place, one in enumerate(indexed)
        for other in indexed[place + 1 : place + 1 + NEIGHBOURS]
        if one[0] == other[0]
    )
    parts = [one.parts for one in sketches]
    expected = sorted((a, b) for (a, b), count in meetings.items() if count >= MEETINGS * min(parts[a], parts[b]))
    assert len(expected) > 20
    monkeypatch.setattr(near_duplicates, "BLOCK", block)
    assert [tuple(pair) for pair in _candidates(sketches).tolist()] == expected


def test_groups_are_joined_over_several_steps_and_name_the_nearest():
    pairs = pd.DataFrame({"a": [0, 1, 3], "b": [1, 2, 4], "shared": [0.3, 0.8, 0.5]})
    groups, nearest = merge_groups(["c", "b", "d", "x", "x", "z"], pairs)
    assert groups == {"b": "b", "c": "b", "d": "b", "x": "x", "z": "z"}
    assert nearest == {"b": "d", "d": "b", "c": "b"}
