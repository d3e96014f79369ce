"""Numbers and selectors in words."""

import numpy as np
import pytest

from noencore.report.phrases import (
    counted,
    duration,
    listed,
    million,
    p_value,
    percent,
    released_name,
    selector_words,
    with_interval,
)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.0848, 0.0812, 0.0887), "0.085 [0.081, 0.089]"),
        ((12.3, 8.9, 15.1), "12 [9, 15]"),
        ((12.3, 9.9, 15.1), "12.3 [9.9, 15.1]"),
        ((0.8127, 0.6942, 0.9311), "0.81 [0.69, 0.93]"),
        ((-0.0001, -0.004, 0.004), "0.000 [-0.004, 0.004]"),
        ((0.0, 0.0, 0.0), "0.000 [0.000, 0.000]"),
        ((0.512345, np.nan, np.nan), "0.512"),
        ((np.nan, np.nan, np.nan), ""),
    ],
)
def test_an_interval_sets_how_many_digits_are_shown(numbers, text):
    assert with_interval(*numbers) == text


def test_a_difference_has_its_sign():
    assert with_interval(0.02, -0.01, 0.05, sign=True) == "+0.02 [-0.01, +0.05]"


def test_shares_are_in_percent():
    assert percent(0.8546, 0.8421, 0.8661) == "85 % [84, 87]"
    assert percent(1, 1, 1) == "100 % [100, 100]"
    assert percent(-0.002, -0.02, 0.018) == "0 % [-2, 2]"


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"artist": "Ann"}, "artist Ann"),
        ({"artist": ["Ann", "Bob", "Cy"]}, "artist Ann, Bob or Cy"),
        ({"artist": {"not": "Ann"}}, "artist other than Ann"),
        ({"artist": {"not": ["Ann", "Bob"]}, "folder": "x"}, "artist other than Ann and Bob, and folder x"),
        ({"title": [f"t{i}" for i in range(12)]}, "title t0, t1, t2, t3, t4, t5, t6, t7, t8, t9 or 2 more"),
        ({}, "every clip"),
    ],
)
def test_selectors(selector, text):
    assert selector_words(selector) == text


def test_a_released_model_is_named_and_a_folder_of_the_user_is_not():
    assert released_name("facebook/musicgen-small") == "facebook/musicgen-small"
    assert released_name("/home/ann/models/mine") == "mine"


def test_counts_and_sizes():
    assert counted(1, "clip") == "1 clip"
    assert counted(1200, "clip") == "1,200 clips"
    assert listed([]) == "none"
    assert listed(["a\n\n# b", "c"]) == "a # b and c"
    assert [million(n) for n in (900, 1_610_000, 420_000_000, 3.3e9)] == [
        "900",
        "1.61 million",
        "420 million",
        "3.3 billion",
    ]
    assert [duration(s) for s in (2.43, 112.2, 1200, 9000)] == ["2.43 s", "112 s", "20 min", "2.5 h"]
    assert [p_value(p) for p in (0.0004, 0.0123)] == ["p < 0.001", "p = 0.012"]
