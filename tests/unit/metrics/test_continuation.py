"""Continuation: copies of the recording, counted."""

import pandas as pd
import pytest

from noencore.metrics.continuation import measure_continuation

MATCH = {"forget-002": 1.0, "forget-003": 0.85, "forget-004": 0.8, "forget-005": 0.1, "forget-006": 0.0}


def continued(seconds, match):
    rows = [{"clip_id": clip, "set": "forget", "prompt_seconds": seconds, "match_0": m} for clip, m in match.items()]
    return pd.DataFrame(rows).assign(kind="continuation", eval_seed=float("nan")).eval("match_all = match_0 / 2")


@pytest.fixture
def measured(split):
    other = {"clip_id": "remain-002", "set": "remain", "kind": "continuation", "prompt_seconds": 1.0}
    prompt = {"clip_id": "forget-002", "set": "forget", "kind": "prompt", "eval_seed": 0}
    rows = pd.DataFrame([{**other, "match_0": 1.0, "match_all": 1.0}, prompt])
    without = continued(0, dict.fromkeys(MATCH, 0.0))
    return measure_continuation(split, pd.concat([without, continued(1.0, MATCH), rows]))


def test_matches_are_means_over_clips_and_copies_are_counted(measured, pick):
    matched = pick(measured.rows, "forget", "continuation_match_0_1s")
    assert matched["value"] == pytest.approx((1 + 0.85 + 0.8 + 0.1) / 5)
    assert (matched["n"], matched["n_works"], matched["ci_method"]) == (5, 5, "bootstrap-works")
    assert pick(measured.rows, "forget", "continuation_match_all_1s")["value"] == pytest.approx(matched["value"] / 2)
    assert pick(measured.rows, "forget", "continuation_exact_1s")["value"] == pytest.approx(1 / 5)
    assert pick(measured.rows, "forget", "continuation_near_1s")["value"] == pytest.approx(3 / 5)


def test_each_length_of_prompt_has_its_own_rows(measured, pick):
    assert pick(measured.rows, "forget", "continuation_match_0_0s")["value"] == 0
    assert pick(measured.rows, "forget", "continuation_exact_0s")["value"] == 0


def test_one_clip_has_a_rate_and_no_mean(measured, pick):
    assert pick(measured.rows, "remain", "continuation_match_0_1s")["status"] == "too few clips: 1 < 5"
    assert pick(measured.rows, "remain", "continuation_exact_1s")["ci_low"] == pytest.approx(0.025)


def test_the_values_of_clips_are_kept(measured):
    values = measured.values[measured.values["metric"] == "continuation_match_0_1s"]
    assert dict(zip(values["clip_id"], values["value"])) == {**MATCH, "remain-002": 1.0}
    assert (values["eval_seed"] == -1).all()
