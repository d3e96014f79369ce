"""The floor of the Frechet distance, and a seeded simulation of the intervals of the audio metrics."""

import numpy as np
import pytest

from noencore.metrics.floor import FloorCorrected, floor_corrected_distance, frechet_with_interval, hold_out
from noencore.metrics.frechet import frechet_difference, frechet_distance
from noencore.metrics.intervals import bootstrap_interval
from noencore.metrics.kernel import kernel_difference, kernel_interval, kernel_sums
from noencore.metrics.text_audio import text_audio_scores
from noencore.metrics.windows import Windows

D, CLIPS = 4, 3  # width, and clips of a work


def draw(rng, works, shift=0.0):
    """Clips of some works, each clip of unit variance; those of a work are alike."""
    between = np.repeat(rng.standard_normal((works, D)), CLIPS, axis=0)
    rows = 0.8 * between + 0.6 * rng.standard_normal((works * CLIPS, D)) + shift
    return Windows.of(rows, np.arange(works * CLIPS), np.repeat(np.arange(works), CLIPS))


def test_held_out_works_match_those_generated_clip_by_clip():
    reference = draw(np.random.default_rng(0), 10)
    made = Windows.of(np.zeros((4, D)), np.arange(4), np.array(["a", "a", "b", "c"]))
    held, rest = hold_out(reference, made, np.random.default_rng(1))
    assert sorted(np.unique(held.work, return_counts=True)[1]) == [1, 1, 2]
    assert set(held.works) | set(rest.works) == set(reference.works)
    assert not set(held.works) & set(rest.works)
    assert rest.n == 7 * CLIPS


def test_a_copy_of_the_real_clips_is_at_the_floor_and_a_shift_above_it():
    rng = np.random.default_rng(0)
    reference, same, far = draw(rng, 40), draw(rng, 20), draw(rng, 20, shift=3.0)
    at_floor, above = floor_corrected_distance(reference, same), floor_corrected_distance(reference, far)
    assert at_floor.interval.low < 0 < at_floor.interval.high
    assert above.value == pytest.approx(9 * D, rel=0.2)
    assert at_floor.floor == above.floor > 0
    assert above == floor_corrected_distance(reference, far) != floor_corrected_distance(reference, far, seed=1)
    assert isinstance(above, FloorCorrected)


def test_each_draw_takes_one_eval_seed():
    """Two seeds with the same sound are one sample, not one of twice the size."""
    rng = np.random.default_rng(0)
    reference, made = draw(rng, 40), draw(rng, 20)
    columns = (np.concatenate([column, column]) for column in (made.embeddings, made.clip, made.work))
    twice = Windows.of(*columns, eval_seed=np.repeat([0, 1], 20 * CLIPS))
    assert floor_corrected_distance(reference, twice).value == floor_corrected_distance(reference, made).value


def test_the_interval_of_the_plug_in_distance_is_around_it():
    rng = np.random.default_rng(0)
    reference, made = draw(rng, 30), draw(rng, 20, shift=0.5)
    value, interval = frechet_with_interval(reference, made)
    assert value == frechet_distance(reference.embeddings, made.embeddings)
    assert interval.low < value < interval.high
    assert interval.method == "jackknife-t"


def mmd(shift):
    """KAD of two unit Gaussians whose means differ by `shift` in each dimension, h^2 = 2 D."""
    h2 = 2 * D
    return 200 * (h2 / (h2 + 2)) ** (D / 2) * (1 - np.exp(-(shift**2) * D / (2 * (h2 + 2))))


def intervals(seed):
    """dict metric -> (interval, truth) of one simulated experiment: 24 works generated, 60 in the reference."""
    rng, h = np.random.default_rng(seed), np.sqrt(2 * D)
    reference, a = draw(rng, 60), draw(rng, 24, shift=0.5)
    works, rows = a.work, a.embeddings - 0.5
    b = 0.8 * rows + 0.6 * draw(rng, 24).embeddings + 0.8  # of the same prompts, so alike
    pair = (reference.embeddings, a.embeddings, b, works, works)
    sums = kernel_sums(reference.embeddings, a.embeddings, reference.work, works, bandwidth=h)
    matched = text_audio_scores(a.embeddings, rows, works).matched
    return {
        "fad_difference": (frechet_difference(*pair, seed=seed, draws=200).interval, D * (0.8**2 - 0.5**2)),
        "fad_corrected": (floor_corrected_distance(reference, a, seed).interval, D * 0.5**2),
        "kad": (kernel_interval(sums, seed, draws=500), mmd(0.5)),
        "kad_difference": (kernel_difference(*pair, h, seed, draws=500).interval, mmd(0.8) - mmd(0.5)),
        "text_audio": (bootstrap_interval(matched, seed, works), MEAN_COSINE),
    }


def mean_cosine():
    """E cos(z + 0.5, z) of a standard normal z in D dimensions."""
    rows = np.random.default_rng(0).standard_normal((100_000, D))
    moved = rows + 0.5
    return float(((rows * moved).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(moved, axis=1)).mean())


MEAN_COSINE = mean_cosine()


def test_intervals_hold_the_truth_in_90_to_99_of_100():
    """100 experiments, three clips a work: the works are what is resampled."""
    found = [intervals(seed) for seed in range(100)]
    for metric in found[0]:
        held = [low <= truth <= high for (low, high, _), truth in (one[metric] for one in found)]
        assert 0.90 <= np.mean(held) <= 0.99, metric


def test_the_interval_of_kad_is_too_wide_near_zero_rather_than_too_short():
    """Between samples of one law the statistic is degenerate and its bootstrap spreads further than it does."""
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        reference, a = draw(rng, 60), draw(rng, 24)
        sums = kernel_sums(reference.embeddings, a.embeddings, reference.work, a.work, bandwidth=3.0)
        low, high, _ = kernel_interval(sums, seed, draws=300)
        held.append(low <= 0 <= high)
    assert np.mean(held) >= 0.95


def test_intervals_of_clips_as_if_they_were_works_are_too_short():
    """What the unit of resampling is for."""
    widths = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        reference, a = draw(rng, 60), draw(rng, 24, shift=0.5)
        of_works, of_clips = (
            kernel_interval(kernel_sums(reference.embeddings, a.embeddings, *works, bandwidth=3.0), draws=300)
            for works in ((reference.work, a.work), (None, None))
        )
        widths.append((of_clips.high - of_clips.low) / (of_works.high - of_works.low))
    assert np.mean(widths) < 0.8
