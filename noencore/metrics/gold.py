"""Nearness to gold: how differently two models spread their losses over the same clips."""

import math

import numpy as np
import pandas as pd

from noencore.experiment import split_model_name
from noencore.metrics.intervals import LEVEL, Interval
from noencore.metrics.likelihood import clip_losses
from noencore.metrics.rows import MINIMUM, metric_row
from noencore.split import SETS


def ks_distance(x, others):
    """Kolmogorov-Smirnov distance of values x [n] to each of `others` (arrays [n]), the mean: (distance, Interval).

    The interval is that of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (1990): every empirical distribution
    function is within e of the true one, so a distance is within 2e. It assumes nothing, not even that the values of a
    clip under two models are independent, and is wide for it: a bootstrap of a distance misses a small one altogether.
    """
    from scipy.stats import ks_2samp

    distance = float(np.mean([ks_2samp(x, other).statistic for other in others]))
    half = 2 * math.sqrt(math.log(2 * (1 + len(others)) / (1 - LEVEL)) / (2 * len(x)))
    return distance, Interval(max(0.0, distance - half), min(1.0, distance + half), "dkw")


def gold_rows(scores, split, part="test"):
    """Rows of ks_gold for every model and set, with a column `model`: KS distance of the NLLs to a gold model's.

    scores: dict model -> frame of scores.parquet. The mean over gold models; for a gold model over the others, which
    is the band that two perfect models are apart. Empty, with a status, where there is no such gold model.
    """
    losses = {model: clip_losses(frame, split, part) for model, frame in scores.items()}
    rows = []
    for model, of_model in losses.items():
        gold = [frame for other, frame in losses.items() if split_model_name(other)[0] == "gold" and other != model]
        for name in [name for name in SETS if name in set(of_model["set"])]:
            rows.append({"model": model, **_row(name, of_model, gold)})
    return pd.DataFrame(rows)


def _row(name, of_model, gold):
    """One row of metrics.parquet for one set."""
    values = of_model.loc[of_model["set"] == name, "caption"]
    others = [frame["caption"].reindex(values.index).to_numpy(float) for frame in gold]

    finite = np.isfinite([values.to_numpy(float), *others]).all()
    row = metric_row(
        name, "ks_gold", len(values) if others and finite else 0, MINIMUM, lambda: ks_distance(values, others)
    )
    if not others:
        return row | {"n": 0, "status": "no other gold model"}
    return row if finite else row | {"n": len(values), "status": "not finite"}
