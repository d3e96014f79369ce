"""One row of metrics.parquet: statuses instead of made-up numbers."""

import numpy as np
import pandas as pd
import pytest

from noencore.errors import UserError
from noencore.metrics.intervals import Interval
from noencore.metrics.rows import clips_of_part, mean_row, metric_frame, metric_row, rate_row


def assert_empty(row, status):
    assert row["status"] == status
    assert row["ci_method"] == ""
    assert np.isnan([row["value"], row["ci_low"], row["ci_high"]]).all()


def test_too_few_clips_are_a_status_and_nothing_is_computed():
    row = metric_row("forget", "fad", 3, 10, lambda: pytest.fail("computed"), "weights", "reference")
    assert_empty(row, "too few clips: 3 < 10")
    assert (row["n"], row["weights_sha256"], row["reference_sha256"]) == (3, "weights", "reference")
    assert_empty(mean_row("forget", "nll", [1.0] * 4, seed=0), "too few clips: 4 < 5")
    assert_empty(rate_row("forget", "silence_rate", []), "too few clips: 0 < 1")


def test_a_value_that_is_not_finite_is_a_status():
    assert_empty(mean_row("forget", "nll", [1.0, 2, 3, 4, np.inf], seed=0), "not finite")
    assert_empty(mean_row("forget", "nll", [1.0, 2, 3, 4, np.nan], seed=0), "not finite")
    assert_empty(rate_row("forget", "rate", [True, np.nan]), "not finite")


def test_a_row_holds_its_numbers():
    row = metric_row("forget", "fad", 30, 10, lambda: (-0.5, Interval(-1.0, 0.2, "jackknife-t")))
    assert (row["value"], row["ci_low"], row["ci_high"], row["ci_method"]) == (-0.5, -1.0, 0.2, "jackknife-t")
    assert (row["n"], row["status"]) == (30, "ok")
    assert rate_row("forget", "rate", [True, False, False, True])["value"] == 0.5


def test_a_frame_without_rows_keeps_its_columns():
    columns = "set metric value ci_low ci_high ci_method n status weights_sha256 reference_sha256"
    assert list(metric_frame([]).columns) == columns.split()


def test_parts_of_a_split(split):
    assert len(clips_of_part(split, "test")) == 40
    assert clips_of_part(split, "dev")["forget-001"] == "forget"
    with pytest.raises(UserError, match="no clip in part 'train'"):
        clips_of_part(split, "train")
    with pytest.raises(UserError, match="forget-000 occurs twice"):
        clips_of_part(pd.concat([split, split.head(1)]), "dev")
