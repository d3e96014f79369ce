"""Likelihood, association and membership: rows from scores with known losses."""

import numpy as np
import pandas as pd
import pytest

from noencore.errors import UserError
from noencore.metrics.association import association_rows
from noencore.metrics.likelihood import clip_losses, likelihood_rows
from noencore.metrics.membership import membership_rows


def shift(scores, set_name, condition, by):
    """The scores with the NLL of a set and condition moved."""
    chosen = scores["clip_id"].str.startswith(set_name) & (scores["condition"] == condition)
    return scores.assign(nll=scores["nll"].where(~chosen, scores["nll"] + by))


def test_clip_losses_are_means_over_codebooks(scores, split):
    losses = clip_losses(scores.sample(frac=1, random_state=0), split)
    assert list(losses.columns) == ["set", "caption", "null", "wrong", "q0", "q1", "q2", "q3"]
    assert len(losses) == 40
    np.testing.assert_allclose(losses["caption"], losses["q0"] + 0.15)
    np.testing.assert_allclose(losses["null"] - losses["caption"], 0.3)


def test_likelihood_rows(scores, split, pick):
    frame = likelihood_rows(scores, split)
    assert len(frame) == 4 * 7
    test_clips = split.loc[(split["set"] == "remain") & (split["part"] == "test"), "clip_id"]
    chosen = scores[scores["clip_id"].isin(test_clips) & (scores["condition"] == "caption")]
    row = pick(frame, "remain", "nll_caption")
    assert row["value"] == pytest.approx(chosen["nll"].mean())
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert (row["n"], row["ci_method"], row["status"]) == (10, "bootstrap-clips", "ok")
    q2 = chosen.loc[chosen["codebook"] == 2, "nll"].mean()
    assert pick(frame, "remain", "nll_q2")["value"] == pytest.approx(q2)
    pd.testing.assert_frame_equal(frame, likelihood_rows(scores, split))
    assert pick(likelihood_rows(scores, split, part="dev"), "forget", "nll_null")["status"] == "too few clips: 2 < 5"


def test_a_diverged_model_has_a_status(scores, split, pick):
    frame = likelihood_rows(shift(scores, "forget-003", "caption", np.inf), split)
    assert pick(frame, "forget", "nll_caption")["status"] == "not finite"
    assert pick(frame, "forget", "nll_null")["status"] == "ok"
    broken = shift(scores, "forget", "caption", np.nan)
    assert pick(association_rows(broken, split), "forget", "caption_preferred")["status"] == "not finite"
    assert membership_rows(broken, split)["status"].tolist() == ["not finite"]


def test_damaged_scores_are_refused(scores, split):
    with pytest.raises(UserError, match="twice"):
        clip_losses(pd.concat([scores, scores.head(1)]), split)
    with pytest.raises(UserError, match="null"):
        clip_losses(scores[scores["condition"] != "null"], split)


def test_association_rows(scores, split, pick):
    frame = association_rows(shift(scores, "forget-005", "wrong", -1.0), split)
    assert pick(frame, "remain", "caption_gain")["value"] == pytest.approx(0.3)
    assert pick(frame, "remain", "wrong_caption_gain")["value"] == pytest.approx(0.5)
    assert pick(frame, "remain", "caption_preferred")["value"] == 1
    assert pick(frame, "forget", "wrong_caption_gain")["value"] == pytest.approx(0.4)
    preferred = pick(frame, "forget", "caption_preferred")
    assert (preferred["value"], preferred["ci_method"]) == (0.9, "clopper-pearson")


def test_membership_rows(scores, split):
    (row,) = membership_rows(scores, split).to_dict("records")
    assert (row["set"], row["metric"], row["n"]) == ("forget_vs_holdout", "membership_auc", 20)
    assert 0 < row["ci_low"] < row["value"] < row["ci_high"] < 1
    learned = membership_rows(shift(scores, "forget", "caption", -1.0), split).iloc[0]
    assert learned["value"] == 1
    assert learned["ci_low"] < 0.75
    few = membership_rows(scores, split[~((split["set"] == "holdout") & (split["part"] == "test"))]).iloc[0]
    assert (few["status"], few["n"]) == ("too few clips: 0 < 5", 10)
