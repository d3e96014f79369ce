"""One row of metrics.parquet, and the rule for a number that could not be had."""

import numpy as np
import pandas as pd

from noencore.errors import UserError
from noencore.metrics.intervals import Interval, bootstrap_interval, clopper_pearson

NUMBERS = ["value", "ci_low", "ci_high", "ci_method", "n"]
COLUMNS = ["set", "metric", *NUMBERS, "status", "weights_sha256", "reference_sha256"]  # of metrics.parquet
MINIMUM = 5  # clips behind a mean or an AUC; an exact rate needs one
NO_INTERVAL = Interval(np.nan, np.nan, "")


def metric_row(set_name, metric, n, minimum, compute, weights_sha256="", reference_sha256=""):
    """One row of metrics.parquet, a dict. `compute()` returns (value, Interval) and runs only if n >=
    minimum.

    With fewer clips, or a value that is not finite, the numbers stay empty and `status` says why: never a 0
    or a -1.
    """
    value, interval, status = np.nan, NO_INTERVAL, "ok"
    if n < minimum:
        status = f"too few clips: {n} < {minimum}"
    else:
        value, interval = compute()
        if not np.isfinite(value):
            value, interval, status = np.nan, NO_INTERVAL, "not finite"
    numbers = (value, interval.low, interval.high, interval.method, int(n), status)
    return dict(zip(COLUMNS, (set_name, metric, *numbers, weights_sha256, reference_sha256), strict=True))


def mean_row(set_name, metric, values, seed):
    """A row for the mean of per-clip values [n], with its bootstrap interval over clips.

    A clip whose value is missing or infinite makes the mean "not finite": leaving it out would flatter the
    model.
    """

    def mean_and_interval():
        mean = np.mean(values)
        return mean, bootstrap_interval(values, seed) if np.isfinite(mean) else NO_INTERVAL

    values = np.asarray(values, np.float64)
    return metric_row(set_name, metric, len(values), MINIMUM, mean_and_interval)


def rate_row(set_name, metric, hits):
    """A row for the share of clips with a property, [n] of true, false or (unknown) missing."""
    hits = np.asarray(hits, np.float64)

    def rate_and_interval():
        rate = hits.mean()
        return rate, clopper_pearson(hits.sum(), len(hits)) if np.isfinite(rate) else NO_INTERVAL

    return metric_row(set_name, metric, len(hits), 1, rate_and_interval)


def metric_frame(rows):
    """Rows to a frame with the columns of metrics.parquet, also where there is no row."""
    return pd.DataFrame(rows, columns=COLUMNS)


def clips_of_part(split, part):
    """A series clip_id -> set of one part of a split. UserError: an empty part or a clip in twice."""
    chosen = split[split["part"] == part]
    if chosen.empty:
        raise UserError(f"split.parquet: no clip in part {part!r}; the parts are {sorted(split['part'].unique())}")
    if chosen["clip_id"].duplicated().any():
        twice = chosen["clip_id"][chosen["clip_id"].duplicated()].iloc[0]
        raise UserError(f"split.parquet: clip {twice} occurs twice; make the split again")
    return chosen.set_index("clip_id")["set"]
