"""What real audio scores: the floor of the Frechet distance at the size of a sample, and the excess over it.

The plug-in distance of a small sample is mostly bias. Real clips held out of the reference, as many as were generated,
have the same bias and a true distance of zero, so the excess over them estimates the distance of the generated audio.
"""

from dataclasses import dataclass

import numpy as np

from noencore.metrics.frechet import FrechetReference, frechet_distance, frechet_replicates
from noencore.metrics.intervals import TAILS, Interval, jackknife_error, jackknife_groups, jackknife_interval

DRAWS = 20  # of held-out works


@dataclass(frozen=True)
class FloorCorrected:
    """value: mean excess over the floor, with its interval; floor: mean over draws, with the range of 95 % of them."""

    value: float
    interval: Interval
    floor: float
    floor_interval: Interval


def frechet_with_interval(reference, generated, seed=0):
    """Plug-in Frechet distance of `Windows` and its jackknife-t interval over works: (value, Interval).

    The interval says what the plug-in estimate would be with other works, as many: its bias is in it.
    """
    value = frechet_distance(reference.embeddings, generated.embeddings)
    return value, jackknife_interval(value, *distance_error(reference, generated, seed))


def distance_error(reference, generated, seed):
    """Standard error of the Frechet distance, groups of works left out on either side: (error, degrees of freedom)."""
    errors, freedoms = zip(left_out_error(reference, generated, seed), left_out_error(generated, reference, seed))
    return float(np.hypot(*errors)), min(freedoms)


def left_out_error(fixed, windows, seed):
    """Standard error of the Frechet distance as groups of the works of `windows` are left out: (error, freedom)."""
    kept = jackknife_groups(len(windows.work), seed, windows.work)
    return jackknife_error(frechet_replicates(fixed.embeddings, windows.embeddings, kept))


def draw_size(reference, generated):
    """Works of a draw: those generated, but no more than half of the reference, so that as many are left."""
    return min(len(generated.works), len(reference.works) // 2)


def floor_corrected_distance(reference, generated, seed=0):
    """Frechet distance of `Windows` over its floor: `FloorCorrected`.

    Each draw holds out works of the reference, as many as were generated and with as many clips each; these and the
    generated clips (of one eval seed a draw, in turn) are compared with what is left. The mean excess is zero for a
    perfect model, so it may be negative, and is not clipped. Its error is that of the plug-in distance over the works
    of both sides, from which the floor is made too. Where the works are fewer than twice the effective rank, a
    generated set that is wider or narrower than the real one has another bias than the floor, and the interval is too
    short.
    """
    rng, size = np.random.default_rng(seed), draw_size(reference, generated)
    seeds = np.unique(generated.eval_seed)
    floors, excesses = [], []
    for draw in range(DRAWS):
        made = generated[generated.eval_seed == seeds[draw % len(seeds)]]
        made = made[np.isin(made.work, rng.choice(made.works, min(size, len(made.works)), replace=False))]
        held, rest = hold_out(reference, made, rng)
        fitted = FrechetReference.of(rest.embeddings)
        floors.append(frechet_distance(fitted, held.embeddings))
        excesses.append(frechet_distance(fitted, made.embeddings) - floors[-1])
    value, floors = float(np.mean(excesses)), np.array(floors)
    interval = jackknife_interval(value, *distance_error(reference, generated, seed))
    floor_interval = Interval(*map(float, np.quantile(floors, TAILS)), "draws-of-works")
    return FloorCorrected(value, interval, float(floors.mean()), floor_interval)


def hold_out(reference, made, rng):
    """Real `Windows` as many as `made`, work by work and clip by clip, and the reference without the works of these."""
    works = rng.permutation(reference.works)[: len(made.works)]
    clips = []
    for work, label in zip(works, made.works, strict=True):
        of_work = np.unique(reference.clip[reference.work == work])
        clips.extend(rng.permutation(of_work)[: len(np.unique(made.clip[made.work == label]))])
    return reference[np.isin(reference.clip, clips)], reference[~np.isin(reference.work, works)]
