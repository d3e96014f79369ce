"""Distances of two sets of embeddings: Frechet distance (FAD) and kernel distance (KAD), in float64."""

import numpy as np

BLOCK = 2048  # rows of a kernel matrix held at once
KERNEL_SCALE = 100  # the scale of Chung et al., 2025 (arXiv 2502.15602)
BANDWIDTH_ROWS = 4096


def frechet_distance(reference, generated):
    """Frechet distance between Gaussians fitted to two sets of embeddings [n, d]; n may be smaller than d.

    |mu1 - mu2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2), covariances with n - 1 (Kilgour et al., 2019, arXiv
    1812.08466). With S = F'F the last trace is the nuclear norm of F1 F2', so no matrix square root is taken
    and no covariance is multiplied: exact where the covariances are singular. A plug-in estimate, biased
    upwards by about 1/n. Raises ValueError for fewer than 2 rows, values that are not finite, or unequal
    widths.
    """
    x, y = _checked(reference, generated)
    root_x, root_y = _factor(x), _factor(y)
    traces = (root_x**2).sum() + (root_y**2).sum()
    shift = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()
    distance = shift + traces - 2 * np.linalg.svd(root_x @ root_y.T, compute_uv=False).sum()
    if distance < -1e-9 * traces:
        raise ArithmeticError(f"a Frechet distance of {distance} is more than rounding below zero")
    return float(max(distance, 0.0))


def kernel_distance(reference, generated, bandwidth="reference"):
    """KAD (arXiv 2502.15602): unbiased squared maximum mean discrepancy x 100 of two sets of embeddings [n,
    d].

    Gaussian kernel exp(-r^2 / 2h^2); h is `bandwidth`, or the median pairwise distance of the reference. It
    may be negative: two samples of one law have mean zero. Raises ValueError as `frechet_distance` does.
    """
    x, y, h = _centred(reference, generated, bandwidth)

    def mean_of_pairs(z):
        total = sum(kernel.sum() for _, kernel in _kernel_blocks(z, z, h))
        return (total - len(z)) / (len(z) * (len(z) - 1))

    across = sum(kernel.sum() for _, kernel in _kernel_blocks(x, y, h)) / (len(x) * len(y))
    return float(KERNEL_SCALE * (mean_of_pairs(x) + mean_of_pairs(y) - 2 * across))


def median_distance(x):
    """Median distance of two different rows of [n, d]; of 4096 evenly spaced rows where there are more."""
    from scipy.spatial.distance import pdist

    if len(x) > BANDWIDTH_ROWS:
        x = x[np.linspace(0, len(x) - 1, BANDWIDTH_ROWS).astype(int)]
    return float(np.median(pdist(np.asarray(x, np.float64))))


def kernel_sums(reference, reference_clips, generated, generated_clips, bandwidth="reference"):
    """Sums of the kernel over pairs of clips, from which KAD by clips and its bootstrap follow.

    `*_clips` int [n] says which clip, 0 ... m - 1, a row of the embeddings [n, d] belongs to. Returns a dict
    of `xx` [m1, m1], `yy` [m2, m2], `xy` [m1, m2] and the rows of each clip, `nx` [m1] and `ny` [m2].
    """
    x, y, h = _centred(reference, generated, bandwidth)
    clips_x, clips_y = _indicator(reference_clips), _indicator(generated_clips)
    return {
        "xx": _sums_by_clip(x, clips_x, x, clips_x, h),
        "yy": _sums_by_clip(y, clips_y, y, clips_y, h),
        "xy": _sums_by_clip(x, clips_x, y, clips_y, h),
        "nx": np.asarray(clips_x.sum(axis=0)).ravel(),
        "ny": np.asarray(clips_y.sum(axis=0)).ravel(),
    }


def kernel_distance_of_sums(sums, weights_x, weights_y):
    """KAD from `kernel_sums`, each clip counted `weights` times.

    Weights [m1] and [m2] give a number, [b, m1] and [b, m2] give [b].

    A pair of windows of the same clip never counts, so neither the likeness of neighbouring windows nor a
    clip that a bootstrap has drawn twice pulls the estimate.
    """
    within_x = _mean_of_pairs(sums["xx"], sums["nx"], weights_x)
    within_y = _mean_of_pairs(sums["yy"], sums["ny"], weights_y)
    across = ((weights_x @ sums["xy"]) * weights_y).sum(axis=-1)
    across /= (weights_x @ sums["nx"]) * (weights_y @ sums["ny"])
    return KERNEL_SCALE * (within_x + within_y - 2 * across)


def _mean_of_pairs(sums, rows, weights):
    """Mean of the kernel over pairs of windows of two different clips."""
    pairs = (weights @ rows) ** 2 - (weights**2) @ rows**2
    return (((weights @ sums) * weights).sum(axis=-1) - weights**2 @ np.diag(sums)) / pairs


def _sums_by_clip(x, clips_x, y, clips_y, h):
    return sum(clips_x[rows].T @ (kernel @ clips_y) for rows, kernel in _kernel_blocks(x, y, h))


def _kernel_blocks(x, y, h):
    """Yield (rows of x, kernel [rows, len(y)]): the whole matrix is never held."""
    norms = (y**2).sum(axis=1)
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        squared = (x[rows] ** 2).sum(axis=1)[:, None] + norms - 2 * x[rows] @ y.T
        yield rows, np.exp(-np.maximum(squared, 0) / (2 * h**2))


def _indicator(clips):
    """Sparse [n, m]: one where row i belongs to clip j."""
    from scipy.sparse import csr_array

    return csr_array((np.ones(len(clips)), (np.arange(len(clips)), clips)))


def _centred(reference, generated, bandwidth):
    """Both sets, the reference's mean subtracted (it cancels, and rounding with it), and the bandwidth."""
    x, y = _checked(reference, generated)
    h = median_distance(x) if bandwidth == "reference" else float(bandwidth)
    if not h > 0:
        raise ValueError(f"the bandwidth is {h}, not positive: do the rows of the reference coincide?")
    return x - x.mean(axis=0), y - x.mean(axis=0), h


def _factor(x):
    """F [min(n, d), d] with F'F = the covariance of x [n, d]."""
    centred = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    return centred if len(x) <= x.shape[1] else np.linalg.qr(centred, mode="r")


def _checked(reference, generated):
    x, y = np.asarray(reference, np.float64), np.asarray(generated, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"embeddings must be [n, d] with the same d, not {x.shape} and {y.shape}")
    if min(len(x), len(y)) < 2:
        raise ValueError(f"at least 2 rows are needed on each side, not {len(x)} and {len(y)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("embeddings hold values that are not finite")
    return x, y
