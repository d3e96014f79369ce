"""Tempo, kind, key and metre of a tune, and the words that say so."""

import numpy as np
import pytest

from noencore.catalogue.abc import Tune, read_collection
from noencore.catalogue.performance import TEMPI, key_name, kind, metre_name, seconds, tempo_word


def tune(rhythm="", metre="4/4", key="C"):
    return Tune("book", "1", "A tune", "", rhythm, metre, key, "")


@pytest.mark.parametrize(
    ("rhythm", "expected"),
    [
        ("reel", "reel"),
        ("double jig", "jig"),
        ("slip jig", "slip jig"),
        ("slipjig", "slip jig"),
        ("long dance, hornpipe", "hornpipe"),
        ("", "air"),
        ("planxty", "air"),
    ],
)
def test_kind_is_told_by_the_rhythm_field(rhythm, expected):
    assert kind(tune(rhythm=rhythm)) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("G", "G major"),
        ("Gmaj", "G major"),
        ("Em", "E minor"),
        ("Eminor", "E minor"),
        ("Aaeo", "A minor"),
        ("Ador", "A dorian"),
        ("A Dorian", "A dorian"),
        ("DMix", "D mixolydian"),
        ("Bb", "B flat major"),
        ("F#m", "F sharp minor"),
        ("Aphr", "an unnamed key"),
        ("HP", "an unnamed key"),
        ("", "an unnamed key"),
    ],
)
def test_key_is_said_in_words(key, expected):
    assert key_name(tune(key=key)) == expected


@pytest.mark.parametrize(
    ("metre", "expected"), [("C", "4/4"), ("C|", "2/2"), ("6/8", "6/8"), (" 9/8 ", "9/8"), ("", "free")]
)
def test_metre_is_said_as_a_fraction(metre, expected):
    assert metre_name(tune(metre=metre)) == expected


def test_tempo_words_are_ordered_and_each_is_used():
    words = [tempo_word(tempo) for tempo in sorted(TEMPI.values())]
    assert list(dict.fromkeys(words)) == ["slow", "moderate", "fast"]
    assert words == sorted(words, key=["slow", "moderate", "fast"].index)


def test_every_tune_of_the_corpus_has_a_tempo_and_most_have_a_key():
    tunes = read_collection("oneills1850") + read_collection("ryansMammoth")
    assert {kind(tune) for tune in tunes} <= set(TEMPI)
    named = [key_name(tune) != "an unnamed key" for tune in tunes]
    assert np.mean(named) > 0.95


def test_a_quarter_note_at_60_is_a_second():
    notes = [(0.0, 1.0, 69, False), (1.0, 0.5, 71, True)]
    np.testing.assert_array_equal(seconds(notes, 60), [[0.0, 1.0, 69.0], [1.0, 0.5, 71.0]])


def test_twice_the_tempo_is_half_the_time_and_the_same_pitch():
    notes = [(0.0, 1.0, 69, False), (1.0, 3.0, 71, False)]
    np.testing.assert_allclose(seconds(notes, 120), seconds(notes, 60) * [0.5, 0.5, 1])
