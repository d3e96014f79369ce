"""Frechet distance of two sets of embeddings (FAD), in float64: exact, by clip, resampled by work, and of two models.

|mu1 - mu2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2), covariances with n - 1 (Kilgour et al., 2019, arXiv 1812.08466).
With S = F'F the last trace is the nuclear norm of F1 F2': no matrix square root is taken and, where that would cost
digits, no covariance is multiplied, so the distance is exact where the covariances are singular too.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from noencore.metrics.intervals import Interval, draw_works, number_works, percentile_interval

DRAWS = 1000  # of works, behind the interval of a difference
EVEN = 1e-8  # smallest over largest eigenvalue from which a squared matrix keeps 12 digits of its roots


class Difference(NamedTuple):
    """A paired difference b - a, its interval, and the two-sided p of no difference from the same draws."""

    value: float
    interval: Interval
    p: float


@dataclass(frozen=True)
class FrechetReference:
    """Gaussian of a set of embeddings: mean [d], factor [k, d] with factor' factor = covariance, k <= d.

    even: the covariance is so far from singular that products with it keep their digits.
    """

    mean: np.ndarray
    factor: np.ndarray
    even: bool

    @classmethod
    def of(cls, embeddings):
        """Fit to [n, d]; n may be smaller than d. Raises ValueError as `frechet_distance` does."""
        x = checked(embeddings)
        centred = _centred(x)
        factor = _cholesky(centred) if len(x) > x.shape[1] else None
        even = factor is not None
        return cls(x.mean(axis=0), factor if even else _factor(centred), even)

    @property
    def trace(self):
        """Trace of the covariance."""
        return (self.factor**2).sum()


def frechet_distance(reference, generated):
    """Frechet distance of embeddings [n, d] to a reference, [n, d] or a `FrechetReference` of it.

    A plug-in estimate, biased upwards by about 1/n. Raises ValueError for fewer than 2 rows, values that are not
    finite, or unequal widths.
    """
    reference = _fitted(reference)
    y = checked(generated, width=len(reference.mean))
    centred = _centred(y)
    shift = ((reference.mean - y.mean(axis=0)) ** 2).sum()
    traces = reference.trace + (centred**2).sum()
    return _not_below_zero(shift + traces - 2 * _root_trace(reference, centred), traces)


def frechet_distances_per_clip(reference, embeddings, clips):
    """Frechet distance of each clip's own windows to a reference: [m], in the order of the sorted labels.

    embeddings: [n, d], the windows of all clips; clips: [n], the label of each. The few windows of a clip span little
    of the space, so these rank clips by how far out they lie and estimate no distance. A clip of one window gets nan.
    """
    reference = _fitted(reference)
    y = checked(embeddings, width=len(reference.mean))
    number = number_works(clips, len(y))
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number))
    rows = y[order] - reference.mean
    turned = rows @ reference.factor.T
    distances = np.full(len(ends), np.nan)
    for clip, (start, end) in enumerate(zip(np.r_[0, ends[:-1]], ends)):
        if end - start > 1:
            of_clip, mean = turned[start:end], rows[start:end].mean(axis=0)
            roots = np.linalg.svd(of_clip - of_clip.mean(axis=0), compute_uv=False).sum() / np.sqrt(end - start - 1)
            traces = reference.trace + ((rows[start:end] - mean) ** 2).sum() / (end - start - 1)
            distances[clip] = _not_below_zero((mean**2).sum() + traces - 2 * roots, traces)
    return distances


def frechet_replicates(reference, generated, weights):
    """Frechet distances [b] to a reference of embeddings [n, d] whose rows count `weights` [b, n] times.

    Products of all rows are taken once; a replicate is then rows picked, centred and an eigenvalue problem no larger
    than their number. Within 1e-7 of `frechet_distance` of the repeated rows. Raises ValueError as that does, and
    where a replicate has no 2 rows.
    """
    reference = _fitted(reference)
    rows = checked(generated, width=len(reference.mean)) - reference.mean
    weights = np.asarray(weights, np.float64)
    total = weights.sum(axis=1)
    if weights.shape[1] != len(rows) or (total < 2).any():
        raise ValueError(f"weights {weights.shape} must count at least 2 of the {len(rows)} rows in each replicate")
    turned = _narrow(rows @ reference.factor.T)
    shift = ((weights @ _narrow(rows) / total[:, None]) ** 2).sum(axis=1)
    traces = reference.trace + (weights @ (rows**2).sum(axis=1) - total * shift) / (total - 1)
    roots = [_weighted_root_trace(turned, of_replicate) for of_replicate in weights]
    return shift + traces - 2 * np.array(roots)


def frechet_difference(reference, a, b, works_a=None, works_b=None, seed=0, draws=DRAWS):
    """Frechet distance of `b` less that of `a` to one reference: a `Difference`.

    a and b: embeddings [n, d] of what two models made of the same works; `works_*` [n] labels the work of each row (by
    default row i of both is work i). A draw takes the same works of both, whose biases cancel; the reference stays as
    it is. Percentile interval. Raises ValueError where the works are not the same.
    """
    reference = _fitted(reference)
    index_a, index_b = paired_works(works_a, len(a), works_b, len(b))
    drawn = draw_works(index_a.max() + 1, seed, draws)
    value = frechet_distance(reference, b) - frechet_distance(reference, a)
    of_b = frechet_replicates(reference, b, drawn[:, index_b])
    return difference_of(value, of_b - frechet_replicates(reference, a, drawn[:, index_a]), works_a)


def effective_rank(embeddings):
    """exp of the entropy of the covariance's eigenvalues, their sum made one (Roy and Vetterli, 2007): 1 to d.

    With fewer than twice as many works as this, a Frechet distance is mostly bias.
    """
    centred = _centred(checked(embeddings))
    values = np.linalg.eigvalsh(_small_gram(centred))
    shares = np.maximum(values, 0) / max(values.sum(), np.finfo(float).tiny)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def difference_of(value, replicates, works):
    """`Difference` from its value and replicates [draws]; p inverts the percentile interval."""
    beyond = min((replicates <= 0).sum(), (replicates >= 0).sum())
    p = min(1.0, 2 * (beyond + 1) / (len(replicates) + 1))
    return Difference(float(value), percentile_interval(replicates, works), float(p))


def paired_works(works_a, n_a, works_b, n_b):
    """The works of the rows of two models as the same numbers 0 ... m - 1: int [n_a] and [n_b]."""
    works_a = np.arange(n_a) if works_a is None else np.asarray(works_a)
    works_b = np.arange(n_b) if works_b is None else np.asarray(works_b)
    if len(works_a) != n_a or len(works_b) != n_b or set(works_a) != set(works_b):
        raise ValueError("a paired difference needs a work for every row, and rows of both models for every work")
    return number_works(works_a, n_a), number_works(works_b, n_b)


def checked(embeddings, width=None):
    """Embeddings [n, d] as float64. Raises ValueError for another shape or width, n < 2, or a value not finite."""
    x = np.asarray(embeddings, np.float64)
    if x.ndim != 2 or (width is not None and x.shape[1] != width):
        raise ValueError(
            f"embeddings must be [n, d] with one d, not {x.shape}" + (f" beside d {width}" if width else "")
        )
    if len(x) < 2:
        raise ValueError(f"at least 2 rows are needed on each side, not {len(x)}")
    if not np.isfinite(x).all():
        raise ValueError("embeddings hold values that are not finite")
    return x


def _fitted(reference):
    return reference if isinstance(reference, FrechetReference) else FrechetReference.of(reference)


def _centred(x):
    """Rows less their mean, scaled so that their products are the covariance: a factor of it."""
    return (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)


def _factor(centred):
    """That factor with no more rows than columns."""
    return centred if len(centred) <= centred.shape[1] else np.linalg.qr(centred, mode="r")


def _cholesky(centred):
    """The factor by Cholesky, which is the faster; None where the covariance is near singular."""
    try:
        factor = np.linalg.cholesky(centred.T @ centred).T
    except np.linalg.LinAlgError:
        return None
    diagonal = np.diag(factor) ** 2
    return factor if diagonal.min() > EVEN * diagonal.max() else None


def _root_trace(reference, centred):
    """tr (S1 S2)^(1/2) with S2 = centred' centred."""
    if reference.even and len(centred) > centred.shape[1]:
        turned = centred @ reference.factor.T
        values = np.linalg.eigvalsh(turned.T @ turned)
        if values[0] > EVEN * values[-1]:
            return np.sqrt(values).sum()
    return np.linalg.svd(_factor(centred) @ reference.factor.T, compute_uv=False).sum()


def _weighted_root_trace(turned, weights):
    """tr (S1 S2)^(1/2) of rows [n, k], already multiplied with the reference's factor, counted `weights` [n] times."""
    kept = weights > 0
    rows, counts = turned[kept], weights[kept]
    rows = np.sqrt(counts)[:, None] * (rows - counts @ rows / counts.sum())
    values = np.linalg.eigvalsh(_small_gram(rows))
    return np.sqrt(np.maximum(values, 0)).sum() / np.sqrt(counts.sum() - 1)


def _narrow(rows):
    """Rows [n, k] in coordinates of their span, [n, min(n, k)]: their products stay."""
    return rows if rows.shape[1] <= len(rows) else np.linalg.qr(rows.T, mode="r").T


def _small_gram(rows):
    """The smaller of the two products of a matrix with itself."""
    return rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows


def _not_below_zero(distance, traces):
    """The distance, a negative one within rounding as zero."""
    if distance < -1e-9 * traces:
        raise ArithmeticError(f"a Frechet distance of {distance} is more than rounding below zero")
    return float(max(distance, 0.0))
