"""Signs of recipes: told apart on white and on dark, by readers who miss a kind of cone, and up to forty recipes."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from noencore.report.palette import COLOURS, FIXED, style_of

DARK = "#16181d"
EVERY = [*COLOURS, *(style.colour for style in FIXED.values())]
SIMULATED = {  # Machado, Oliveira and Fernandes 2009, severity 1
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return linear(colour) @ [0.2126, 0.7152, 0.0722]


def lab(values):
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ np.clip(values, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("background", ["#ffffff", DARK])
@pytest.mark.parametrize("colour", EVERY)
def test_every_colour_has_a_contrast_of_three_to_one(colour, background):
    low, high = sorted((luminance(colour), luminance(background)))
    assert (high + 0.05) / (low + 0.05) >= 3


@pytest.mark.parametrize("eyes", SIMULATED)
def test_colours_are_told_apart(eyes):
    seen = [lab(np.asarray(SIMULATED[eyes]) @ linear(colour)) for colour in EVERY]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 18


def test_forty_recipes_have_forty_signs_and_neighbours_share_nothing():
    recipes = [f"recipe_{number}" for number in range(40)]
    styles = style_of(["target", "gold", *recipes])
    assert len(set(styles.values())) == 42
    for one, other in pairwise(recipes):
        assert styles[one].colour != styles[other].colour
        assert styles[one].marker != styles[other].marker


def test_a_recipe_has_the_same_sign_with_gold_and_without():
    with_gold, without = style_of(["target", "gold", "ga", "rl"]), style_of(["target", "ga", "rl"])
    assert all(with_gold[recipe] == without[recipe] for recipe in without)
    assert list(with_gold) == ["target", "gold", "ga", "rl"]
