"""Intervals at 95 %. The clip is the unit that is resampled; whatever draws takes an integer seed."""

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


def bootstrap_means(values, seed, draws=DRAWS):
    """Means over resampled clips: values [n] or [n, k] -> [draws] or [draws, k], paired over k."""
    values = np.asarray(values, np.float64)
    weights = np.random.default_rng(seed).multinomial(len(values), np.full(len(values), 1 / len(values)), size=draws)
    return weights @ values / len(values)


def percentile_interval(replicates):
    """Percentile interval of bootstrap replicates [draws] over clips."""
    low, high = np.quantile(replicates, TAILS)
    return Interval(float(low), float(high), "bootstrap-clips")


def bootstrap_interval(values, seed):
    """Percentile bootstrap of the mean of per-clip values [n], which may be paired differences."""
    return percentile_interval(bootstrap_means(values, seed))


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


def jackknife_error(statistic, n, seed, groups=20):
    """Standard error of `statistic` by a delete-a-group jackknife over n clips: (error, degrees of freedom).

    `statistic` maps the indices of the clips that are kept to a number. The clips are dealt at random into
    min(groups, n) groups of equal size, give or take one.
    """
    groups = min(groups, n)
    dealt = np.random.default_rng(seed).permutation(n)
    replicates = np.array([statistic(np.sort(np.delete(dealt, np.s_[g::groups]))) for g in range(groups)])
    return float(np.sqrt((groups - 1) * replicates.var())), groups - 1


def jackknife_interval(value, error, freedom):
    """Student's interval around `value` with a jackknife's standard error."""
    from scipy.stats import t

    half = t.ppf(TAILS[1], freedom) * error
    return Interval(float(value - half), float(value + half), "jackknife-t")
