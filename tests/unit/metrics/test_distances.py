"""Frechet and kernel distances: closed forms, and agreement with the peers' own formula."""

import sys
import types

import numpy as np
import pytest

from noencore.metrics import frechet_distance, kernel_distance
from noencore.metrics.distances import kernel_distance_of_sums, kernel_sums, median_distance


def sample(seed, n, d):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ (rng.standard_normal((d, d)) / np.sqrt(d)) + rng.standard_normal(d)


def spd(seed, d):
    root = np.random.default_rng(seed).standard_normal((d, d)) / np.sqrt(d)
    return root @ root.T + 0.1 * np.eye(d)


@pytest.mark.parametrize(("n", "d"), [(4, 8), (64, 8), (64, 128), (500, 128), (100, 512), (600, 512)])
def test_bures_identity(n, d):
    """With Y = X T, T symmetric, positive definite: tr (S_x S_y)^(1/2) = tr (S_x T), of full rank or not."""
    x, transport = sample(0, n, d), spd(1, d)
    y = (x - x.mean(axis=0)) @ transport
    covariance = np.cov(x.T)
    expected = (x.mean(axis=0) ** 2).sum() + np.trace(
        covariance + transport @ covariance @ transport - 2 * covariance @ transport
    )
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(10, 40), (200, 40)])
def test_frechet_invariances(n, d):
    x, y = sample(0, n, d), sample(1, n + 3, d)
    traces = np.cov(x.T).trace()
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-12 * traces)
    assert frechet_distance(x, x + 3) == pytest.approx(9 * d, rel=1e-12)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-12)
    assert frechet_distance(2 * x, 2 * y) == pytest.approx(4 * frechet_distance(x, y), rel=1e-12)
    rotation = np.linalg.qr(np.random.default_rng(2).standard_normal((d, d)))[0]
    assert frechet_distance(x @ rotation, y @ rotation) == pytest.approx(frechet_distance(x, y), rel=1e-12)


def test_frechet_of_diagonal_covariances():
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)  # covariance: the unit matrix
    x, y = signs * np.sqrt([1, 4]), signs * np.sqrt([9, 16])
    assert frechet_distance(x, y) == pytest.approx((1 - 3) ** 2 + (2 - 4) ** 2, rel=1e-12)


def test_frechet_agrees_with_the_matrix_square_root():
    from scipy.linalg import sqrtm

    x, y = sample(3, 300, 20), sample(4, 200, 20)
    a, b = np.cov(x.T), np.cov(y.T)
    expected = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_frechet_agrees_with_frechet_audio_distance(monkeypatch):
    """Their formula only: the import of laion_clap, which wants tokenizers from the hub, is cut out."""
    monkeypatch.setitem(sys.modules, "laion_clap", types.ModuleType("laion_clap"))
    fad = pytest.importorskip("frechet_audio_distance.fad", exc_type=ImportError)
    x, y = sample(5, 300, 20), sample(6, 200, 20)
    moments = (x.mean(axis=0), np.cov(x.T), y.mean(axis=0), np.cov(y.T))
    theirs = fad.FrechetAudioDistance.calculate_frechet_distance(None, *moments)
    assert frechet_distance(x, y) == pytest.approx(theirs, rel=1e-6)


def test_kernel_distance_by_hand():
    """Reference 0 and 2, so the bandwidth is 2; generated 0 and 4."""
    x, y = np.array([[0.0], [2.0]]), np.array([[0.0], [4.0]])
    k = lambda r: np.exp(-(r**2) / 8)  # noqa: E731
    expected = 100 * (k(2) + k(4) - 2 * (k(0) + k(4) + k(2) + k(2)) / 4)
    assert kernel_distance(x, y) == pytest.approx(expected, rel=1e-12)
    assert kernel_distance(x + 1000, y + 1000) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_takes_the_bandwidth_of_the_reference():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 5)), 3 * rng.standard_normal((50, 5))
    assert kernel_distance(x, y) == pytest.approx(kernel_distance(x, y, bandwidth=median_distance(x)))
    of_kadtk = kernel_distance(x, y, bandwidth=median_distance(y))  # which takes that of the generated set
    assert of_kadtk < kernel_distance(x, y) / 2


def test_kernel_distance_has_mean_zero_between_samples_of_one_law():
    rng = np.random.default_rng(0)
    null = [kernel_distance(*rng.standard_normal((2, 30, 4)), bandwidth=2.0) for _ in range(300)]
    assert abs(np.mean(null)) < 3 * np.std(null) / np.sqrt(300)
    assert min(null) < 0 < max(null)


def test_kernel_sums_of_single_windows_give_the_plain_distance():
    x, y = sample(0, 30, 5), sample(1, 20, 5)
    sums = kernel_sums(x, np.arange(30), y, np.arange(20))
    plain = kernel_distance_of_sums(sums, np.ones(30), np.ones(20))
    assert plain == pytest.approx(kernel_distance(x, y), rel=1e-10)


def test_kernel_distance_by_clips_leaves_out_the_pairs_within_a_clip():
    """Each clip a window and its copy: the same as one window a clip, for any weights."""
    x, y = sample(0, 12, 5), sample(1, 10, 5)
    once = kernel_sums(x, np.arange(12), y, np.arange(10), bandwidth=2.0)
    double = (
        np.repeat(x, 2, axis=0),
        np.repeat(np.arange(12), 2),
        np.repeat(y, 2, axis=0),
        np.repeat(np.arange(10), 2),
    )
    twice = kernel_sums(*double, bandwidth=2.0)
    weights = np.arange(12) % 3, np.arange(10) % 2
    assert kernel_distance_of_sums(twice, *weights) == pytest.approx(kernel_distance_of_sums(once, *weights))


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_bad_embeddings_are_refused(distance):
    good = sample(0, 5, 3)
    for bad in (good[:1], good[:, :2], good[0], np.where(good > 0, np.nan, good)):
        with pytest.raises(ValueError, match=r"embeddings|rows"):
            distance(good, bad)
    with pytest.raises(ValueError, match="bandwidth"):
        kernel_distance(np.ones((4, 2)), np.ones((4, 2)))
