"""Intervals: closed forms, and how often they hold the truth."""

import numpy as np
import pytest

from noencore.metrics.intervals import (
    bootstrap_auc,
    bootstrap_interval,
    bootstrap_means,
    clopper_pearson,
    delong,
    jackknife_error,
    jackknife_groups,
    jackknife_interval,
    t_interval,
)


def coverage(interval_of, truth, repetitions=300):
    rng = np.random.default_rng(0)
    intervals = [interval_of(rng, seed) for seed in range(repetitions)]
    return np.mean([interval.low <= truth <= interval.high for interval in intervals])


def test_coverage_of_intervals_of_a_mean():
    assert 0.91 <= coverage(lambda rng, seed: bootstrap_interval(rng.exponential(size=80), seed), 1.0) <= 0.98
    assert 0.92 <= coverage(lambda rng, seed: t_interval(rng.standard_normal(10)), 0.0) <= 0.98


def of_works(rng, n, shared=0.7, clips=3):
    """Values of n works of three clips each, correlated within a work: (values, works)."""
    own = rng.normal(0, np.sqrt(1 - shared), n * clips)
    return own + np.repeat(rng.normal(0, np.sqrt(shared), n), clips), np.repeat(np.arange(n), clips)


def test_works_are_the_unit_where_clips_are_alike():
    """Three clips of a work are hardly three clips: an interval over clips is too narrow, one over works is not."""

    def over_works(rng, seed):
        values, works = of_works(rng, 30)
        return bootstrap_interval(values, seed, works)

    assert 0.90 <= coverage(over_works, 0.0) <= 0.98
    assert coverage(lambda rng, seed: bootstrap_interval(of_works(rng, 30)[0], seed), 0.0) < 0.85


def test_coverage_of_the_bootstrap_of_an_auc():
    def one(rng, seed):
        (positive, works_1), (negative, works_0) = of_works(rng, 34), of_works(rng, 20)
        return bootstrap_auc(positive + 1, negative, seed, works_1, works_0)

    assert 0.90 <= coverage(one, 0.7602) <= 0.98


def test_works_of_one_clip_each_are_clips():
    values = np.random.default_rng(0).standard_normal(20)
    np.testing.assert_array_equal(bootstrap_means(values, 1, np.arange(20)), bootstrap_means(values, 1))
    assert bootstrap_interval(values, 1, np.arange(20)).method == "bootstrap-works"


def test_the_bootstrap_of_an_auc_without_overlap_counts_works():
    interval = bootstrap_auc(np.arange(9) + 100.0, np.arange(12), 0, np.arange(9) // 3, np.arange(12) // 3)
    assert interval == clopper_pearson(3, 3)


def test_coverage_of_delong():
    def one(rng, seed):
        return delong(rng.normal(1, 1, 60), rng.normal(0, 1, 50))[1]

    assert 0.91 <= coverage(one, 0.7602) <= 0.98  # Phi(1 / sqrt 2)


def test_coverage_of_the_jackknife():
    def one(rng, seed):
        values = rng.standard_normal(60)
        error, freedom = jackknife_error([values[kept].var(ddof=1) for kept in jackknife_groups(60, seed)])
        return jackknife_interval(values.var(ddof=1), error, freedom)

    assert 0.89 <= coverage(one, 1.0) <= 0.98


def test_bootstrap_is_seeded_and_paired():
    values = np.random.default_rng(0).standard_normal((50, 2))
    means = bootstrap_means(values, seed=1)
    np.testing.assert_array_equal(means, bootstrap_means(values, seed=1))
    np.testing.assert_allclose(means[:, 0] - means[:, 1], bootstrap_means(values[:, 0] - values[:, 1], seed=1))
    assert bootstrap_interval(values[:, 0], 1) != bootstrap_interval(values[:, 0], 2)
    assert bootstrap_interval(values[:, 0], 1).method == "bootstrap-clips"


def test_clopper_pearson():
    """0 of 50 is the golden value of the exact interval; the ends are closed forms."""
    assert clopper_pearson(0, 50) == (0.0, pytest.approx(0.0711, abs=5e-5), "clopper-pearson")
    assert clopper_pearson(50, 50) == (pytest.approx(0.025 ** (1 / 50)), 1.0, "clopper-pearson")
    assert clopper_pearson(3, 20)[:2] == pytest.approx((0.0321, 0.3789), abs=1e-4)


def test_auc_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    positive, negative = rng.normal(0.5, 1, 40).round(1), rng.normal(0, 1, 30).round(1)  # rounded: with ties
    auc, interval = delong(positive, negative)
    truth = np.repeat([1, 0], [40, 30])
    assert auc == pytest.approx(roc_auc_score(truth, np.concatenate([positive, negative])), rel=1e-12)
    assert interval.low < auc < interval.high
    assert interval.method == "delong"


def test_delong_by_hand():
    """Three against two: the shares below each positive are 1/2, 1, 1; those above each negative 1, 2/3."""
    auc, interval = delong([2.0, 5.0, 6.0], [1.0, 3.0])
    spread = np.sqrt(np.var([0.5, 1, 1], ddof=1) / 3 + np.var([1, 2 / 3], ddof=1) / 2)
    assert auc == pytest.approx(5 / 6)
    assert interval.low == pytest.approx(5 / 6 - 1.959964 * spread)
    assert interval.high == 1


def test_an_auc_without_overlap_is_not_certain():
    auc, interval = delong(np.arange(10) + 100.0, np.arange(20))
    assert auc == 1
    assert interval == clopper_pearson(10, 10)
    assert delong(np.arange(20), np.arange(10) + 100.0)[1] == clopper_pearson(0, 10)


def test_the_jackknife_leaves_out_whole_works():
    left_out = [np.flatnonzero(~kept).tolist() for kept in jackknife_groups(12, 0, np.arange(12) // 3)]
    assert sorted(left_out) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


def test_jackknife_error_of_a_mean_is_the_standard_error():
    values = np.random.default_rng(0).standard_normal(20)
    error, freedom = jackknife_error([values[kept].mean() for kept in jackknife_groups(20, seed=0)])
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(20), rel=1e-12)
    assert freedom == 19
    assert jackknife_interval(1.0, error, freedom).method == "jackknife-t"
