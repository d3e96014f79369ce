"""The difference of two sides on the same clips: its interval, its p-value, and what may be said of it.

A side is one model or several (seeds of one recipe). Two things make a difference uncertain: which works were played,
and which seeds the models of a side were made with. Works are resampled whole, the same ones for all models, with all
clips and eval seeds of a work (they are nested in it: drawing them a second time would count their spread twice).
Seeds are crossed with works: their spread is added.
"""

from dataclasses import dataclass

import numpy as np

from noencore.metrics.intervals import LEVEL, Interval, bootstrap_means, number_works

ALPHA = 1 - LEVEL


@dataclass(frozen=True)
class PairedDifference:
    """value = side a - side b, its standard error and the degrees of freedom of that, and the works behind it."""

    value: float
    error: float
    freedom: float
    n_works: int

    def interval(self, level=LEVEL):
        """Student's interval around the difference."""
        from scipy.stats import t

        half = t.ppf((1 + level) / 2, self.freedom) * self.error
        return Interval(float(self.value - half), float(self.value + half), "bootstrap-works-t")

    def p(self):
        """Two-sided p of "no difference", at least 2 ** (1 - works): the p of a sign test whose works all agree.

        It is the 1 - level at which the interval begins to hold 0, so that both say the same; unlike a share of
        resamples it is not bounded below by their number, which a correction for many tests would run into.
        """
        from scipy.stats import t

        if self.value == 0:
            return 1.0
        p = 2 * t.sf(abs(self.value) / self.error, self.freedom) if self.error > 0 else 0.0
        return float(max(p, 2.0 ** (1 - self.n_works)))


def seeded_difference(a, b, replicates_a, replicates_b, n_works, floor=0.0):
    """mean(a) - mean(b) of any statistic, a [models] and b [models] of either side.

    replicates_*: [draws, models], the statistic under works drawn with replacement, the same ones for every model. Only
    their spread is used, rescaled by works / (works - 1); the bias that resampling gives a distance like FAD does not
    enter. The variances of works and of the seeds of either side are added, each with its degrees of freedom
    (Satterthwaite, 1946). What seeds differ by for the works alone is in the works' variance and taken off the seeds'.
    A side of one model adds nothing: the difference is then that of this very model. floor: added to the works'.
    """
    if n_works < 2:
        raise ValueError(f"works: {n_works}; an interval needs two")
    rescale = n_works / (n_works - 1)
    together = np.mean(replicates_a, axis=1) - np.mean(replicates_b, axis=1)
    parts = [(rescale * together.var() + floor, n_works - 1)]
    for side, replicates in ((a, replicates_a), (b, replicates_b)):
        if (m := len(side)) > 1:
            apart = replicates - np.mean(replicates, axis=1, keepdims=True)
            by_works = rescale * apart.var(axis=0).sum() / (m - 1)
            parts.append((max(0.0, np.var(side, ddof=1) - by_works) / m, m - 1))
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / df for part, df in parts) if variance > 0 else n_works - 1
    return PairedDifference(float(np.mean(a) - np.mean(b)), float(np.sqrt(variance)), float(freedom), int(n_works))


def paired_difference(a, b, works=None, seed=0):
    """Difference of the means of per-clip values a [n] or [n, models] and b [n] or [n, models] on the same n clips.

    works: labels [n]; without them every clip is a work of its own. Where all values are 0 or 1 the variance is
    widened as if half a work more were in each cell of the before and after table (Agresti and Min, 2005): no
    difference in few works is not yet certainty. Raises ValueError for other shapes and values that are not finite.
    """
    a, b = (np.asarray(side, np.float64).reshape(len(side), -1) for side in (a, b))
    if len(a) != len(b) or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError(f"a {a.shape}, b {b.shape}: one finite value a clip and model, of the same clips")
    n_works = int(number_works(works, len(a)).max()) + 1
    replicates = bootstrap_means(np.concatenate([a, b], axis=1), seed, works)
    binary = np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()
    floor = 1 / (n_works + 2) ** 2 if binary else 0.0
    of_a, of_b = replicates[:, : a.shape[1]], replicates[:, a.shape[1] :]
    return seeded_difference(a.mean(axis=0), b.mean(axis=0), of_a, of_b, n_works, floor)


def holm(p):
    """Holm's (1979) adjusted p-values of one family of tests: p [m] -> [m]; NaN is no test and stays NaN."""
    p = np.asarray(p, np.float64)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(order) else steps
    return adjusted


def equivalence_interval(difference):
    """The 90 % interval: two one-sided tests at 5 % (Schuirmann, 1987) hold where it lies within the margin."""
    return difference.interval(1 - 2 * ALPHA)


def verdict(value, low, high, p, margin, better=0):
    """What may be said: "same", "better", "worse", "differs" or "undecided".

    low, high: `equivalence_interval`; p: adjusted. "same" only if that interval lies within +-margin (NaN: no margin,
    never the same), however large p is; otherwise a difference counts if p <= 5 %. better: 1 where more is better,
    -1 where less is, 0 where neither is.
    """
    if max(abs(low), abs(high)) < margin:
        return "same"
    if not p <= ALPHA:
        return "undecided"
    return "differs" if better == 0 else ("better" if value * better > 0 else "worse")
