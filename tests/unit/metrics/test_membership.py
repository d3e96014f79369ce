"""Membership: what tells learned works from unseen ones, and how sure one can be."""

import numpy as np
import pandas as pd
import pytest
import torch

from noencore.metrics.dataset_inference import dataset_inference
from noencore.metrics.intervals import delong
from noencore.metrics.membership import clip_features, measure_membership, membership_auc, true_positive_rate


def shift(scores, set_name, condition, by):
    """The scores with the NLL of a set and condition moved."""
    chosen = scores["clip_id"].str.startswith(set_name) & (scores["condition"] == condition)
    return scores.assign(nll=scores["nll"].where(~chosen, scores["nll"] + by))


def of_works(rng, works, shift=0.0):
    """Scores of 3 clips a work, which have most of their spread in common: (values, work labels)."""
    labels = np.repeat(np.arange(works), 3)
    return shift + rng.normal(size=works)[labels] + 0.3 * rng.normal(size=3 * works), labels


def test_clips_that_are_works_have_the_interval_of_delong():
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(0.5, 1, 30), rng.normal(0, 1, 20)
    expected = delong(positive, negative)
    assert membership_auc(positive, negative, 0) == expected
    assert membership_auc(positive, negative, 0, np.arange(30), np.arange(20)) == expected


def test_works_of_several_clips_are_drawn_whole():
    rng = np.random.default_rng(0)
    (positive, works_1), (negative, works_0) = of_works(rng, 30, 0.5), of_works(rng, 20)
    auc, interval = membership_auc(positive, negative, 0, works_1, works_0)
    same_auc, as_if_independent = delong(positive, negative)
    assert (auc, interval.method) == (same_auc, "bootstrap-works")
    assert interval.high - interval.low > 1.4 * (as_if_independent.high - as_if_independent.low)


@pytest.mark.parametrize("gap", [0.0, 1.0])
def test_the_interval_of_the_auc_covers_the_truth(gap):
    """Works of 3 clips. Of normal scores, the true AUC is Phi(gap / sd of a difference)."""
    from scipy.stats import norm

    truth = norm.cdf(gap / np.sqrt(2 * (1 + 0.3**2)))
    rng, hits = np.random.default_rng(1), []
    for seed in range(300):
        (positive, works_1), (negative, works_0) = of_works(rng, 40, gap), of_works(rng, 25)
        low, high, _ = membership_auc(positive, negative, seed, works_1, works_0)[1]
        hits.append(low <= truth <= high)
    assert 0.90 <= np.mean(hits) <= 0.99


def test_true_positives_by_hand():
    """One of 100 negatives may be above the threshold, which is therefore the second highest of them, 98."""
    negative, positive = np.arange(100.0), np.array([200, 99, 98.5, 98, 0, 0])
    rate, interval = true_positive_rate(positive, negative, seed=0)
    assert rate == 0.5
    assert interval.low < 0.5 < interval.high
    assert true_positive_rate(positive, negative, seed=0, false_positives=0.02)[0] == pytest.approx(4 / 6)
    assert true_positive_rate(positive, np.zeros(100), seed=0)[0] == pytest.approx(4 / 6)


