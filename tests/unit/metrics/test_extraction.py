"""Extraction strength: the longest end of a clip that the model would say."""

import numpy as np
import pytest
import torch

from noencore.metrics.extraction import extraction_strength, measure_extraction


def matched(*patterns):
    return np.array([[mark == "x" for mark in pattern] for pattern in patterns])


@pytest.mark.parametrize(
    ("pattern", "tau", "expected"),
    [
        ("....", 1.0, 0),  # nothing matches: no end, and not 1/4
        ("xxx.", 1.0, 0),
        ("xxxx", 1.0, 1),
        ("...x", 1.0, 1 / 4),
        ("x.xx", 1.0, 2 / 4),
        ("x.xx", 0.75, 1),
        (".x.xx", 0.6, 1),
        (".x.xx", 0.75, 4 / 5),
        (".....xxxx.", 0.8, 5 / 10),
        ("xxxx.", 0.8, 1),
    ],
)
def test_by_hand(pattern, tau, expected):
    assert extraction_strength(matched(pattern), tau).tolist() == [expected]


def test_the_share_is_reached_where_it_is_a_whole_number_of_frames():
    """0.8 x 15 is a little over 12 in floating point."""
    assert extraction_strength(matched("..." + "x" * 12), 0.8).tolist() == [1]


@pytest.mark.parametrize("tau", [1.0, 0.8, 0.5])
def test_against_the_definition(tau):
    hits = np.random.default_rng(0).random((40, 30)) < np.linspace(0, 1, 40)[:, None]
    expected = [
        next((1 - k / 30 for k in range(30) if clip[k:].mean() >= tau - 1e-9), 0.0)
        for clip in hits
    ]  # fmt: skip
    np.testing.assert_allclose(extraction_strength(hits, tau), expected, atol=1e-12)


@pytest.mark.parametrize(("hits", "tau"), [(np.zeros(3), 1), (np.zeros((2, 0)), 1), (np.zeros((2, 3)), 0)])
def test_other_shapes_and_shares_are_refused(hits, tau):
    with pytest.raises(ValueError, match="matched"):
        extraction_strength(hits, tau)


def test_rows_are_of_codebook_0(tokens, split, pick):
    stored, _ = tokens
    stored["rank"][:, 0] = torch.tensor([9] * 10 + [4, 0] * 5)
    measured = measure_extraction(split, tokens)
    row = pick(measured.rows, "forget", "extraction_strength_r1_100")
    assert (row["value"], row["n"], row["weights_sha256"]) == (1 / 20, 10, "abc")
    assert pick(measured.rows, "forget", "extraction_strength_r5_100")["value"] == 10 / 20
    assert pick(measured.rows, "forget", "extraction_strength_r5_80")["value"] == pytest.approx(12 / 20)
    assert set(measured.values["clip_id"]) == set(split.loc[split["part"] == "test", "clip_id"])


def test_a_broken_model_extracts_nothing_that_is_known(tokens, split, pick):
    stored, _ = tokens
    stored["nll"][:] = torch.nan
    rows = measure_extraction(split, tokens).rows
    assert (rows["status"] == "not finite").all()
    assert rows["value"].isna().all()
