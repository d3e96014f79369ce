"""Quality: does the generated audio lie where real audio of its set lies, and does a classifier hear the same in it?"""

import json

import numpy as np
import pandas as pd

from noencore.embeddings import CLASSIFIERS
from noencore.errors import UserError
from noencore.metrics.floor import FloorCorrected, draw_size, floor_corrected_distance, frechet_with_interval
from noencore.metrics.frechet import effective_rank, frechet_distance
from noencore.metrics.kernel import kernel_interval, kernel_sums
from noencore.metrics.posteriors import NAMES, clip_divergences
from noencore.metrics.rows import (
    MINIMUM,
    NO_INTERVAL,
    VALUE_COLUMNS,
    Measured,
    clips_of_part,
    mean_rows,
    metric_frame,
    metric_row,
    no_values,
    too_few_works,
    works_of,
)
from noencore.metrics.windows import left_out, left_out_status, stored_windows
from noencore.split import SETS

MINIMUM_CLIPS = 10  # behind a distance between sets
NO_FLOOR = FloorCorrected(np.nan, NO_INTERVAL, np.nan, NO_INTERVAL)


def measure_quality(split, generated, embeddings, reference, reference_sha256, part="test", seed=0):
    """Rows of fad_, fad_floor_, fad_corrected_, kad_<embedding> and, of a classifier, kl_<preset>_<embedding>.

    generated: the frame of generated.parquet. embeddings, reference: dict embedding -> (tensors, metadata) of its file
    for what was generated and for the originals; the reference of a set is its original clips of `part`, that of KL the
    original of the prompt. reference_sha256: dict embedding -> digest of that file. Works move together in every
    interval. A clip without windows is left out of the distances, and the status names it; of KL it makes the mean "not
    finite" where it was generated, as leaving it out would flatter the model. Raises UserError where the embeddings do
    not belong to the prompts, or come from two different models.
    """
    prompts, works = generated[generated["kind"] == "prompt"], works_of(split)
    of_part = clips_of_part(split, part)
    rows, values = [], [no_values()]
    for name, made in embeddings.items():
        original = reference[name]
        check_embeddings(name, prompts, made[1], original[1])
        known = {
            "weights_sha256": made[1]["weights_sha256"],
            "reference_sha256": reference_sha256[name],
            "d": np.asarray(made[0]["embeddings"]).shape[1],
        }
        for set_name in [set_name for set_name in SETS if set_name in set(prompts["set"])]:
            played = prompts.loc[prompts["set"] == set_name, "clip_id"].unique()
            rows += distance_rows(
                f"_{name}", set_name, (original, of_part.index[of_part == set_name]), (made, played), works, seed, known
            )
        if "logits" in made[0] and "logits" in original[0]:
            of_model = divergence_values(name, prompts, made, original, works)
            known["d"] = np.asarray(made[0]["logits"]).shape[1]
            rows += divergence_rows(of_model, prompts, original, works, seed, known)
            values.append(of_model)
    return Measured(metric_frame(rows), pd.concat(values, ignore_index=True) if len(values) > 1 else values[0])


def metrics_of(embedding):
    """The metrics that are empty where an embedding could not be computed."""
    of_classes = [f"kl_{preset}" for preset in NAMES] if embedding in CLASSIFIERS else []
    return [f"{metric}_{embedding}" for metric in ("fad", "kad", "fad_floor", "fad_corrected", *of_classes)]


def check_embeddings(name, prompts, generated, reference):
    """UserError where the metadata of two files of embeddings belong to other prompts, or to two different models."""
    played = [(str(row.clip_id), int(row.eval_seed)) for row in prompts.itertuples()]
    if list(zip(json.loads(generated["clip_ids"]), json.loads(generated["eval_seeds"]))) != played:
        raise UserError(f"embeddings of {name}: not those of the prompts in generated.parquet; embed the audio again")
    for key in ("model", "weights_sha256"):
        if generated[key] != reference[key]:
            raise UserError(
                f"embeddings of {name}: {key} is {generated[key]} of the generated audio, {reference[key]} of the "
                "reference; embed both with one model"
            )


