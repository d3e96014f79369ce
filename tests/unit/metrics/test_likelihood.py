"""Likelihood: means, worst tokens and matches of scores with known losses."""

import numpy as np
import pandas as pd
import pytest
import torch

from noencore.errors import UserError
from noencore.metrics.likelihood import clip_losses, measure_likelihood, min_k, token_match, wrong_losses


def test_clip_losses_are_means_over_codebooks(scores, split):
    losses = clip_losses(scores.sample(frac=1, random_state=0), split)
    assert list(losses.columns) == ["set", "caption", "null", "wrong", "q0", "q1", "q2", "q3"]
    assert len(losses) == 40
    np.testing.assert_allclose(losses["caption"], losses["q0"] + 0.15)
    np.testing.assert_allclose(losses["null"] - losses["caption"], 0.3)
    np.testing.assert_allclose(losses["wrong"] - losses["caption"], 0.5)


def test_wrong_losses_are_kept_apart_and_in_order(scores, split):
    losses = clip_losses(scores, split)
    np.testing.assert_allclose(
        wrong_losses(scores.sample(frac=1, random_state=0), losses.index),
        losses["caption"].to_numpy()[:, None] + [0.4, 0.6],
    )
    many = pd.concat([scores, *(more(scores, j) for j in range(2, 12))])
    np.testing.assert_allclose(wrong_losses(many, losses.index)[:, 10] - losses["caption"], 1.4)


def more(scores, j):
    """Scores under a further wrong caption, 0.4 + j / 10 above the own one."""
    first = scores[scores["condition"] == "wrong_0"]
    return first.assign(condition=f"wrong_{j}", nll=first["nll"] + j / 10)


def test_damaged_scores_are_refused(scores, split):
    with pytest.raises(UserError, match="twice"):
        clip_losses(pd.concat([scores, scores.head(1)]), split)
    with pytest.raises(UserError, match="null"):
        clip_losses(scores[scores["condition"] != "null"], split)
    with pytest.raises(UserError, match="wrong_0"):
        clip_losses(scores[~scores["condition"].str.startswith("wrong")], split)


NLL = np.array([[[1.0, 9.0, 3.0], [5.0, 2.0, 0.0]], [[4.0, 4.0, 4.0], [4.0, 4.0, 0.0]]])
VALID = np.array([[True, True, True], [True, True, False]])


@pytest.mark.parametrize(("share", "expected"), [(0.1, 9), (0.2, 9), (0.4, 7), (0.6, 17 / 3), (0.99, 19 / 4), (1, 4)])
def test_min_k_by_hand(share, expected):
    """The five valid tokens of the first clip are 9, 5, 3, 2, 1; those of the second are all alike."""
    np.testing.assert_allclose(min_k(NLL, VALID, share), [expected, 4])


def test_min_k_of_a_whole_number_of_tokens_is_not_one_less():
    nll = np.arange(10.0).reshape(1, 1, 10)
    assert min_k(nll, np.ones((1, 1, 10), bool), 0.7).tolist() == [6.0]


def test_min_k_looks_at_valid_tokens_only():
    """Likelihoods near 1 are NLLs near 0, and what is not valid is 0 as well."""
    assert min_k(-NLL - 1, VALID, 0.2).tolist() == [-2.0, -5.0]
    broken = NLL.copy()
    broken[0, 1, 2], broken[1, 0, 0] = np.nan, np.nan
    np.testing.assert_array_equal(min_k(broken, VALID, 0.4), [7.0, np.nan])


@pytest.mark.parametrize("share", [0, -0.1, 1.5])
def test_a_share_of_nothing_is_refused(share):
    with pytest.raises(ValueError, match="share"):
        min_k(NLL, VALID, share)


def test_matches_by_hand():
    rank = np.array([[[0, 9, 10], [0, 250, -1]], [[1, 1, 1], [1, 1, -1]]])
    assert token_match(rank).tolist() == [2 / 5, 0]
    assert token_match(rank, 10).tolist() == [3 / 5, 1]
    assert token_match(rank[:, :1]).tolist() == [1 / 3, 0]


def test_rows_of_each_set(scores, tokens, split, pick):
    measured = measure_likelihood(split, scores, tokens)
    assert len(measured.rows) == 4 * (7 + 3 + 4)
    test_clips = split.loc[(split["set"] == "remain") & (split["part"] == "test"), "clip_id"]
    chosen = scores[scores["clip_id"].isin(test_clips) & (scores["condition"] == "caption")]
    row = pick(measured.rows, "remain", "nll_caption")
    assert row["value"] == pytest.approx(chosen["nll"].mean())
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert (row["n"], row["n_works"], row["ci_method"], row["status"]) == (10, 10, "bootstrap-works", "ok")
    assert row["weights_sha256"] == "abc"
    last = chosen.loc[chosen["codebook"] == 3, "nll"].mean()
    assert pick(measured.rows, "remain", "nll_q3")["value"] == pytest.approx(last)
    # The tokens of the last codebook are the least likely, and there are 17 of 74.
    assert pick(measured.rows, "remain", "min_k_20")["value"] == pytest.approx(last)
    assert pick(measured.rows, "remain", "token_match_0")["value"] == 1
    assert pick(measured.rows, "remain", "token_match_all")["value"] == pytest.approx((20 + 10 + 9 + 9) / 74)
    assert pick(measured.rows, "remain", "token_match_all_top10")["value"] == 1
    pd.testing.assert_frame_equal(measured.rows, measure_likelihood(split, scores, tokens).rows)


def test_values_of_clips_are_kept(scores, tokens, split):
    values = measure_likelihood(split, scores, tokens).values
    losses = clip_losses(scores, split)
    of_metric = values[values["metric"] == "nll_wrong"].set_index("clip_id")["value"]
    pd.testing.assert_series_equal(of_metric.loc[losses.index], losses["wrong"], check_names=False)


def test_few_clips_have_a_status(scores, tokens, split, pick):
    dev = measure_likelihood(split, scores, tokens, part="dev").rows
    assert pick(dev, "forget", "nll_null")["status"] == "too few clips: 2 < 5"
    assert pick(dev, "forget", "min_k_10")[["value", "ci_low"]].isna().all()


def test_a_diverged_model_has_a_status(scores, tokens, split, pick):
    """Its ranks say nothing either."""
    broken = scores["clip_id"].eq("forget-003") & scores["condition"].eq("caption")
    stored, metadata = tokens
    stored = {name: tensor.clone() for name, tensor in stored.items()}
    stored["nll"][sorted(split["clip_id"]).index("forget-003"), 0, 5] = torch.nan
    scores["nll"] = scores["nll"].mask(broken, np.nan)
    rows = measure_likelihood(split, scores, (stored, metadata)).rows
    for metric in ("nll_caption", "min_k_10", "token_match_0"):
        assert pick(rows, "forget", metric)["status"] == "not finite"
        assert pick(rows, "remain", metric)["status"] == "ok"
    assert pick(rows, "forget", "nll_null")["status"] == "ok"
