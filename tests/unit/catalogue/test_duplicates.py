"""Works that are one tune are found by their intervals or by their titles."""

import numpy as np
import pytest

from noencore.catalogue.duplicates import NGRAM, tune_groups

PITCHES = {name: list(np.random.default_rng(seed).integers(60, 80, 40)) for seed, name in enumerate("abc")}
TITLES = {"a": "The Hag", "b": "Banish Misfortune", "c": "Toss the Feathers", "d": "A title of its own"}


def group_of(other, title=TITLES["d"], **titles):
    """The group of a work `d` with some pitches beside a, b and c."""
    return tune_groups({**PITCHES, "d": other}, {**TITLES, "d": title, **titles})["d"]


def test_tunes_with_nothing_in_common_are_works_of_their_own():
    assert tune_groups(PITCHES, TITLES) == {name: name for name in PITCHES}


@pytest.mark.parametrize("semitones", [-12, -5, 0, 7])
def test_a_transposed_copy_is_the_same_tune(semitones):
    assert group_of([pitch + semitones for pitch in PITCHES["b"]]) == "b"


def test_a_fragment_is_the_tune_that_it_is_from():
    assert group_of(PITCHES["b"][10:30]) == "b"


@pytest.mark.parametrize(("shared", "expected"), [(0.8, "b"), (0.2, "d")])
def test_half_of_the_shorter_tune_decides(shared, expected):
    count = round(shared * 40)
    assert group_of(PITCHES["b"][:count] + [90 - pitch for pitch in PITCHES["a"][count:]]) == expected


def test_a_tune_shorter_than_an_ngram_matches_none():
    assert group_of(PITCHES["b"][:NGRAM]) == "d"
    assert group_of([]) == "d"


@pytest.mark.parametrize(
    "title",
    [
        "the hag",
        "Hag",
        "Hag, The",
        "The Hag!",
        "The Hag (first setting)",
        "The Hag 2nd setting",
        "The Hag, second version",
    ],
)
def test_titles_that_differ_in_their_setting_are_one_tune(title):
    assert group_of(PITCHES["c"][::-1], title=title) == "a"


def test_untitled_tunes_are_not_one_tune():
    assert group_of(PITCHES["c"][::-1], title="", a="") == "d"


def test_groups_are_transitive_and_named_after_their_first_work():
    """d has the notes of c and the title of a."""
    groups = tune_groups({**PITCHES, "d": PITCHES["c"]}, {**TITLES, "d": "The Hag"})
    assert groups == {"a": "a", "b": "b", "c": "a", "d": "a"}


def test_groups_do_not_depend_on_the_order_of_works():
    melodies = {**PITCHES, "d": [pitch + 2 for pitch in PITCHES["a"]]}
    turned = dict(reversed(melodies.items()))
    assert tune_groups(turned, TITLES) == tune_groups(melodies, TITLES)