def distance_rows(ending, set_name, reference, generated, works, seed, known):
    """Rows of the distances of one set; reference and generated are (file of embeddings, clip ids).

    n and n_works are those of the smaller side, or of a draw of the floor; effective_rank is the reference's. Too few
    works to resample leave fad and kad without an interval and the floor without a value. fad_corrected says where its
    works are fewer than twice the effective rank: a set of another spread has another bias than the floor then.
    """
    real, made = (stored_windows(stored, clips, works) for stored, clips in (reference, generated))
    left = left_out_status(left_out(*generated), left_out(*reference))
    sizes = min(real.n, made.n), min(len(real.works), len(made.works))
    rank = effective_rank(real.embeddings) if sizes[0] >= MINIMUM_CLIPS else np.nan

    def row(metric, n, n_works, compute):
        known_here = {**known, "n_works": n_works, "effective_rank": rank, "seed": seed}
        row = metric_row(set_name, metric + ending, n, MINIMUM_CLIPS, compute, **known_here)
        return row | ({"status": left} | too_few_works(n_works) if row["status"] == "ok" else {})

    rows = [
        row("fad", *sizes, lambda: fad_and_interval(real, made, seed)),
        row("kad", *sizes, lambda: kad_and_interval(real, made, seed)),
    ]
    drawn = draw_size(real, made)
    n = drawn * made.n // max(len(made.works), 1)
    found = floor_corrected_distance(real, made, seed) if n >= MINIMUM_CLIPS and drawn >= MINIMUM else NO_FLOOR
    floor = row("fad_floor", n, drawn, lambda: (found.floor, found.floor_interval))
    corrected = row("fad_corrected", n, drawn, lambda: (found.value, found.interval))
    if n >= MINIMUM_CLIPS and drawn < MINIMUM:
        floor["status"] = corrected["status"] = f"too few works: {drawn} < {MINIMUM}"
    if np.isfinite(corrected["value"]) and drawn < 2 * rank:
        small = f"small sample: {drawn} works < 2 x effective rank {rank:.1f}"
        corrected["status"] = small if corrected["status"] == "ok" else f"{corrected['status']}; {small}"
    return [*rows, floor, corrected]


def fad_and_interval(reference, generated, seed):
    """Plug-in FAD of `Windows`, and its interval where there are works enough."""
    if min(len(reference.works), len(generated.works)) < MINIMUM:
        return frechet_distance(reference.embeddings, generated.embeddings), NO_INTERVAL
    return frechet_with_interval(reference, generated, seed)


def kad_and_interval(reference, generated, seed):
    """KAD of `Windows` by works, bandwidth of the reference, and its interval where there are works enough."""
    works = min(len(reference.works), len(generated.works))
    if works < 2:
        return np.nan, NO_INTERVAL
    sums = kernel_sums(reference.embeddings, generated.embeddings, reference.work, generated.work)
    return sums.distance(), kernel_interval(sums, seed) if works >= MINIMUM else NO_INTERVAL


def divergence_rows(values, prompts, reference, works, seed, known):
    """Rows of the means of `divergence_values`; the status names the prompts without an original to compare with."""
    rows = mean_rows(values, works, seed, **known) if len(values) else []
    for row in rows:
        clips = prompts.loc[prompts["set"] == row["set"], "clip_id"]
        missing = left_out_status({}, left_out(reference, clips))
        if row["status"] == "ok":
            row["status"] = missing
    return rows


def divergence_values(name, prompts, generated, reference, works):
    """Per-clip values of kl_<preset>_<name>: what was played against the prompt's original, for each preset.

    A prompt whose original has no windows has no value; one whose generated audio has none has an empty value.
    """
    clips, about = prompts["clip_id"].unique(), generated[1]
    stride = round(float(about["window_s"]) / float(about["hop_s"]))
    made, real = (stored_windows(stored, clips, works, "logits") for stored in (generated, reference))
    wanted = prompts[prompts["clip_id"].astype(str).isin(np.unique(real.clip))]
    parts = []
    for preset in NAMES:
        found = clip_divergences(made, real, preset, stride)
        keys = zip(wanted["clip_id"].astype(str), wanted["eval_seed"].astype(int))
        column = [found.get(key, np.nan) for key in keys]
        parts.append(wanted[["set", "clip_id", "eval_seed"]].assign(metric=f"kl_{preset}_{name}", value=column))
    return pd.concat(parts, ignore_index=True)[VALUE_COLUMNS].astype({"eval_seed": np.int64, "value": np.float64})
