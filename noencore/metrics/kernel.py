"""Kernel distance of two sets of embeddings (KAD), in float64: plain, by works with its interval, and of two models.

Unbiased squared maximum mean discrepancy x 100 under a Gaussian kernel exp(-r^2 / 2h^2) (Chung et al., 2025, arXiv
2502.15602). It may be negative: between two samples of one law its mean is zero.
"""

from dataclasses import dataclass

import numpy as np

from noencore.metrics.frechet import checked, difference_of, paired_works
from noencore.metrics.intervals import DRAWS, draw_works, number_works, percentile_interval

BLOCK = 2048  # rows of a kernel matrix held at once
SCALE = 100
BANDWIDTH_ROWS = 4096


def kernel_distance(reference, generated, bandwidth="reference"):
    """KAD of embeddings [n, d] to a reference [n, d].

    bandwidth: h; or "reference", the median pairwise distance of the reference; or "eval", that of the generated set,
    which kadtk takes and which hides a set that has spread out. Raises ValueError for fewer than 2 rows, values that
    are not finite, unequal widths, or a bandwidth that is not positive.
    """
    x, y, h = _centred(reference, generated, bandwidth)
    across = sum(kernel.sum() for _, kernel in _kernel_blocks(x, y, h)) / (len(x) * len(y))
    return float(SCALE * (_mean_off_diagonal(x, h) + _mean_off_diagonal(y, h) - 2 * across))


def median_distance(embeddings):
    """The bandwidth h of a set [n, d]: median distance of two different rows, of 4096 evenly spaced rows at most."""
    from scipy.spatial.distance import pdist

    x = checked(embeddings)
    if len(x) > BANDWIDTH_ROWS:
        x = x[np.linspace(0, len(x) - 1, BANDWIDTH_ROWS).astype(int)]
    return float(np.median(pdist(x)))


@dataclass(frozen=True)
class KernelSums:
    """Sums of the kernel over the windows of two works: xx [m1, m1], yy [m2, m2], xy [m1, m2]; rows of each, nx and ny.

    From these follow KAD by works and its bootstrap. A pair of windows of one work never counts, so neither the
    likeness of neighbouring windows nor a work that a bootstrap has drawn twice pulls the estimate.
    """

    xx: np.ndarray
    yy: np.ndarray
    xy: np.ndarray
    nx: np.ndarray
    ny: np.ndarray

    def distance(self, weights_x=None, weights_y=None):
        """KAD with each work counted `weights` times: [m1] and [m2] give a number, [b, m1] and [b, m2] give [b]."""
        weights_x = np.ones(len(self.nx)) if weights_x is None else weights_x
        weights_y = np.ones(len(self.ny)) if weights_y is None else weights_y
        within_x = _mean_of_pairs(self.xx, self.nx, weights_x)
        within_y = _mean_of_pairs(self.yy, self.ny, weights_y)
        across = ((weights_x @ self.xy) * weights_y).sum(axis=-1)
        return SCALE * (within_x + within_y - 2 * across / ((weights_x @ self.nx) * (weights_y @ self.ny)))


def kernel_sums(reference, generated, works_reference=None, works_generated=None, bandwidth="reference"):
    """`KernelSums` of embeddings [n, d]; `works_*` [n] labels the work of each row, by default one a row."""
    x, y, h = _centred(reference, generated, bandwidth)
    works_x, works_y = _indicator(works_reference, len(x)), _indicator(works_generated, len(y))
    return KernelSums(
        xx=_sums_by_work(x, works_x, x, works_x, h),
        yy=_sums_by_work(y, works_y, y, works_y, h),
        xy=_sums_by_work(x, works_x, y, works_y, h),
        nx=np.asarray(works_x.sum(axis=0)).ravel(),
        ny=np.asarray(works_y.sum(axis=0)).ravel(),
    )


def kernel_interval(sums, seed=0, draws=DRAWS):
    """Percentile interval of KAD from `KernelSums`: the works of both sides are resampled, each side on its own."""
    drawn_x, drawn_y = draw_works(len(sums.nx), seed, draws), draw_works(len(sums.ny), seed + 1, draws)
    return percentile_interval(sums.distance(drawn_x, drawn_y), "works")


def kernel_difference(reference, a, b, works_a=None, works_b=None, bandwidth="reference", seed=0, draws=DRAWS):
    """KAD of `b` less that of `a` to one reference, by works: a `Difference`.

    a and b: embeddings [n, d] of what two models made of the same works; `works_*` [n] labels the work of each row (by
    default row i of both is work i). A draw takes the same works of both; the reference stays as it is, and so does the
    bandwidth: that of the reference, or a number. Raises ValueError where the works are not the same.
    """
    if bandwidth == "eval":
        raise ValueError("a difference needs one bandwidth for both models: 'reference' or a number")
    index_a, index_b = paired_works(works_a, len(a), works_b, len(b))
    drawn = draw_works(index_a.max() + 1, seed, draws)
    weights = np.vstack([np.ones_like(drawn[:1]), drawn])
    of_b = _part_of_generated(reference, b, index_b, bandwidth, weights)
    value, *replicates = of_b - _part_of_generated(reference, a, index_a, bandwidth, weights)
    return difference_of(value, np.array(replicates), works_a)


def _part_of_generated(reference, generated, works, bandwidth, weights):
    """KAD less what hangs on the reference alone, each work counted `weights` [b, m] times: [b]."""
    x, y, h = _centred(reference, generated, bandwidth)
    by_work = _indicator(works, len(y))
    rows = np.bincount(works)
    across = sum(by_work.T @ kernel.sum(axis=0) for _, kernel in _kernel_blocks(x, y, h))
    within = _mean_of_pairs(_sums_by_work(y, by_work, y, by_work, h), rows, weights)
    return SCALE * (within - 2 * (weights @ across) / (len(x) * (weights @ rows)))


def _mean_off_diagonal(z, h):
    total = sum(kernel.sum() for _, kernel in _kernel_blocks(z, z, h))
    return (total - len(z)) / (len(z) * (len(z) - 1))


def _mean_of_pairs(sums, rows, weights):
    """Mean of the kernel over pairs of windows of two different works."""
    pairs = (weights @ rows) ** 2 - (weights**2) @ rows**2
    return (((weights @ sums) * weights).sum(axis=-1) - weights**2 @ np.diag(sums)) / pairs


def _sums_by_work(x, works_x, y, works_y, h):
    return sum(works_x[rows].T @ (kernel @ works_y) for rows, kernel in _kernel_blocks(x, y, h))


def _kernel_blocks(x, y, h):
    """Yield (rows of x, kernel [rows, len(y)]): the whole matrix is never held."""
    norms = (y**2).sum(axis=1)
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        squared = (x[rows] ** 2).sum(axis=1)[:, None] + norms - 2 * x[rows] @ y.T
        yield rows, np.exp(-np.maximum(squared, 0) / (2 * h**2))


def _indicator(works, n):
    """Sparse [n, m]: one where row i belongs to work j."""
    from scipy.sparse import csr_array

    return csr_array((np.ones(n), (np.arange(n), number_works(works, n))))


def _centred(reference, generated, bandwidth):
    """Both sets, the reference's mean subtracted (it cancels, and rounding with it), and the bandwidth."""
    x = checked(reference)
    y = checked(generated, width=x.shape[1])
    if bandwidth in ("reference", "eval"):
        h = median_distance(x if bandwidth == "reference" else y)
    else:
        h = float(bandwidth)
    if not h > 0:
        raise ValueError(f"the bandwidth is {h}, not positive: do the rows coincide?")
    return x - x.mean(axis=0), y - x.mean(axis=0), h
