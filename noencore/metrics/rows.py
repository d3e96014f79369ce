"""What a family of metrics gives: rows of metrics.parquet, and the values of single clips that they sum up."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from noencore.errors import UserError
from noencore.metrics.intervals import Interval, bootstrap_interval, clopper_pearson

NUMBERS = ["value", "ci_low", "ci_high", "ci_method", "n", "n_works", "d", "effective_rank", "seed"]
COLUMNS = ["set", "metric", *NUMBERS, "status", "weights_sha256", "reference_sha256"]  # of metrics.parquet
WHOLE_NUMBERS = ["n", "n_works", "d", "seed"]
VALUE_COLUMNS = ["set", "clip_id", "eval_seed", "metric", "value"]
NOT_SAMPLED = -1  # eval_seed of a value that no sampling went into
MINIMUM = 5  # clips, and works, behind a mean or an AUC; an exact rate needs one clip
NO_INTERVAL = Interval(np.nan, np.nan, "")


@dataclass(frozen=True)
class Measured:
    """rows: a frame of COLUMNS, a row a set and metric; values: a frame of VALUE_COLUMNS, a row a clip and seed."""

    rows: pd.DataFrame
    values: pd.DataFrame


def metric_row(set_name, metric, n, minimum, compute, **known):
    """One row of metrics.parquet, a dict. `compute()` returns (value, Interval) and runs only if n >= minimum.

    known: further columns. With fewer clips, or a value that is not finite, the numbers stay empty and `status` says
    why: never a 0 or a -1.
    """
    value, interval, status = np.nan, NO_INTERVAL, "ok"
    if n < minimum:
        status = f"too few clips: {n} < {minimum}"
    else:
        value, interval = compute()
        if not np.isfinite(value):
            value, interval, status = np.nan, NO_INTERVAL, "not finite"
    numbers = {"value": value, "ci_low": interval.low, "ci_high": interval.high, "ci_method": interval.method}
    row = {"set": set_name, "metric": metric, **numbers, "n": int(n), "status": status, **known}
    if unknown := set(row) - set(COLUMNS):
        raise TypeError(f"no columns of metrics.parquet: {sorted(unknown)}")
    return row


def mean_row(set_name, metric, values, works, seed, **known):
    """A row for the mean of per-clip values [n] of works [n], with its bootstrap interval.

    A clip whose value is missing or infinite makes the mean "not finite": leaving it out would flatter the model.
    """
    values, n_works = np.asarray(values, np.float64), len(set(works))

    def mean_and_interval():
        mean = np.mean(values)
        return mean, bootstrap_interval(values, seed, works) if np.isfinite(mean) else NO_INTERVAL

    row = metric_row(set_name, metric, len(values), MINIMUM, mean_and_interval, n_works=n_works, seed=seed, **known)
    return row | too_few_works(n_works) if row["status"] == "ok" else row


def too_few_works(n_works):
    """What replaces the interval of a row whose works are too few to resample: nothing where they are enough."""
    if n_works >= MINIMUM:
        return {}
    return {"ci_low": np.nan, "ci_high": np.nan, "ci_method": "", "status": f"no interval: {n_works} works < {MINIMUM}"}


def rate_row(set_name, metric, hits, **known):
    """A row for the share of clips with a property, [n] of true, false or (unknown) missing."""
    hits = np.asarray(hits, np.float64)

    def rate_and_interval():
        rate = hits.mean()
        return rate, clopper_pearson(hits.sum(), len(hits)) if np.isfinite(rate) else NO_INTERVAL

    return metric_row(set_name, metric, len(hits), 1, rate_and_interval, **known)


def mean_rows(values, works, seed, **known):
    """A row for each set and metric of `values` (VALUE_COLUMNS): a clip counts with its mean over eval seeds.

    works: series clip_id -> work (`works_of`).
    """
    by_clip = _by_clip(values, lambda group: group.mean(skipna=False))
    return [
        mean_row(set_name, metric, part.to_numpy(), works.loc[part.index.get_level_values("clip_id")].to_numpy(), seed,
                 **known)
        for (set_name, metric), part in by_clip
    ]  # fmt: skip


def rate_rows(values, **known):
    """A row for each set and metric of `values`, 1 or 0: a clip counts if it does so under any eval seed."""
    by_clip = _by_clip(values, lambda group: group.max(skipna=False))
    return [rate_row(set_name, metric, part.to_numpy(), **known) for (set_name, metric), part in by_clip]


def _by_clip(values, aggregate):
    keys = ["set", "metric", "clip_id"]
    return aggregate(values.groupby(keys, sort=False)["value"]).groupby(["set", "metric"], sort=False)


def tidy_values(wide, metrics):
    """Per-clip values of VALUE_COLUMNS from a frame with an index clip_id, a column `set`, one column a metric and,
    where something was sampled, `eval_seed`."""
    wide = wide.rename_axis("clip_id").reset_index()
    if "eval_seed" not in wide:
        wide = wide.assign(eval_seed=NOT_SAMPLED)
    keys = ["set", "clip_id", "eval_seed"]
    long = wide[[*keys, *metrics]].melt(keys, var_name="metric", value_name="value")
    return long[VALUE_COLUMNS].astype({"value": np.float64})


def no_values():
    """The values of a family that has none of single clips."""
    return pd.DataFrame(columns=VALUE_COLUMNS).astype({"eval_seed": np.int64, "value": np.float64})


def metric_frame(rows):
    """Rows to a frame with the columns of metrics.parquet, also where there is no row."""
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype({name: "Int64" for name in WHOLE_NUMBERS})


def works_of(split):
    """A series clip_id -> work_id of a split."""
    return split.set_index("clip_id")["work_id"]


def clips_of_part(split, part):
    """A series clip_id -> set of one part of a split. UserError: an empty part or a clip in twice."""
    chosen = split[split["part"] == part]
    if chosen.empty:
        raise UserError(f"split.parquet: no clip in part {part!r}; the parts are {sorted(split['part'].unique())}")
    if chosen["clip_id"].duplicated().any():
        twice = chosen["clip_id"][chosen["clip_id"].duplicated()].iloc[0]
        raise UserError(f"split.parquet: clip {twice} occurs twice; make the split again")
    return chosen.set_index("clip_id")["set"]
