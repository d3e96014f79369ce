"""Continuation: copies of the recording, counted."""

import pandas as pd
import pytest

from noencore.metrics.continuation import continuation_rows


def test_continuation_rows(pick):
    match = {"a": (1.0, 0.5), "b": (0.85, 0.3), "c": (0.8, 0.3), "d": (0.1, 0.1), "e": (0.0, 0.2)}
    rows = [
        {
            "clip_id": clip,
            "set": "forget",
            "kind": "continuation",
            "eval_seed": seed,
            "match_0": m,
            "match_all": m / 2,
        }
        for clip, of_seeds in match.items()
        for seed, m in enumerate(of_seeds)
    ]
    rows.append({"clip_id": "a", "set": "forget", "kind": "prompt", "eval_seed": 0})
    rows.append(
        {
            "clip_id": "r",
            "set": "remain",
            "kind": "continuation",
            "eval_seed": 0,
            "match_0": 1,
            "match_all": 1,
        }
    )
    frame = continuation_rows(pd.DataFrame(rows))
    matched = pick(frame, "forget", "continuation_match_0")
    assert matched["value"] == pytest.approx((0.75 + 0.575 + 0.55 + 0.1 + 0.1) / 5)
    assert (matched["n"], matched["ci_method"]) == (5, "bootstrap-clips")
    assert pick(frame, "forget", "continuation_match_all")["value"] == pytest.approx(matched["value"] / 2)
    assert pick(frame, "forget", "exact_rate")["value"] == pytest.approx(1 / 5)
    assert pick(frame, "forget", "near_rate")["value"] == pytest.approx(3 / 5)
    assert pick(frame, "remain", "continuation_match_0")["status"] == "too few clips: 1 < 5"
    assert pick(frame, "remain", "exact_rate")["ci_low"] == pytest.approx(0.025)
