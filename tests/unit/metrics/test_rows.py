"""One row of metrics.parquet: statuses instead of made-up numbers."""

import numpy as np
import pandas as pd
import pytest

from noencore.errors import UserError
from noencore.metrics.intervals import Interval
from noencore.metrics.rows import (
    COLUMNS,
    VALUE_COLUMNS,
    clips_of_part,
    mean_row,
    mean_rows,
    metric_frame,
    metric_row,
    rate_row,
    rate_rows,
    tidy_values,
    works_of,
)


def assert_empty(row, status):
    assert row["status"] == status
    assert row["ci_method"] == ""
    assert np.isnan([row["value"], row["ci_low"], row["ci_high"]]).all()


def test_too_few_clips_are_a_status_and_nothing_is_computed():
    row = metric_row("forget", "fad", 3, 10, lambda: pytest.fail("computed"), weights_sha256="weights")
    assert_empty(row, "too few clips: 3 < 10")
    assert (row["n"], row["weights_sha256"]) == (3, "weights")
    assert_empty(mean_row("forget", "nll", [1.0] * 4, range(4), seed=0), "too few clips: 4 < 5")
    assert_empty(rate_row("forget", "silence_rate", []), "too few clips: 0 < 1")


def test_a_value_that_is_not_finite_is_a_status():
    assert_empty(mean_row("forget", "nll", [1.0, 2, 3, 4, np.inf], range(5), seed=0), "not finite")
    assert_empty(mean_row("forget", "nll", [1.0, 2, 3, 4, np.nan], range(5), seed=0), "not finite")
    assert_empty(rate_row("forget", "rate", [True, np.nan]), "not finite")


def test_a_row_holds_its_numbers():
    row = metric_row("forget", "fad", 30, 10, lambda: (-0.5, Interval(-1.0, 0.2, "jackknife-t")))
    assert (row["value"], row["ci_low"], row["ci_high"], row["ci_method"]) == (-0.5, -1.0, 0.2, "jackknife-t")
    assert (row["n"], row["status"]) == (30, "ok")
    assert rate_row("forget", "rate", [True, False, False, True])["value"] == 0.5


def test_a_frame_without_rows_keeps_its_columns():
    assert list(metric_frame([]).columns) == COLUMNS


def test_a_column_that_does_not_exist_is_a_mistake():
    with pytest.raises(TypeError, match="weights"):
        rate_row("forget", "rate", [True], weights="x")


def test_works_too_few_to_resample_leave_the_value_without_interval():
    row = mean_row("forget", "nll", [1.0, 2, 3, 4, 5, 6], ["a", "a", "b", "b", "c", "c"], seed=0)
    assert (row["value"], row["n"], row["n_works"], row["status"]) == (3.5, 6, 3, "no interval: 3 works < 5")
    assert np.isnan(row["ci_low"])


def test_rows_of_tidy_values(split):
    """A clip counts with its mean over eval seeds in a mean, and with any of them in a rate."""
    ids = [f"forget-{i:03}" for i in range(2, 8)]
    wide = pd.DataFrame({"set": "forget", "eval_seed": 0, "score": np.arange(6.0), "hit": 0.0}, index=ids)
    other = wide.assign(eval_seed=1, score=wide["score"] + 2, hit=[1.0, 0, 0, 0, 0, 0])
    values = tidy_values(pd.concat([wide, other]), ["score", "hit"])
    assert list(values.columns) == VALUE_COLUMNS
    (mean,) = mean_rows(values[values["metric"] == "score"], works_of(split), 0, weights_sha256="w")
    assert mean == mean_row("forget", "score", np.arange(6) + 1, ids, 0, weights_sha256="w")
    (rate,) = rate_rows(values[values["metric"] == "hit"])
    assert rate == rate_row("forget", "hit", [True, *[False] * 5])


def test_parts_of_a_split(split):
    assert len(clips_of_part(split, "test")) == 40
    assert clips_of_part(split, "dev")["forget-001"] == "forget"
    with pytest.raises(UserError, match="no clip in part 'train'"):
        clips_of_part(split, "train")
    with pytest.raises(UserError, match="forget-000 occurs twice"):
        clips_of_part(pd.concat([split, split.head(1)]), "dev")
