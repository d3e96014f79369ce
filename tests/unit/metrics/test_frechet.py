"""Frechet distance: closed forms, agreement with the peers' own functions, replicates, and paired differences."""

import sys
import types

import numpy as np
import pytest

from noencore.metrics import (
    FrechetReference,
    effective_rank,
    frechet_difference,
    frechet_distance,
    frechet_distances_per_clip,
)
from noencore.metrics.frechet import frechet_replicates


def sample(seed, n, d):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ (rng.standard_normal((d, d)) / np.sqrt(d)) + 0.2 * rng.standard_normal(d)


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
def test_invariances(n, d):
    x, y = sample(0, n, d), sample(1, n + 3, d)
    traces = np.cov(x.T).trace()
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-12 * traces)
    assert frechet_distance(x, x + 3) == pytest.approx(9 * d, rel=1e-12)
    assert frechet_distance(x, 3 * (x - x.mean(axis=0)) + x.mean(axis=0)) == pytest.approx(4 * traces, rel=1e-12)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-12)
    assert frechet_distance(2 * x, 2 * y) == pytest.approx(4 * frechet_distance(x, y), rel=1e-12)
    rotation = np.linalg.qr(np.random.default_rng(2).standard_normal((d, d)))[0]
    assert frechet_distance(x @ rotation, y @ rotation) == pytest.approx(frechet_distance(x, y), rel=1e-12)


def test_diagonal_covariances():
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)  # covariance: the unit matrix
    x, y = signs * np.sqrt([1, 4]), signs * np.sqrt([9, 16])
    assert frechet_distance(x, y) == pytest.approx((1 - 3) ** 2 + (2 - 4) ** 2, rel=1e-12)


def test_singular_covariances_of_many_rows_keep_their_digits():
    """A constant dimension and one that repeats another: Cholesky would lose half of the digits."""
    x, transport = sample(0, 300, 20), spd(1, 20)
    wide = np.column_stack([x, np.full(300, 7.0), x[:, 0]])
    turned = (x - x.mean(axis=0)) @ transport
    y = np.column_stack([turned, np.zeros(300), np.zeros(300)])
    assert not FrechetReference.of(wide).even
    assert frechet_distance(wide, wide) == pytest.approx(0, abs=1e-12 * np.cov(wide.T).trace())
    rotation = np.linalg.qr(np.random.default_rng(2).standard_normal((22, 22)))[0]
    assert frechet_distance(wide @ rotation, y @ rotation) == pytest.approx(frechet_distance(wide, y), rel=1e-12)


# By the functions of fadtk 1.1.0 (calc_frechet_distance) and audioldm_eval 0.0.3 (metrics.fid.calculate_fid), as they
# are in their wheels, run once on `sample` with numpy 2.4.6, scipy 1.17.1 and torch 2.11.0.
PEERS = {
    (300, 200, 20): (13.440576813847855, 13.440576813847844),
    (100, 80, 128): (121.00174340450064, 121.00174340450056),
    (500, 100, 512): (675.3727435533301, 675.3727439542799),
}


@pytest.mark.parametrize("shape", PEERS)
def test_agrees_with_fadtk_and_audioldm_eval(shape):
    n, m, d = shape
    for theirs in PEERS[shape]:
        assert frechet_distance(sample(5, n, d), sample(6, m, d)) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shape", list(PEERS)[:2])
def test_agrees_with_frechet_audio_distance(shape, monkeypatch):
    """Their formula only: the import of laion_clap, which wants tokenizers from the hub, is cut out."""
    monkeypatch.setitem(sys.modules, "laion_clap", types.ModuleType("laion_clap"))
    fad = pytest.importorskip("frechet_audio_distance.fad", exc_type=ImportError)
    n, m, d = shape
    x, y = sample(5, n, d), sample(6, m, d)
    moments = (x.mean(axis=0), np.cov(x.T), y.mean(axis=0), np.cov(y.T))
    theirs = fad.FrechetAudioDistance.calculate_frechet_distance(None, *moments)
    assert frechet_distance(x, y) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(30, 40), (200, 40)])
def test_per_clip_is_the_distance_of_the_windows_of_each_clip(n, d):
    reference, windows = sample(0, n, d), sample(1, 13, d)
    clips = np.array(["b", "a"] * 6 + ["c"])
    found = frechet_distances_per_clip(FrechetReference.of(reference), windows, clips)
    assert found[0] == pytest.approx(frechet_distance(reference, windows[clips == "a"]), rel=1e-12)
    assert found[1] == pytest.approx(frechet_distance(reference, windows[clips == "b"]), rel=1e-12)
    assert np.isnan(found[2])


@pytest.mark.parametrize(("n", "m", "d"), [(30, 20, 40), (200, 20, 40), (200, 100, 10)])
def test_replicates_are_distances_of_repeated_rows(n, m, d):
    reference, windows = sample(0, n, d), sample(1, m, d)
    weights = np.random.default_rng(2).multinomial(m, np.full(m, 1 / m), size=5)
    found = frechet_replicates(reference, windows, weights)
    direct = [frechet_distance(reference, np.repeat(windows, of_replicate, axis=0)) for of_replicate in weights]
    np.testing.assert_allclose(found, direct, rtol=1e-7)
    with pytest.raises(ValueError, match="at least 2"):
        frechet_replicates(reference, windows, np.eye(m)[:1])


def test_difference_moves_the_windows_of_a_work_together():
    """Each window twice under its work: the value changes with n - 1, the works that are drawn do not."""
    reference, a, b = sample(0, 60, 6), sample(1, 30, 6), sample(2, 30, 6)
    single = frechet_difference(reference, a, b, seed=3, draws=200)
    assert single.value == pytest.approx(frechet_distance(reference, b) - frechet_distance(reference, a), rel=1e-12)
    assert single.interval.low < single.value < single.interval.high
    assert (single.interval.method, frechet_difference(reference, a, a, draws=50).p) == ("bootstrap-clips", 1)
    works, order = np.repeat(np.arange(30), 2), np.random.default_rng(4).permutation(60)
    twice = np.repeat(a, 2, axis=0), np.repeat(b, 2, axis=0)[order], works, works[order]
    double = frechet_difference(reference, *twice, seed=3, draws=200)
    width = single.interval.high - single.interval.low
    assert double.interval.high - double.interval.low == pytest.approx(width, rel=0.05)
    assert double.interval.method == "bootstrap-works"
    with pytest.raises(ValueError, match="paired"):
        frechet_difference(reference, a, b[:20])


def test_p_of_a_difference():
    reference, a = sample(0, 60, 6), sample(1, 30, 6)
    assert frechet_difference(reference, a, a + 2, draws=199).p == pytest.approx(2 / 200)


def test_effective_rank():
    """Three equal variances are rank 3, whatever else is constant; one large one is nearly rank 1."""
    axes = np.vstack([np.eye(3), -np.eye(3)])
    assert effective_rank(np.column_stack([axes, np.ones((6, 5))])) == pytest.approx(3, rel=1e-12)
    assert effective_rank(axes * [1, 1e-4, 1e-4]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("bad", ["one row", "width", "shape", "nan"])
def test_bad_embeddings_are_refused(bad):
    good = sample(0, 5, 3)
    bad = {"one row": good[:1], "width": good[:, :2], "shape": good[0], "nan": np.where(good > 0, np.nan, good)}[bad]
    with pytest.raises(ValueError, match=r"embeddings|rows"):
        frechet_distance(good, bad)
