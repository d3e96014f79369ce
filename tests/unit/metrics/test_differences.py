"""Paired differences: intervals that hold, p-values that do not cry wolf, and equality only where it was shown."""

import numpy as np
import pytest
from scipy.stats import kstest, ttest_1samp

from noencore.metrics.differences import (
    PairedDifference,
    equivalence_interval,
    holm,
    paired_difference,
    seeded_difference,
    verdict,
)

WORKS = np.repeat(np.arange(12), 3)


def draw(rng, clips, of_seed, seeds, works=WORKS):
    """Values [n, seeds] of a side whose true mean is 0: seeds, works under a seed, and clips of a work all vary."""
    of_work = rng.normal(0, 0.3, (works.max() + 1, seeds))[works]
    return clips[:, None] + rng.normal(0, of_seed, seeds) + of_work + rng.normal(0, 0.3, (len(works), seeds))


def test_by_hand():
    """Five works of one clip: the t-test of the differences, but for the draws of the bootstrap."""
    a, b = np.array([1.0, 2.0, 3.0, 4.0, 6.0]), np.array([0.0, 1.5, 1.0, 4.5, 5.0])
    found = paired_difference(a, b)
    assert found.value == pytest.approx(0.8)
    assert found.error == pytest.approx((a - b).std(ddof=1) / np.sqrt(5), rel=0.05)
    assert (found.freedom, found.n_works) == (4, 5)
    assert found.p() == pytest.approx(ttest_1samp(a - b, 0).pvalue, abs=0.02)
    low, high, method = found.interval()
    assert (low + high) / 2 == pytest.approx(0.8)
    assert method == "bootstrap-works-t"
    assert found.interval(1 - found.p()).low == pytest.approx(0, abs=1e-12)  # p and interval say the same


def test_seeds_add_their_spread():
    """Two seeds a side that are 2 and 4 apart, works all alike: variances 2/2 and 8/2, one degree of freedom each."""
    still = np.zeros((10, 2))
    found = seeded_difference([1, 3], [0, 4], still, still, n_works=10)
    assert (found.value, found.error) == (0, pytest.approx(np.sqrt(5)))
    assert found.freedom == pytest.approx(25 / (1 + 16))
    one = seeded_difference([2], [2], np.array([[0.1], [-0.1]]), np.zeros((2, 1)), n_works=5)
    assert (one.error, one.freedom) == (pytest.approx(0.1 * np.sqrt(5 / 4)), 4)


def test_what_seeds_differ_by_for_the_works_alone_counts_once():
    """Two models that are apart by no more than the works drawn: all of the variance is the works'."""
    replicates = np.array([[0.5, -0.5], [-0.5, 0.5], [0.2, 0.2], [-0.2, -0.2]])
    found = seeded_difference([0.1, -0.1], [0], replicates, np.zeros((4, 1)), n_works=1001)
    assert (found.error, found.freedom) == (pytest.approx(np.sqrt(0.02), rel=1e-3), 1000)


def test_a_model_does_not_differ_from_itself():
    values = np.random.default_rng(0).normal(size=36)
    found = paired_difference(values, values, WORKS)
    assert (found.value, found.p()) == (0, 1)
    assert found.interval()[:2] == (0, 0)


def test_sides_swapped_is_the_sign_swapped():
    rng = np.random.default_rng(1)
    a, b = draw(rng, 0 * WORKS, 0.1, 2), draw(rng, 0 * WORKS, 0.1, 3)
    there, back = paired_difference(a, b, WORKS), paired_difference(b, a, WORKS)
    assert (there.value, there.error, there.p()) == pytest.approx((-back.value, back.error, back.p()))


