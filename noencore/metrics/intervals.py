"""Intervals at 95 %; whatever draws takes an integer seed.

The unit that is resampled is the work: several clips come from one recording, are alike, and move together. Functions
take `works`, one label a value; without them every value is a work of its own.
"""

from typing import NamedTuple

import numpy as np

LEVEL = 0.95
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
DRAWS = 2000


class Interval(NamedTuple):
    """A confidence interval and the name of the method that made it."""

    low: float
    high: float
    method: str


def number_works(works, n):
    """Labels [n] to numbers 0 ... m - 1, int [n]; None to 0 ... n - 1."""
    return np.arange(n) if works is None else np.unique(np.asarray(works), return_inverse=True)[1]


def draw_works(m, seed, draws=DRAWS):
    """How often each of m works is in a resample of m: int [draws, m]."""
    return np.random.default_rng(seed).multinomial(m, np.full(m, 1 / m), size=draws)


def bootstrap_means(values, seed, works=None, draws=DRAWS):
    """Means over resampled works: values [n] or [n, k] -> [draws] or [draws, k], paired over k."""
    values = np.asarray(values, np.float64)
    number = number_works(works, len(values))
    m = number.max() + 1
    sums = np.zeros((m, *values.shape[1:]))
    np.add.at(sums, number, values)
    drawn = draw_works(m, seed, draws)
    sizes = drawn @ np.bincount(number)
    return drawn @ sums / (sizes[:, None] if values.ndim > 1 else sizes)


def percentile_interval(replicates, works=None):
    """Percentile interval of bootstrap replicates [draws]; `works` says what was resampled."""
    low, high = np.quantile(replicates, TAILS)
    return Interval(float(low), float(high), "bootstrap-clips" if works is None else "bootstrap-works")


def bootstrap_interval(values, seed, works=None):
    """Percentile bootstrap of the mean of values [n], which may be paired differences."""
    return percentile_interval(bootstrap_means(values, seed, works), works)


def bootstrap_auc(positive, negative, seed, positive_works=None, negative_works=None):
    """Interval of the area under the ROC curve of scores [n1] against [n0], works resampled within each side.

    Where the two sides do not overlap no resample does: the interval is then that of all of the smaller side's works on
    the right side (Clopper-Pearson).
    """
    positive, negative = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    above = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    number_1 = number_works(positive_works, len(positive))
    number_0 = number_works(negative_works, len(negative))
    m1, m0 = number_1.max() + 1, number_0.max() + 1
    auc = above.mean()
    if auc in (0.0, 1.0):
        return clopper_pearson(int(auc) * min(m1, m0), min(m1, m0))
    sums = np.eye(m1)[number_1].T @ above @ np.eye(m0)[number_0]
    drawn_1, drawn_0 = draw_works(m1, seed), draw_works(m0, seed + 1)
    pairs = (drawn_1 @ np.bincount(number_1)) * (drawn_0 @ np.bincount(number_0))
    return percentile_interval(((drawn_1 @ sums) * drawn_0).sum(axis=1) / pairs, positive_works)


def t_interval(values):
    """Student's interval of the mean of values [n], n > 1."""
    from scipy.stats import t

    values = np.asarray(values, np.float64)
    half = t.ppf(TAILS[1], len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(float(values.mean() - half), float(values.mean() + half), "t")


def clopper_pearson(hits, n):
    """Exact binomial interval of a rate, `hits` of `n` clips."""
    from scipy.stats import beta

    low = beta.ppf(TAILS[0], hits, n - hits + 1) if hits > 0 else 0.0
    high = beta.ppf(TAILS[1], hits + 1, n - hits) if hits < n else 1.0
    return Interval(float(low), float(high), "clopper-pearson")


def delong(positive, negative):
    """Area under the ROC curve of scores [n1] against [n0], with DeLong's interval: (auc, Interval).

    auc = P(positive > negative) + P(equal) / 2. Variance from the midranks of DeLong et al. (1988) in the
    form of Sun and Xu (2014). Where the two do not overlap that variance is zero: the interval is then that
    of all of min(n1, n0) clips on the right side (Clopper-Pearson).
    """
    from scipy.stats import norm, rankdata

    positive, negative = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    n1, n0 = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:n1] - rankdata(positive)) / n0  # for each positive: the share of negatives below it
    below = 1 - (ranks[n1:] - rankdata(negative)) / n1  # for each negative: the share of positives above it
    auc = float(above.mean())
    spread = np.sqrt(above.var(ddof=1) / n1 + below.var(ddof=1) / n0)
    if spread == 0 and auc in (0.0, 1.0):
        n = min(n1, n0)
        return auc, clopper_pearson(int(auc) * n, n)
    half = norm.ppf(TAILS[1]) * spread
    return auc, Interval(float(max(auc - half, 0)), float(min(auc + half, 1)), "delong")


def jackknife_groups(n, seed, works=None, groups=20):
    """Which of n clips a delete-a-group jackknife keeps in each turn: bool [groups, n].

    The works are dealt at random into min(groups, works) groups of equal size, give or take one.
    """
    number = number_works(works, n)
    m = number.max() + 1
    groups = min(groups, m)
    group = np.empty(m, dtype=int)
    group[np.random.default_rng(seed).permutation(m)] = np.arange(m) % groups
    return group[number] != np.arange(groups)[:, None]


def jackknife_error(replicates):
    """Standard error from the statistic without each group, [groups]: (error, degrees of freedom)."""
    return float(np.sqrt((len(replicates) - 1) * np.var(replicates))), len(replicates) - 1


def jackknife_interval(value, error, freedom):
    """Student's interval around `value` with a jackknife's standard error."""
    from scipy.stats import t

    half = t.ppf(TAILS[1], freedom) * error
    return Interval(float(value - half), float(value + half), "jackknife-t")
