"""Association: what the own caption buys, against none and against wrong ones."""

import numpy as np
import pytest

from noencore.metrics.association import bounded_truth_ratio, caption_rank, caption_truth_ratio, measure_association

OWN = np.array([1.0, 2.0, 3.0])
WRONG = np.array([[2.0, 3.0], [2.0, 2.0], [2.0, 3.0]])


def test_the_truth_ratio_by_hand():
    expected = [(np.exp(-1) + np.exp(-2)) / 2, 1, (np.exp(1) + 1) / 2]
    np.testing.assert_allclose(caption_truth_ratio(OWN, WRONG), expected, rtol=1e-12)
    np.testing.assert_allclose(bounded_truth_ratio(OWN, WRONG), [r / (1 + r) for r in expected], rtol=1e-12)


def test_the_bounded_ratio_stands_what_the_ratio_does_not():
    own, wrong = np.array([2000.0, 0.0]), np.array([[0.0], [2000.0]])
    with np.errstate(over="ignore"):
        assert caption_truth_ratio(own, wrong).tolist() == [np.inf, 0]
        assert bounded_truth_ratio(own, wrong).tolist() == [1, 0]


def test_ranks_by_hand_and_by_sorting():
    assert caption_rank(OWN, WRONG).tolist() == [1, 2, 2.5]
    assert caption_rank(np.array([1.0]), np.full((1, 4), 1.0)).tolist() == [3]
    rng = np.random.default_rng(0)
    own, wrong = rng.normal(size=50), rng.normal(size=(50, 7))
    by_sorting = np.column_stack([own, wrong]).argsort(axis=1).argmin(axis=1) + 1
    assert caption_rank(own, wrong).tolist() == by_sorting.tolist()
    assert set(by_sorting) == set(range(1, 9))


def test_what_is_not_finite_has_no_rank():
    own, wrong = np.array([np.nan, 1.0, np.inf, 1.0]), np.array([[1.0, 2.0], [np.nan, 2.0], [1.0, 2.0], [0.0, 2.0]])
    np.testing.assert_array_equal(caption_rank(own, wrong), [np.nan, np.nan, np.nan, 2])
    assert np.isnan(caption_truth_ratio(own, wrong)).tolist() == [True, True, True, False]


@pytest.mark.parametrize("wrong", [np.zeros((3, 0)), np.zeros((2, 4)), np.zeros(3)])
def test_wrong_captions_have_to_be_those_of_the_clips(wrong):
    with pytest.raises(ValueError, match="are not"):
        caption_rank(OWN, wrong)


def test_rows_of_each_set(scores, split, pick):
    rows = measure_association(split, scores).rows
    assert pick(rows, "remain", "caption_gain")["value"] == pytest.approx(0.3)
    assert pick(rows, "remain", "wrong_caption_gain")["value"] == pytest.approx(0.5)
    ratio = (np.exp(-0.4) + np.exp(-0.6)) / 2
    assert pick(rows, "remain", "caption_truth_ratio")["value"] == pytest.approx(ratio)
    assert pick(rows, "remain", "caption_truth_ratio_bounded")["value"] == pytest.approx(ratio / (1 + ratio))
    for metric, best in (("caption_rank", 1), ("caption_rank_normalised", 0), ("caption_top1", 1)):
        assert pick(rows, "remain", metric)["value"] == best
    assert (rows["weights_sha256"] == "abc").all()


def test_one_clip_that_prefers_a_wrong_caption(scores, split, pick):
    """Its second wrong caption beats the own one, and the mean of both does not."""
    moved = scores["clip_id"].eq("forget-005") & scores["condition"].eq("wrong_1")
    scores["nll"] = scores["nll"].where(~moved, scores["nll"] - 0.9)
    rows = measure_association(split, scores).rows
    assert pick(rows, "forget", "caption_preferred")["value"] == 1
    assert pick(rows, "forget", "caption_top1")["value"] == 0.9
    assert pick(rows, "forget", "caption_top1")["ci_method"] == "clopper-pearson"
    assert pick(rows, "forget", "caption_rank")["value"] == pytest.approx(1.1)
    assert pick(rows, "forget", "caption_rank_normalised")["value"] == pytest.approx(0.05)


def test_a_model_that_ignores_captions_is_at_chance(scores, split, pick):
    own = scores[scores["condition"] == "caption"].set_index(["clip_id", "codebook"])["nll"]
    scores["nll"] = own.loc[list(zip(scores["clip_id"], scores["codebook"], strict=True))].to_numpy()
    rows = measure_association(split, scores).rows
    expected = {
        "caption_gain": 0,
        "caption_truth_ratio": 1,
        "caption_truth_ratio_bounded": 0.5,
        "caption_rank": 2,
        "caption_rank_normalised": 0.5,
        "caption_preferred": 0,
        "caption_top1": 0,
    }
    for metric, value in expected.items():
        assert pick(rows, "utility", metric)["value"] == pytest.approx(value)


def test_a_clip_that_is_not_finite_counts_as_unknown(scores, split, pick):
    scores["nll"] = scores["nll"].mask(scores["clip_id"].eq("forget-003"), np.nan)
    rows = measure_association(split, scores).rows
    for metric in ("caption_gain", "caption_truth_ratio", "caption_rank", "caption_preferred", "caption_top1"):
        assert pick(rows, "forget", metric)["status"] == "not finite"
