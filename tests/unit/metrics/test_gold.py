"""Nearness to gold: an interval that holds, zero to oneself, the band of gold against gold."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, norm

from noencore.metrics.gold import auc_similarity, gold_rows, ks_distance, privleak

CLIPS = [f"{name}-{i}" for name in ("forget", "remain", "holdout") for i in range(30)]
WORKS = pd.Series(CLIPS, CLIPS)


def values(models):
    """Values of a dict model -> mean on forget: metrics of unit spread around it, 2 on the other sets."""
    rows = []
    for number, (model, mean) in enumerate(models.items()):
        rng = np.random.default_rng(number)
        for metric in ("nll_caption", "min_k_20", "min_k_40", "caption_truth_ratio", "nll_null"):
            for clip in CLIPS:
                name = clip.split("-")[0]
                rows.append((model, name, clip, -1, metric, rng.normal(mean if name == "forget" else 2.0)))
    return pd.DataFrame(rows, columns=["model", "set", "clip_id", "eval_seed", "metric", "value"])


MODELS = {"target-0": 1.0, "gold-0": 2.0, "gold-1": 2.0, "ga-0": 1.9}


def of(frame, model, set_name="forget", metric="nll_caption"):
    """The values of one model, set and metric, in the order of the clips."""
    return frame[(frame["model"] == model) & (frame["set"] == set_name) & (frame["metric"] == metric)]["value"]


def rows_of(frame, works=WORKS):
    return gold_rows(frame, works).set_index(["model", "set", "metric"])


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


@pytest.mark.parametrize(
    ("metric", "name"),
    [("nll_caption", "ks_gold"), ("caption_truth_ratio", "ks_gold_truth_ratio"), ("min_k_20", "ks_gold_min_k")],
)
def test_every_model_is_measured_against_every_other_gold_model(metric, name):
    frame = values(MODELS)
    rows = rows_of(frame)
    target, *golds = (of(frame, model, metric=metric) for model in ("target-0", "gold-0", "gold-1"))
    expected = np.mean([ks_2samp(target, gold).statistic for gold in golds])
    assert rows.loc[("target-0", "forget", name), "value"] == pytest.approx(expected)
    band = ks_2samp(*golds).statistic
    assert rows.loc[("gold-0", "forget", name), "value"] == rows.loc[("gold-1", "forget", name), "value"] == band
    assert rows.loc[("ga-0", "forget", name), "value"] < expected
    assert (rows["status"] == "ok").all()
    assert rows.loc[("ga-0", "forget", name), ["n", "n_works"]].tolist() == [30, 30]
    assert (rows["ci_low"] <= rows["value"]).all()


def test_clips_of_one_work_make_the_interval_wider():
    alone, in_threes = (
        rows_of(values(MODELS), works)
        for works in (WORKS, WORKS.str.replace(r"\d+", lambda i: str(int(i[0]) // 3), regex=True))
    )
    here = ("target-0", "forget", "ks_gold")
    assert in_threes.loc[here, "n_works"] == 10
    assert in_threes.loc[here, "ci_low"] < alone.loc[here, "ci_low"]
    assert in_threes.loc[here, "value"] == alone.loc[here, "value"]


def test_gold_against_itself_is_zero():
    frame = values({"gold-0": 3.0})
    rows = rows_of(pd.concat([frame, frame.assign(model="none-0")]))
    assert rows.loc[("none-0", "forget", "ks_gold"), ["value", "ci_low"]].tolist() == [0, 0]
    assert rows.loc[("none-0", "forget_vs_holdout", "membership_auc_similarity"), "value"] == 1
    assert rows.loc[("none-0", "forget_vs_holdout", "privleak_min_k_40"), "value"] == 0


def test_without_another_gold_model_the_cells_are_empty():
    """No default stands in for gold, neither in distances nor in PrivLeak."""
    for models in ({"target-0": 1.0}, {"gold-0": 3.0}):
        rows = rows_of(values(models))
        assert "privleak_min_k_40" in rows.index.unique("metric")
        assert rows["value"].isna().all()
        assert set(rows["status"]) == {"no other gold model"}


def test_a_value_that_is_not_finite_leaves_the_cell_empty():
    frame = values(MODELS)
    frame.loc[(frame["model"] == "ga-0") & (frame["clip_id"] == "forget-3"), "value"] = np.nan
    rows = rows_of(frame)
    for name in (("forget", "ks_gold"), ("forget_vs_holdout", "membership_auc_similarity")):
        assert rows.loc[("ga-0", *name), "status"] == "not finite"
        assert np.isnan(rows.loc[("ga-0", *name), "value"])
    assert rows.loc[("ga-0", "remain", "ks_gold"), "status"] == "ok"
    assert rows.loc[("target-0", "forget", "ks_gold"), "status"] == "ok"


def test_similarity_and_privleak_by_hand():
    np.testing.assert_allclose(auc_similarity([0.5, 0.4, 0.6, 1.0, 0.0], 0.5), [1, 0.8, 0.8, 0, 0])
    np.testing.assert_allclose(auc_similarity([0.0, 0.2], 0.0), [1, 0])
    np.testing.assert_allclose(privleak([0.5, 0.75, 0.25], 0.5), [0, -50, 50])  # left, as gold, overdone
    assert np.isnan(privleak(0.9, 1.0))  # where gold gives all away there is nothing to compare with


def test_an_auc_of_1_has_no_interval():
    """All 30 clips on one side in every resample: that is not to be sure of it."""
    rows = rows_of(values({"target-0": -9.0, "gold-0": -9.0}))
    row = rows.loc[("target-0", "forget_vs_holdout", "membership_auc_similarity")]
    assert row["value"] == 1
    assert np.isnan(row["ci_low"])


def test_few_works_have_no_interval():
    works = WORKS.where(~WORKS.str.startswith("holdout"), WORKS.str[-1:].replace(dict(zip("456789", "012301"))))
    row = rows_of(values(MODELS), works).loc[("ga-0", "forget_vs_holdout", "membership_auc_similarity")]
    assert row["status"] == "no interval: 4 works < 5"
    assert np.isnan(row["ci_low"])
    assert 0 < row["value"] <= 1


def test_membership_is_compared_with_the_gold_models():
    frame = values(MODELS)
    rows = rows_of(frame)
    auc = {
        model: np.mean(of(frame, model, "forget").to_numpy()[:, None] < of(frame, model, "holdout").to_numpy())
        for model in MODELS
    }
    gold = (auc["gold-0"] + auc["gold-1"]) / 2
    for model in ("target-0", "ga-0"):
        row = rows.loc[(model, "forget_vs_holdout", "membership_auc_similarity")]
        assert row["value"] == pytest.approx(1 - min(abs(auc[model] - gold) / gold, 1))
        assert row["n"] == 60
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
    row = rows.loc[("gold-0", "forget_vs_holdout", "membership_auc_similarity")]
    assert row["value"] == pytest.approx(1 - abs(auc["gold-0"] - auc["gold-1"]) / auc["gold-1"])
    leak = rows.loc[("target-0", "forget_vs_holdout", "privleak_min_k_40")]
    assert leak["ci_low"] < leak["value"] < leak["ci_high"] < 0  # forget is likelier than in gold: unlearned too little