def test_no_true_positive_is_not_certainly_none():
    rate, interval = true_positive_rate(np.zeros(30), np.arange(100.0) + 1, 0, positive_works=np.arange(30) // 3)
    assert (rate, interval.low, interval.method) == (0, 0, "clopper-pearson")
    assert interval.high == pytest.approx(0.3085, abs=1e-4)  # of 10 works


def test_a_set_that_was_learned_is_found_as_a_whole():
    """No single work stands out: the AUC of one feature is 0.64."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 4)) + 0.5, rng.normal(size=(60, 4))
    p, effect = dataset_inference(*features, seed=0)
    assert p < 0.01
    assert 0.5 < effect < 1.5
    assert (p, effect) == dataset_inference(*features, seed=0)
    assert p != dataset_inference(*features, seed=1)[0]


def test_whichever_way_the_learned_set_differs():
    rng = np.random.default_rng(0)
    lower = dataset_inference(rng.normal(size=(60, 4)) - 0.5, rng.normal(size=(60, 4)), seed=0)
    assert lower[0] < 0.01
    assert lower[1] > 0.5


def test_p_is_no_smaller_than_it_says_where_nothing_was_learned():
    """150 sets of 30 and 16 works of 3 clips, each work with its own mean: p is conservative."""
    rng, p_values = np.random.default_rng(0), []
    for seed in range(150):
        sides = [
            rng.normal(size=(n, 1, 4)) + 0.3 * rng.normal(size=(n, 3, 4))
            for n in (30, 16)
        ]  # fmt: skip
        p_values.append(dataset_inference(*(side.mean(axis=1) for side in sides), seed, splits=5)[0])
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(p_values) <= level) <= level
    assert min(p_values) < 0.6


def test_sides_too_small_to_halve_are_refused():
    with pytest.raises(ValueError, match="3 and 9 works"):
        dataset_inference(np.zeros((3, 2)), np.zeros((9, 2)), seed=0)


def test_rows(scores, tokens, split, pick):
    rows = measure_membership(split, scores, tokens).rows
    assert (rows["set"] == "forget_vs_holdout").all()
    row = pick(rows, "forget_vs_holdout", "membership_auc")
    assert (row["n"], row["n_works"], row["ci_method"], row["weights_sha256"]) == (20, 20, "delong", "abc")
    assert 0 < row["ci_low"] < row["value"] < row["ci_high"] < 1
    # The worst tokens are those of the last codebook, which is as far above the mean for every clip.
    assert pick(rows, "forget_vs_holdout", "membership_auc_min_k_10")["value"] == pytest.approx(row["value"])
    assert pick(rows, "forget_vs_holdout", "membership_tpr")["status"] == "too few holdout clips: 10 < 100"
    p = pick(rows, "forget_vs_holdout", "dataset_inference_p")
    assert 0 < p["value"] <= 1
    assert (p["status"], p["ci_method"]) == ("ok", "")


def test_a_learned_set_has_an_auc_of_one(scores, tokens, split, pick):
    rows = measure_membership(split, shift(scores, "forget", "caption", -1.0), tokens).rows
    for metric in ("membership_auc", "membership_auc_truth_ratio"):
        row = pick(rows, "forget_vs_holdout", metric)
        assert row["value"] == 1
        assert row["ci_low"] < 0.75
    assert pick(rows, "forget_vs_holdout", "dataset_inference_p")["value"] < 0.05


def test_features_see_one_clip_each(scores, tokens, split):
    features = clip_features(scores, tokens, split)
    assert len(features) == 40
    np.testing.assert_allclose(features["caption_gain"], 0.3)
    np.testing.assert_allclose(np.exp(features["truth_ratio"]), (np.exp(-0.4) + np.exp(-0.6)) / 2)
    assert (features["token_match_0"] == 1).all()


def test_too_few_clips_or_works_have_a_status(scores, tokens, split, pick):
    none = split[~((split["set"] == "holdout") & (split["part"] == "test"))]
    rows = measure_membership(none, scores, tokens).rows
    statuses = dict(zip(rows["metric"], rows["status"]))
    assert statuses["membership_auc"] == "too few clips: 0 < 5"
    assert statuses["dataset_inference_p"] == "too few works: 0 < 10"
    assert rows["value"].isna().all()
    paired = split.assign(work_id=split["work_id"].where(split["set"] != "holdout", "one"))
    row = pick(measure_membership(paired, scores, tokens).rows, "forget_vs_holdout", "membership_auc")
    assert row["status"] == "no interval: 1 works < 5"
    assert np.isfinite(row["value"])
    assert pd.isna(row["ci_low"])


def test_a_diverged_model_has_a_status(scores, tokens, split):
    stored, _ = tokens
    stored["nll"][:] = torch.nan
    rows = measure_membership(split, scores.assign(nll=np.nan), tokens).rows
    assert set(rows["status"]) == {"not finite", "too few holdout clips: 10 < 100"}
