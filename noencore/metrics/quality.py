"""Quality: does the generated audio lie where real audio of its set lies, and is it still music?"""

import json
from dataclasses import dataclass

import numpy as np

from noencore.errors import UserError
from noencore.metrics.distances import frechet_distance, kernel_distance_of_sums, kernel_sums
from noencore.metrics.intervals import (
    DRAWS,
    TAILS,
    Interval,
    jackknife_error,
    jackknife_interval,
    percentile_interval,
)
from noencore.metrics.rows import clips_of_part, metric_frame, metric_row, rate_row
from noencore.split import SETS

MINIMUM_CLIPS = 10  # behind a distance between sets
FLOOR_DRAWS = 20
REPEATED, ENTROPY = 0.5, 0.5  # share of frames, and nats: past either, a clip has collapsed


@dataclass(frozen=True)
class Windows:
    """Embeddings [n_windows, d] with the clip, 0 ... n - 1, of each; all windows of a clip move together."""

    embeddings: np.ndarray
    clip: np.ndarray
    n: int

    def take(self, clips):
        """The windows of some clips, [n_windows, d]."""
        return self.embeddings[np.isin(self.clip, clips)]


def quality_rows(
    generated, generated_embeddings, reference_embeddings, split, reference_sha256="", part="test", seed=0
):
    """Rows of fad, fad_floor, fad_corrected, kad, silence_rate and collapse_rate for each set of prompts.

    generated: the frame of generated.parquet; its prompts are in the order of `generated_embeddings`.
    Embeddings are (tensors, metadata) as embeddings.safetensors holds them; the reference of a set is its
    original clips of `part`. Raises UserError where the embeddings do not belong to the prompts, or come from
    two different models.
    """
    prompts = generated[generated["kind"] == "prompt"].reset_index(drop=True)
    _check(prompts, generated_embeddings[1], reference_embeddings[1])
    of_part = clips_of_part(split, part)
    provenance = (generated_embeddings[1]["weights_sha256"], reference_sha256)
    rows = []
    for name in [name for name in SETS if name in set(prompts["set"])]:
        of_set = prompts[prompts["set"] == name]
        originals = windows_of(reference_embeddings, of_part.index[of_part == name])
        made = windows_of(generated_embeddings, of_set["clip_id"])
        rows += distance_rows(name, originals, made, provenance, seed)
        rows += failure_rows(name, of_set)
    return metric_frame(rows)


def windows_of(embeddings, clip_ids):
    """The `Windows` of some clips of an embeddings file. All eval seeds of a clip are one clip."""
    tensors, metadata = embeddings
    ids = json.loads(metadata["clip_ids"])
    number = {clip_id: i for i, clip_id in enumerate(sorted(set(ids) & set(map(str, clip_ids))))}
    clip = np.array([number.get(clip_id, -1) for clip_id in ids], dtype=int)[np.asarray(tensors["clip"])]
    return Windows(np.asarray(tensors["embeddings"])[clip >= 0], clip[clip >= 0], len(number))


def distance_rows(name, reference, generated, provenance, seed):
    """Rows of the distances of one set.

    fad: the plug-in Frechet distance, which small samples bias upwards. fad_floor: the same for real clips,
    as many as were generated, against the rest of the reference, mean over 20 draws. fad_corrected: the
    excess over that floor at equal sizes, its error that of fad and the spread of the floor together; its
    mean is zero for a perfect model, so it may be negative. kad: the unbiased kernel distance, the pairs of
    windows of one clip left out. n is the number of clips on the smaller side, or in a draw.
    """
    n = min(reference.n, generated.n)
    size = min(generated.n, reference.n // 2)  # clips of a draw: at least as many are left as the reference
    if n >= MINIMUM_CLIPS:
        fad = frechet_distance(reference.embeddings, generated.embeddings)
        error, freedom = fad_error(reference, generated, seed)
    if size >= MINIMUM_CLIPS:
        floors, excesses = floor_draws(reference, generated, size, seed)

    def row(metric, clips, compute):
        return metric_row(name, metric, clips, MINIMUM_CLIPS, compute, *provenance)

    def floor():
        return floors.mean(), Interval(*np.quantile(floors, TAILS), "draws-of-clips")

    def corrected():
        error_and_floor = np.hypot(error, floors.std(ddof=1))
        return excesses.mean(), jackknife_interval(excesses.mean(), error_and_floor, freedom)

    return [
        row("fad", n, lambda: (fad, jackknife_interval(fad, error, freedom))),
        row("fad_floor", size, floor),
        row("fad_corrected", size, corrected),
        row("kad", n, lambda: kad_and_interval(reference, generated, seed)),
    ]


def fad_error(reference, generated, seed):
    """Jackknife standard error of FAD, groups of clips left out on either side in turn.

    Returns (error, degrees of freedom).
    """
    of_reference, free_reference = jackknife_error(
        lambda kept: frechet_distance(reference.take(kept), generated.embeddings), reference.n, seed
    )
    of_generated, free_generated = jackknife_error(
        lambda kept: frechet_distance(reference.embeddings, generated.take(kept)), generated.n, seed
    )
    return float(np.hypot(of_reference, of_generated)), min(free_reference, free_generated)


def floor_draws(reference, generated, size, seed):
    """FAD of `size` real clips against the rest of the reference, and the excess of as many generated ones.

    Both share the rest of the reference and the sizes, and so the bias. Returns two arrays [FLOOR_DRAWS].
    """
    rng = np.random.default_rng(seed)
    floors, excesses = [], []
    for _ in range(FLOOR_DRAWS):
        order = rng.permutation(reference.n)
        rest = reference.take(order[size:])
        floors.append(frechet_distance(rest, reference.take(order[:size])))
        drawn = rng.choice(generated.n, size, replace=False)
        excesses.append(frechet_distance(rest, generated.take(drawn)) - floors[-1])
    return np.array(floors), np.array(excesses)


def kad_and_interval(reference, generated, seed):
    """KAD by clips, and the interval of a bootstrap that resamples the clips of both sides.

    A clip drawn twice never meets itself: those pairs have a kernel of one and would make the interval too
    high.
    """
    sums = kernel_sums(reference.embeddings, reference.clip, generated.embeddings, generated.clip)
    rng = np.random.default_rng(seed)
    draws_x, draws_y = (rng.multinomial(n, np.full(n, 1 / n), size=DRAWS) for n in (reference.n, generated.n))
    kad = kernel_distance_of_sums(sums, np.ones(reference.n), np.ones(generated.n))
    return kad, percentile_interval(kernel_distance_of_sums(sums, draws_x, draws_y))


def failure_rows(name, prompts):
    """Rows of the rates of outright failure; a prompt counts if it fails under any eval seed."""
    collapsed = (prompts["repeated"] > REPEATED) | (prompts["token_entropy"] < ENTROPY)
    return [
        rate_row(name, "silence_rate", prompts.groupby("clip_id")["silent"].any()),
        rate_row(name, "collapse_rate", collapsed.groupby(prompts["clip_id"]).any()),
    ]


def _check(prompts, generated, reference):
    if json.loads(generated["clip_ids"]) != [str(clip_id) for clip_id in prompts["clip_id"]]:
        raise UserError("embeddings.safetensors: not those of the prompts in generated.parquet; embed the audio again")
    for key in ("model", "weights_sha256"):
        if generated[key] != reference[key]:
            raise UserError(
                f"embeddings.safetensors: {key} is {generated[key]} of the generated audio, "
                f"{reference[key]} of the reference; embed both with one model"
            )
