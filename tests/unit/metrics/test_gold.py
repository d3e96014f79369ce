"""Nearness to gold: an interval that holds, zero to oneself, the band of gold against gold."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, norm

from noencore.metrics.gold import gold_rows, ks_distance

SPLIT = pd.DataFrame(
    [{"clip_id": f"{name}-{i}", "set": name, "part": "test"} for name in ("forget", "remain") for i in range(30)]
)


def scores(forget, seed, remain=2.0):
    """Scores of one model: NLLs of unit spread around one mean a set."""
    draw = np.random.default_rng(seed).normal(0, 1, len(SPLIT))
    nll = SPLIT["set"].map({"forget": forget, "remain": remain}) + draw
    frames = [
        SPLIT[["clip_id"]].assign(condition=condition, codebook=0, nll=nll, n_tokens=9)
        for condition in ("caption", "null", "wrong")
    ]
    return pd.concat(frames, ignore_index=True)


def test_the_interval_holds_the_true_distance():
    """Also a small one, and of clips that are as hard for one model as for the other."""
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.2, 1.0):
        true, held = 2 * norm.cdf(shift / 2) - 1, 0
        for _ in range(200):
            clip = rng.normal(0, 0.8, 60)
            value, (low, high, _) = ks_distance(clip + rng.normal(0, 0.6, 60), [clip + rng.normal(shift, 0.6, 60)])
            held += low <= true <= high
            assert low <= value <= high
        assert held >= 190


def test_every_model_is_measured_against_every_other_gold_model():
    models = {"target-0": scores(1.0, 1), "gold-0": scores(3.0, 2), "gold-1": scores(3.0, 3), "ga-0": scores(2.9, 4)}
    rows = gold_rows(models, SPLIT).set_index(["model", "set"])
    losses = {
        model: frame[(frame["condition"] == "caption") & frame["clip_id"].str.startswith("forget")]["nll"]
        for model, frame in models.items()
    }
    expected = np.mean([ks_2samp(losses["target-0"], losses[gold]).statistic for gold in ("gold-0", "gold-1")])
    assert rows.loc[("target-0", "forget"), "value"] == pytest.approx(expected)
    band = ks_2samp(losses["gold-0"], losses["gold-1"]).statistic
    assert rows.loc[("gold-0", "forget"), "value"] == rows.loc[("gold-1", "forget"), "value"] == pytest.approx(band)
    assert rows.loc[("ga-0", "forget"), "value"] < rows.loc[("target-0", "forget"), "value"]
    assert (rows["status"] == "ok").all()
    assert (rows["n"] == 30).all()
    assert (rows["ci_low"] <= rows["value"]).all()


def test_gold_against_itself_is_zero():
    rows = gold_rows({"gold-0": scores(3.0, 1), "none-0": scores(3.0, 1)}, SPLIT).set_index(["model", "set"])
    assert rows.loc[("none-0", "forget"), ["value", "ci_low"]].tolist() == [0, 0]


def test_without_another_gold_model_the_cells_are_empty():
    for models in ({"target-0": scores(1.0, 1)}, {"gold-0": scores(3.0, 1)}):
        rows = gold_rows(models, SPLIT)
        assert rows["value"].isna().all()
        assert set(rows["status"]) == {"no other gold model"}


def test_a_loss_that_is_not_finite_leaves_the_cell_empty():
    broken = scores(2.0, 1)
    broken.loc[broken["clip_id"] == "forget-3", "nll"] = np.nan
    rows = gold_rows({"gold-0": scores(3.0, 2), "ga-0": broken}, SPLIT).set_index(["model", "set"])
    assert rows.loc[("ga-0", "forget"), "status"] == "not finite"
    assert np.isnan(rows.loc[("ga-0", "forget"), "value"])
    assert rows.loc[("ga-0", "remain"), "status"] == "ok"
