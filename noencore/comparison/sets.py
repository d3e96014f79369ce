"""Differences of FAD and KAD, distances of sets, of every recipe to target and gold, on the same draws of works."""

import json

import numpy as np
import pandas as pd

from noencore.comparison.paired import difference_columns, side_columns, sides
from noencore.metrics.differences import seeded_difference
from noencore.metrics.frechet import FrechetReference, frechet_distance, frechet_replicates
from noencore.metrics.intervals import draw_works, number_works
from noencore.metrics.kernel import kernel_sums
from noencore.metrics.quality import MINIMUM_CLIPS
from noencore.metrics.rows import MINIMUM, clips_of_part, works_of
from noencore.metrics.windows import stored_windows
from noencore.split import SETS

PLAY = ["clip_id", "eval_seed"]
DRAWS = 200  # their spread alone is used, which so many give to 5 %


def distance_differences(embedding, reference, generated, split, target, seed=0, diverged=(), part="test"):
    """Paired differences of fad_<embedding> and kad_<embedding>: (list of dicts for `paired.judged`, frame of the plays
    that were left out: set, clip_id, eval_seed, missing).

    reference: (tensors, metadata) of the originals; generated: dict model -> those of what it played. The reference
    stays as it is, and all models are drawn the same works. A play (clip and eval seed) of which a model that has not
    diverged has no windows is left out of every model.
    """
    works, of_part = works_of(split), clips_of_part(split, part)
    rows, left_out = [], [pd.DataFrame(columns=["set", *PLAY, "missing"])]
    for set_name in SETS:
        clips = of_part.index[of_part == set_name]
        played = {model: stored_plays(metadata, clips) for model, (_, metadata) in generated.items()}
        if not any(map(len, played.values())):
            continue
        made = {model: stored_windows(stored, clips, works) for model, stored in generated.items()}
        whole = {model: windows for model, windows in made.items() if model not in diverged}
        real = stored_windows(reference, clips, works)
        plays, lacking = complete_plays(whole, played)
        left_out.append(lacking.assign(set=set_name))
        whole = {model: windows[plays_of(windows).isin(plays)] for model, windows in whole.items()}
        counts = {
            "set": set_name,
            "n": plays.unique("clip_id").size,
            "n_works": works.loc[plays.unique("clip_id")].nunique(),
            "n_eval_seeds": plays.unique("eval_seed").size,
            "n_incomplete": len(lacking),
            "seed": seed,
        }
        rows += set_rows(embedding, real, whole, list(made), target, counts, diverged)
    return rows, pd.concat(left_out, ignore_index=True)


def plays_of(windows):
    """The clip and eval seed of each window."""
    return pd.MultiIndex.from_arrays([windows.clip, windows.eval_seed], names=PLAY)


def stored_plays(metadata, clips):
    """(clip, eval seed) of all that a file of embeddings was made from, of some clips."""
    wanted = set(clips)
    stored = zip(json.loads(metadata["clip_ids"]), map(int, json.loads(metadata["eval_seeds"])))
    return [play for play in stored if play[0] in wanted]


def complete_plays(made, played):
    """(plays of which all models have windows, frame of the others with the models that `missing` names).

    made: dict model -> `Windows`; played: dict model -> `stored_plays`.
    """
    every = pd.MultiIndex.from_tuples(sorted({play for plays in played.values() for play in plays}), names=PLAY)
    known = pd.DataFrame({model: every.isin(plays_of(windows)) for model, windows in made.items()}, index=every)
    lacking = known[~known.all(axis=1)]
    missing = [" ".join(known.columns[~row]) for row in lacking.to_numpy()]
    return every[known.all(axis=1)], lacking.index.to_frame(index=False).assign(missing=missing)


def set_rows(embedding, real, made, models, target, counts, diverged):
    """Rows of one set; real: `Windows` of the reference, made: dict model -> `Windows` of the same plays."""
    status = "ok"
    if min(counts["n"], real.n) < MINIMUM_CLIPS or min(counts["n_works"], len(real.works)) < MINIMUM:
        status = (
            f"too few: {counts['n']} clips of {counts['n_works']} works beside {real.n} of {len(real.works)}, at least "
            f"{MINIMUM_CLIPS} of {MINIMUM}"
        )
    measured = distances(real, made, counts["seed"]) if status == "ok" else {"fad": {}, "kad": {}}
    rows = []
    for recipe, of_recipe, reference, of_reference in sides(models, target):
        bad = [model for model in of_recipe + of_reference if model in diverged]
        for metric, found in measured.items():
            names = {"recipe": recipe, "reference": reference, "metric": f"{metric}_{embedding}"}
            row = counts | names | side_columns(of_recipe, of_reference)
            row["status"] = f"diverged: {' '.join(bad)}" if bad else status
            if row["status"] == "ok":
                a, b = (np.stack([found[model] for model in side], axis=1) for side in (of_recipe, of_reference))
                difference = seeded_difference(a[0], b[0], a[1:], b[1:], counts["n_works"])
                row |= difference_columns(difference, a[0], b[0])
            rows.append(row)
    return rows


def distances(real, made, seed):
    """dict fad, kad -> dict model -> [1 + DRAWS]: the distance, and that under works drawn with replacement."""
    fitted, found = FrechetReference.of(real.embeddings), {"fad": {}, "kad": {}}
    for model, windows in made.items():
        number = number_works(windows.work, len(windows.work))
        drawn = draw_works(number.max() + 1, seed, DRAWS)
        replicates = frechet_replicates(fitted, windows.embeddings, drawn[:, number])
        found["fad"][model] = np.r_[frechet_distance(fitted, windows.embeddings), replicates]
        sums = kernel_sums(real.embeddings, windows.embeddings, real.work, windows.work)
        found["kad"][model] = np.r_[sums.distance(), sums.distance(None, drawn)]
    return found
