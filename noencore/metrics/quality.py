"""Quality: does the generated audio lie where real audio of its set lies, and does a classifier hear the same in it?"""

import json

import numpy as np
import pandas as pd

from noencore.errors import UserError
from noencore.metrics.floor import draw_size, floor_corrected_distance, frechet_with_interval
from noencore.metrics.frechet import effective_rank
from noencore.metrics.kernel import kernel_interval, kernel_sums
from noencore.metrics.posteriors import NAMES, clip_divergences
from noencore.metrics.rows import (
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


def measure_quality(split, generated, embeddings, references, reference_sha256, part="test", seed=0):
    """Rows of fad, fad_floor, fad_corrected, kad and, of a classifier, kl_<preset>, each with its embedding's name behind.

    generated: the frame of generated.parquet. embeddings, references: dict embedding -> (tensors, metadata) of its file
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
        original = references[name]
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
            rows += mean_rows(of_model, works, seed, **known) if len(of_model) else []
            values.append(of_model)
    return Measured(metric_frame(rows), pd.concat(values, ignore_index=True) if len(values) > 1 else values[0])


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

    n and n_works are those of the smaller side, or of a draw of the floor; effective_rank is the reference's.
    """
    real, made = (stored_windows(stored, clips, works) for stored, clips in (reference, generated))
    status = left_out_status(left_out(*generated), left_out(*reference))
    clips, n_works = min(real.n, made.n), min(len(real.works), len(made.works))
    size = draw_size(real, made) if clips else 0
    per_work = made.n / max(len(made.works), 1)
    if clips >= MINIMUM_CLIPS:
        known = {**known, "effective_rank": effective_rank(real.embeddings), "seed": seed}
        fad, interval, error, freedom = frechet_with_interval(real, made, seed)
    if size * per_work >= MINIMUM_CLIPS:
        corrected = floor_corrected_distance(real, made, error, freedom, seed)
    sizes = {False: (clips, n_works), True: (int(size * per_work), size)}

    def row(metric, compute, drawn=False):
        n, of_works = sizes[drawn]
        row = metric_row(set_name, metric + ending, n, MINIMUM_CLIPS, compute, n_works=of_works, **known)
        return row | ({"status": status} | too_few_works(of_works) if row["status"] == "ok" else {})

    return [
        row("fad", lambda: (fad, interval)),
        row("fad_floor", lambda: (corrected.floor, corrected.floor_interval), drawn=True),
        row("fad_corrected", lambda: (corrected.value, corrected.interval), drawn=True),
        row("kad", lambda: kad_and_interval(real, made, seed)),
    ]


def kad_and_interval(reference, generated, seed):
    """KAD of `Windows` by works, bandwidth of the reference, and its interval."""
    sums = kernel_sums(reference.embeddings, generated.embeddings, reference.work, generated.work)
    return sums.distance(), kernel_interval(sums, seed)


def divergence_values(name, prompts, generated, reference, works):
    """Per-clip values of kl_<preset>_<name>: what was played against the prompt's original, for each preset.

    A prompt whose original has no windows has no value; one whose generated audio has none has an empty value.
    """
    clips = prompts["clip_id"].unique()
    made, real = (stored_windows(stored, clips, works, "logits") for stored in (generated, reference))
    wanted = prompts[prompts["clip_id"].astype(str).isin(np.unique(real.clip))]
    parts = []
    for preset in NAMES:
        found = clip_divergences(made, real, preset)
        keys = zip(wanted["clip_id"].astype(str), wanted["eval_seed"].astype(int))
        column = [found.get(key, np.nan) for key in keys]
        parts.append(wanted[["set", "clip_id", "eval_seed"]].assign(metric=f"kl_{preset}_{name}", value=column))
    return pd.concat(parts, ignore_index=True)[VALUE_COLUMNS].astype({"eval_seed": np.int64, "value": np.float64})
