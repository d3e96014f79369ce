"""Collapse: what a listener would hear at once, counted."""

import pandas as pd
import pytest

from noencore.metrics.collapse import measure_collapse


@pytest.fixture
def measured(split):
    """Ten prompts under two eval seeds: under the second, one is silent, one clipped, one stuck, one on two tokens."""
    ids = [f"forget-{i:03}" for i in range(2, 12)]
    good = {"set": "forget", "kind": "prompt", "silent": False, "clipped": 0.001, "repeated": 0.5, "token_entropy": 3.0}
    first = pd.DataFrame([{"clip_id": clip, "eval_seed": 0.0, **good} for clip in ids])
    second = first.assign(eval_seed=1.0)
    second.loc[0, "silent"] = True
    second.loc[1, "clipped"] = 0.002
    second.loc[2, "repeated"] = 0.9
    second.loc[3, "token_entropy"] = 0.4
    continuation = pd.DataFrame([{"clip_id": ids[0], "set": "forget", "kind": "continuation"}])
    return measure_collapse(split, pd.concat([first, second, continuation]))


def test_a_prompt_counts_if_any_eval_seed_fails(measured, pick):
    rates = {"silence_rate": 0.1, "clipping_rate": 0.1, "collapse_rate": 0.2}
    for metric, rate in rates.items():
        row = pick(measured.rows, "forget", metric)
        assert (row["value"], row["n"], row["ci_method"]) == (pytest.approx(rate), 10, "clopper-pearson")


def test_entropy_and_repetition_are_means_over_prompts(measured, pick):
    assert pick(measured.rows, "forget", "token_entropy")["value"] == pytest.approx(3 - 2.6 / 20)
    assert pick(measured.rows, "forget", "repeated_frames")["value"] == pytest.approx(0.5 + 0.4 / 20)
    assert len(measured.values) == 2 * 10 * 5
