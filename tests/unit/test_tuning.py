"""A search ends in one table, and one rule chooses on dev."""

import numpy as np
import pandas as pd
import pytest

from noencore.split import SETS
from noencore.tuning import tune_table


def around(mean):
    return np.round(mean + np.linspace(-0.4, 0.4, 9), 6)


def clips(forget, remain=2.0, holdout=3.0, utility=4.0):
    """Dev clips of a model whose NLLs lie evenly around a mean in every set."""
    return pd.concat(
        pd.DataFrame({"set": name, "clip_id": [f"{name}{i}" for i in range(9)], "nll": around(mean)})
        for name, mean in zip(SETS, (forget, remain, holdout, utility), strict=True)
    )


TRAINED = {"target-0": clips(2.0), "gold-0": clips(3.0), "gold-1": clips(3.1)}
POINTS = {
    "npo_1": clips(2.5),
    "npo_2": clips(2.9, remain=2.1),
    "npo_3": clips(3.0, utility=4.2),  # nearest to gold, and 5 % worse on utility
    "npo_10": clips(2.9, remain=2.05),
}


def search(points=None, trained=None, **statuses):
    points = {f"{name}-{seed}": frame for name, frame in (points or POINTS).items() for seed in (0, 1)}
    names = sorted({model.partition("-")[0] for model in points})
    grid = {name: {"recipe": name.partition("_")[0], "parameters": {"lr": i}} for i, name in enumerate(names)}
    outcomes = {model: {"status": statuses.get(model.partition("-")[0], "ok"), "picked_step": 8} for model in points}
    return tune_table(grid, {**(trained or TRAINED), **points}, outcomes).set_index("point")


def test_a_row_a_point_in_the_order_of_their_numbers():
    table = search()
    assert table.index.tolist() == ["npo_1", "npo_2", "npo_3", "npo_10"]
    assert (table["n_seeds"] == 2).all()
    row = table.loc["npo_2"]
    assert (row["recipe"], row["status"], row["picked_step"]) == ("npo", "ok", 8)
    assert row[["nll_forget", "nll_remain", "nll_holdout", "nll_utility"]].tolist() == pytest.approx([2.9, 2.1, 3, 4])
    assert (row["remain_rise"], row["utility_rise"]) == (pytest.approx(0.05), pytest.approx(0))
    assert table.loc["npo_3", "utility_rise"] == pytest.approx(0.05)


def test_distances_by_hand():
    """Steps of 0.1 in the NLLs: a shift of 0.1 parts one clip of nine."""
    table = search()
    assert table.loc["npo_3", "ks_gold"] == pytest.approx((0 + 1 / 9) / 2)
    assert table.loc["npo_2", "ks_gold"] == pytest.approx((1 / 9 + 2 / 9) / 2)
    # 2.5 against 3.0: of 81 pairs of clips 6 have forget above holdout and 4 are equal.
    assert table.loc["npo_1", "membership_auc"] == pytest.approx((81 - 6 - 4 / 2) / 81)


def test_the_whole_interval_of_the_harm_counts():
    """A rise of 1 % on the average clip is too much where clips differ."""
    uneven = clips(2.95)
    rise = np.tile([0.0, 0.12], 5)[:9]
    uneven.loc[uneven["set"] == "utility", "nll"] += rise
    table = search(POINTS | {"npo_4": uneven, "npo_5": clips(2.95, utility=4.04)})
    shares = rise / 4.0
    high = shares.mean() + 2.306 * shares.std(ddof=1) / 3  # Student, 8 degrees of freedom
    assert table.loc["npo_4", "utility_rise"] < 0.02
    assert table.loc["npo_4", "utility_rise_high"] == pytest.approx(high, rel=1e-3)
    assert high > 0.02
    assert table.loc["npo_5", "utility_rise_high"] == pytest.approx(0.01)
    assert table.index[table["chosen"]].tolist() == ["npo_5"]


def test_the_rule_takes_the_nearest_to_gold_within_the_harm_and_the_better_on_remain_of_equals():
    table = search()
    assert table.index[table["chosen"]].tolist() == ["npo_10"]


def test_a_point_that_diverges_with_a_seed_is_not_chosen():
    table = search(npo_10="diverged")
    assert table.loc["npo_10", "status"] == "diverged"
    assert table.index[table["chosen"]].tolist() == ["npo_2"]


def test_every_recipe_has_its_own_choice_or_none():
    points = {"ga_1": clips(2.2), "ga_2": clips(2.4), "wild_1": clips(3.0, utility=9.0)}
    assert search(points)["chosen"].tolist() == [False, True, False]


def test_parameters_stand_together():
    grid = {"ga_1": {"recipe": "ga", "parameters": {"lr": 1.0}}, "npo_1": {"recipe": "npo", "parameters": {"b": 2.0}}}
    dev = {**TRAINED, "ga_1-0": clips(2.5), "npo_1-0": clips(2.5)}
    table = tune_table(grid, dev, {model: {"status": "ok", "picked_step": 1} for model in ("ga_1-0", "npo_1-0")})
    assert table.columns[:6].tolist() == ["recipe", "point", "n_seeds", "b", "lr", "status"]
    assert table["lr"].isna().tolist() == [False, True]


def test_without_gold_the_gap_to_holdout_decides():
    points = {"ga_1": clips(2.8), "ga_2": clips(2.9, holdout=3.3)}
    table = search(points, {"target-0": TRAINED["target-0"]})
    assert table["ks_gold"].isna().all()
    assert table["distance"].tolist() == pytest.approx([0.2, 0.4])
    assert table["chosen"].tolist() == [True, False]
