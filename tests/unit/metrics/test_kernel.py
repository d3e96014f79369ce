"""Kernel distance: by hand, agreement with kadtk, bandwidths, works, and paired differences."""

import numpy as np
import pytest

from noencore.metrics import kernel_difference, kernel_distance, median_distance
from noencore.metrics.kernel import kernel_interval, kernel_sums


def sample(seed, n, d):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ (rng.standard_normal((d, d)) / np.sqrt(d)) + 0.2 * rng.standard_normal(d)


def test_by_hand():
    """Reference 0 and 2, so the bandwidth is 2; generated 0 and 4."""
    x, y = np.array([[0.0], [2.0]]), np.array([[0.0], [4.0]])
    k = lambda r: np.exp(-(r**2) / 8)  # noqa: E731
    expected = 100 * (k(2) + k(4) - 2 * (k(0) + k(4) + k(2) + k(2)) / 4)
    assert kernel_distance(x, y) == pytest.approx(expected, rel=1e-12)
    assert kernel_distance(x + 1000, y + 1000) == pytest.approx(expected, rel=1e-9)


# By calc_kernel_audio_distance of kadtk 1.1.0 as it is in its wheel, in its default float32, run once on `sample` with
# torch 2.11.0: the bandwidth is that of the generated set.
KADTK = {
    (300, 200, 20): 4.082369804382324,
    (100, 80, 128): 2.1173834800720215,
    (500, 100, 512): 2.5296449661254883,
}


@pytest.mark.parametrize("shape", KADTK)
def test_agrees_with_kadtk(shape):
    n, m, d = shape
    ours = kernel_distance(sample(5, n, d), sample(6, m, d), bandwidth="eval")
    assert ours == pytest.approx(KADTK[shape], rel=1e-4)


def test_bandwidths():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 5)), 3 * rng.standard_normal((50, 5))
    assert kernel_distance(x, y) == kernel_distance(x, y, bandwidth=median_distance(x))
    assert kernel_distance(x, y, "eval") == kernel_distance(x, y, bandwidth=median_distance(y))
    assert kernel_distance(x, y, "eval") < kernel_distance(x, y) / 2  # it hides that y has spread out
    with pytest.raises(ValueError, match="bandwidth"):
        kernel_distance(np.ones((4, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="one bandwidth"):
        kernel_difference(x, y, y, bandwidth="eval")


def test_mean_is_zero_between_samples_of_one_law():
    rng = np.random.default_rng(0)
    null = [kernel_distance(*rng.standard_normal((2, 30, 4)), bandwidth=2.0) for _ in range(300)]
    assert abs(np.mean(null)) < 3 * np.std(null) / np.sqrt(300)
    assert min(null) < 0 < max(null)


def test_blocks_change_nothing(monkeypatch):
    x, y = sample(0, 50, 5), sample(1, 31, 5)
    whole, by_work = kernel_distance(x, y), kernel_sums(x, y, None, np.arange(31) // 2).distance()
    monkeypatch.setattr("noencore.metrics.kernel.BLOCK", 7)
    assert kernel_distance(x, y) == pytest.approx(whole, rel=1e-12)
    assert kernel_sums(x, y, None, np.arange(31) // 2).distance() == pytest.approx(by_work, rel=1e-12)


def test_sums_of_single_windows_give_the_plain_distance():
    x, y = sample(0, 30, 5), sample(1, 20, 5)
    assert kernel_sums(x, y).distance() == pytest.approx(kernel_distance(x, y), rel=1e-10)


def test_pairs_within_a_work_do_not_count():
    """Each work a window and its copy: the same as one window a work, for any weights."""
    x, y = sample(0, 12, 5), sample(1, 10, 5)
    once = kernel_sums(x, y, bandwidth=2.0)
    copies = np.repeat(x, 2, axis=0), np.repeat(y, 2, axis=0), np.repeat(np.arange(12), 2), np.repeat(np.arange(10), 2)
    weights = np.arange(12) % 3, np.arange(10) % 2
    assert kernel_sums(*copies, bandwidth=2.0).distance(*weights) == pytest.approx(once.distance(*weights), rel=1e-12)
    assert kernel_interval(kernel_sums(*copies, bandwidth=2.0)) == pytest.approx(kernel_interval(once))


def test_difference_is_that_of_the_distances_by_works():
    x, a, b, works = sample(0, 50, 5), sample(1, 40, 5), sample(2, 40, 5), np.arange(40) // 2
    found = kernel_difference(x, a, b, works, works)
    of_a, of_b = (kernel_sums(x, y, None, works).distance() for y in (a, b))
    assert found.value == pytest.approx(of_b - of_a, rel=1e-9)
    assert found.interval.low < found.value < found.interval.high
    assert kernel_difference(x, a, a + 3, works, works, draws=199).p == pytest.approx(2 / 200)
    order = np.random.default_rng(0).permutation(40)
    again = kernel_difference(x, a[order], b, works[order], works)
    np.testing.assert_allclose([*again.interval[:2], again.p], [*found.interval[:2], found.p], rtol=1e-9)