@pytest.mark.parametrize("of_seed", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("seeds", [2, 3])
def test_the_interval_holds_with_correlated_clips_and_few_seeds(of_seed, seeds):
    held = 0
    for trial in range(300):
        rng = np.random.default_rng(trial)
        clips = rng.normal(0, 1, 12)[WORKS]
        a, b = draw(rng, clips, of_seed, seeds), draw(rng, clips, of_seed, seeds)
        low, high, _ = paired_difference(a, b, WORKS, trial).interval()
        held += low <= 0 <= high
    assert 0.90 <= held / 300 <= 0.99


def test_coverage_and_level_of_one_model_a_side():
    """12 works of 3 like clips: the interval holds in 90 to 99 %, p is uniform; as 36 clips it would not."""
    held, by_clip, p = 0, 0, []
    for trial in range(300):
        rng = np.random.default_rng(trial)
        clips = rng.normal(0, 1, 12)[WORKS]
        a, b = draw(rng, clips, 0, 1), draw(rng, clips, 0, 1)
        found, as_clips = paired_difference(a, b, WORKS, trial), paired_difference(a, b, None, trial)
        held += found.interval().low <= 0 <= found.interval().high
        by_clip += as_clips.interval().low <= 0 <= as_clips.interval().high
        p.append(found.p())
    assert 0.90 <= held / 300 <= 0.99
    assert by_clip / 300 < 0.90
    assert kstest(p, "uniform").pvalue > 0.01


def test_pairs_tell_what_two_samples_hide():
    rng = np.random.default_rng(0)
    clips = rng.normal(0, 1, 36)
    a, b = clips + 0.1 + rng.normal(0, 0.05, 36), clips + rng.normal(0, 0.05, 36)
    assert paired_difference(a, b).p() < 1e-6
    assert paired_difference(a, rng.permutation(b)).p() > 0.05


def test_few_works_are_never_sure():
    for n in (5, 8, 20):
        assert paired_difference(np.full(n, 2.0), np.ones(n)).p() == 2.0 ** (1 - n)


def test_no_copy_in_few_clips_is_not_no_copies():
    """Agresti and Min: with 0 of 20 before and after the rates may still differ by some percent."""
    none = np.zeros(20)
    assert paired_difference(none, none).error == pytest.approx(1 / 22)
    assert paired_difference(none, none).interval().high == pytest.approx(0.095, abs=0.001)
    assert paired_difference(none, none).p() == 1


def test_holm():
    """By hand: 0.01 * 4; 0.02 * 3; 0.03 * 2 = 0.06, the same; 0.5."""
    np.testing.assert_allclose(holm([0.03, 0.5, 0.01, 0.02]), [0.06, 0.5, 0.04, 0.06])
    np.testing.assert_allclose(holm([0.04, np.nan, 0.9, 0.9]), [0.12, np.nan, 1, 1])
    np.testing.assert_array_equal(holm([0.2]), [0.2])
    assert len(holm([])) == 0


def test_verdicts():
    """value, the 90 % interval, adjusted p, margin, which way is better."""
    cases = [
        ((0.01, -0.02, 0.04, 0.5, 0.05, -1), "same"),
        ((0.03, 0.02, 0.04, 0.001, 0.05, -1), "same"),  # a difference for sure, and for sure a small one
        ((0.01, -0.02, 0.06, 0.9, 0.05, -1), "undecided"),  # p > 0.05 shows nothing
        ((0.00, 0.00, 0.00, 1.0, np.nan, -1), "undecided"),  # nobody said what is small
        ((0.10, 0.06, 0.14, 0.01, 0.05, -1), "worse"),
        ((0.10, 0.06, 0.14, 0.01, 0.05, 1), "better"),
        ((-0.10, -0.14, -0.06, 0.01, 0.05, -1), "better"),
        ((0.10, 0.06, 0.14, 0.01, np.nan, 0), "differs"),
        ((0.10, 0.06, 0.14, 0.2, 0.05, -1), "undecided"),  # not after all the other tests
    ]
    for arguments, expected in cases:
        assert verdict(*arguments) == expected, arguments


def test_equivalence_is_two_one_sided_tests_at_5_percent():
    """Where the true difference is the margin itself, "same" is said in 5 % of cases at most."""
    rng, said = np.random.default_rng(0), 0
    for trial in range(250):
        found = paired_difference(rng.normal(0.5, 1, 40), np.zeros(40), seed=trial)
        said += verdict(found.value, *equivalence_interval(found)[:2], 1.0, 0.5) == "same"
    assert said / 250 <= 0.08
    sure = PairedDifference(0.0, 0.01, 10, 11)
    assert equivalence_interval(sure).high == pytest.approx(1.8125 * 0.01, rel=1e-4)


def test_what_is_no_pair_is_refused():
    with pytest.raises(ValueError, match="same clips"):
        paired_difference(np.zeros(5), np.zeros(6))
    with pytest.raises(ValueError, match="finite"):
        paired_difference([1, np.nan], [1, 2])
    with pytest.raises(ValueError, match="an interval needs two"):
        paired_difference([1.0, 2.0], [0.0, 0.0], works=["a", "a"])
