"""Copying: does the generated audio hold pieces of the forget clips?

Two searches, each blind where the other sees: windows of an embedding find a passage that is played in another key or
tempo, landmarks find it under noise, filters and other music. What counts as found is set by the holdout clips, which
nobody has learned: a clip like them passes the thresholds with a known probability.
"""

import json

import numpy as np
import pandas as pd

from noencore import fingerprint
from noencore.errors import UserError
from noencore.fingerprint import Landmarks, landmark_scores
from noencore.metrics.rows import (
    NO_INTERVAL,
    Measured,
    mean_rows,
    metric_frame,
    metric_row,
    rate_rows,
    tidy_values,
    works_of,
)

PADDED = 0.5  # share of padding past which a window is left out
BLOCK = 2**24  # cosines held at a time: 64 MiB


def measure_copying(split, generated, embeddings, reference, reference_sha256, alpha, seed=0):
    """Rows and per-clip values of a search of every prompt's audio for the forget clips, of any part.

    copy_window_similarity, copy_landmark_score: mean over clips of the best match with any forget clip.
    copy_window_rate, copy_landmark_rate: share of clips with a match above the threshold, which is a row of the set
    `holdout` (copy_window_threshold, copy_landmark_threshold; n counts holdout clips). copy_rate: by either. A clip
    counts once, if it is found under any eval seed. Each threshold is that of `alpha` / 2: among clips like those of
    holdout a share of at most `alpha` is expected above either, for each eval seed.

    generated: the frame of generated.parquet. embeddings, reference: dict name -> (tensors, metadata), of one embedding
    and of the landmarks, for the prompts in their order and for original clips; reference_sha256: dict name -> digest.
    Raises UserError where these do not belong together, or a forget or holdout clip is not in the reference.
    """
    prompts = generated[generated["kind"] == "prompt"].set_index("clip_id").astype({"eval_seed": int})
    (embedding,) = set(embeddings) - {fingerprint.NAME}
    searches = {
        "window": (embedding, search_windows, "similarity"),
        "landmark": (fingerprint.NAME, search_landmarks, "score"),
    }
    rows, tables, hits, statuses = [], [], [], []
    for kind, (name, search, score) in searches.items():
        check_inputs(name, prompts, embeddings[name][1], reference[name][1])
        originals = originals_of(name, reference[name][1], split)
        found, null, known = search(embeddings[name], reference[name], originals["set"].to_numpy(object))
        known = known | {"reference_sha256": reference_sha256[name]}
        works = originals.loc[originals["set"] == "holdout", "work_id"][np.isfinite(null)]
        threshold, row = threshold_row(kind, null[np.isfinite(null)], alpha / len(searches), works, known)
        scores = prompt_values(prompts, f"copy_{kind}_{score}", found)
        hits.append(np.where(np.isnan(found), np.nan, found > threshold))
        statuses.append(row["status"])
        of_rate, values = rates(prompts, f"copy_{kind}_rate", hits[-1], row["status"], known)
        rows += [row, *mean_rows(scores, works_of(split), seed, **known), *of_rate]
        tables += [scores, values]
    either = np.maximum(*hits)  # missing where one is
    of_rate, values = rates(prompts, "copy_rate", either, max(statuses, key=lambda status: status != "ok"), {})
    return Measured(metric_frame(rows + of_rate), pd.concat([*tables, values], ignore_index=True))


def metrics_of(embedding):
    """The metrics that are empty where the embedding of the windows could not be computed: all, both count."""
    return ["copy_window_rate", "copy_landmark_rate", "copy_rate", "copy_window_similarity", "copy_landmark_score"]


def search_windows(embeddings, reference, sets):
    """The best matches by windows: (of the prompts [n], of the holdout clips [n0], columns of the rows).

    sets: the set of each clip of the reference, [n_clips].
    """
    forget, _ = windows_of(reference, sets == "forget")
    found, null = (
        window_similarity(*windows_of(file, chosen), int(chosen.sum()), forget)
        for file, chosen in ((embeddings, all_clips(embeddings)), (reference, sets == "holdout"))
    )
    return found, null, {"weights_sha256": embeddings[1]["weights_sha256"], "d": forget.shape[1]}


def search_landmarks(landmarks, reference, sets):
    """The best matches by landmarks, as `search_windows`; missing for a clip that could not be read."""
    forget = landmarks_of(reference, sets == "forget")
    found, null = (
        np.where(usable(file)[chosen], landmark_scores(landmarks_of(file, chosen), forget), np.nan)
        for file, chosen in ((landmarks, all_clips(landmarks)), (reference, sets == "holdout"))
    )
    return found, null, {}


def window_similarity(windows, clip, n, forget):
    """The best match of each of n clips with the forget clips: the largest cosine of any of its windows with any of
    theirs, [n], after the mean of their windows is taken off (without that all music is alike).

    windows: [n_windows, d] with the clip, 0 ... n - 1, of each; forget: [n_forget_windows, d]. A clip without windows
    is missing. Cost: n_windows x n_forget_windows x d, in blocks of 64 MiB.
    """
    best = np.full(n, -np.inf)
    if not len(windows) or not len(forget):
        return np.full(n, np.nan)
    centre = forget.mean(axis=0, dtype=np.float64)
    windows, forget = unit(windows - centre), unit(forget - centre)
    for rows in np.array_split(np.arange(len(windows)), len(windows) * len(forget) // BLOCK + 1):
        np.maximum.at(best, clip[rows], (windows[rows] @ forget.T).max(axis=1))
    return np.where(np.isfinite(best), best, np.nan)


def unit(vectors):
    """Vectors [n, d] at length one, float32; a vector of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def least_clips(alpha):
    """The fewest clips that a conformal threshold at `alpha` can be had from: 1 / alpha - 1."""
    return int(np.ceil(1 / alpha - 1 - 1e-9))


def conformal_threshold(null, alpha):
    """The k-th smallest of scores `null` [n0], k = ceil((n0 + 1)(1 - alpha)); NaN where n0 < 1 / alpha - 1.

    A further score that is exchangeable with these is above it with probability (n0 + 1 - k) / (n0 + 1) <= alpha, or
    less where scores are equal: the split conformal rule (Papadopoulos et al., 2002; Vovk et al., 2005). Given these
    scores that probability follows Beta(n0 + 1 - k, k). Raises ValueError for an alpha that is not in (0, 1) and for
    scores that are not finite.
    """
    null = np.sort(np.asarray(null, np.float64))
    if not 0 < alpha < 1 or not np.isfinite(null).all():
        raise ValueError(f"conformal threshold: alpha {alpha} must be in (0, 1), scores must be finite")
    if len(null) < least_clips(alpha):
        return np.nan
    return float(null[int(np.ceil((len(null) + 1) * (1 - alpha) - 1e-9)) - 1])


def mcnemar(before, after):
    """Exact McNemar test of hits before and after on the same clips, [n] of 0 and 1 each: (lost, gained, p).

    lost, gained: clips that were hit only before, only after. p is the two-sided binomial probability of so uneven a
    share of them at one half (McNemar, 1947); 1 where no clip changed. Clips are taken as independent. Raises
    ValueError for arrays of other values or of two lengths.
    """
    from scipy.stats import binomtest

    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if before.shape != after.shape or before.ndim != 1 or not np.isin([before, after], (0, 1)).all():
        raise ValueError("mcnemar: hits before and after must be two arrays [n] of 0 and 1")
    lost, gained = int((before > after).sum()), int((after > before).sum())
    return lost, gained, float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


def threshold_row(kind, null, alpha, works, known):
    """(threshold, row) of a search from the scores of the holdout clips [n0] of works [n0]; NaN where too few."""
    threshold, least = conformal_threshold(null, alpha), least_clips(alpha)
    row = metric_row("holdout", f"copy_{kind}_threshold", len(null), least, lambda: (threshold, NO_INTERVAL),
                     n_works=works.nunique(), **known)  # fmt: skip
    return threshold, row if len(null) >= least else row | {"status": f"too few holdout clips: {len(null)} < {least}"}


def rates(prompts, metric, hits, status, known):
    """(rows, values) of the share of clips that are hit; without a threshold empty rows with its status, no values."""
    values = prompt_values(prompts, metric, hits)
    rows = rate_rows(values if status == "ok" else values.assign(value=np.nan), **known)
    if status == "ok":
        return rows, values
    return [row | {"status": status} for row in rows], values.head(0)


def prompt_values(prompts, metric, values):
    """Values [n], one a prompt and eval seed, as a frame of VALUE_COLUMNS."""
    return tidy_values(prompts[["set", "eval_seed"]].assign(**{metric: values}), [metric])


def check_inputs(name, prompts, made, reference):
    """Raise UserError where a file is not of these prompts, or not made as the reference was."""
    rows = (list(prompts.index.astype(str)), list(prompts["eval_seed"]))
    if (json.loads(made["clip_ids"]), json.loads(made["eval_seeds"])) != rows:
        raise UserError(f"embeddings/{name}: not of the prompts in generated.parquet; embed the audio again")
    for key in ("model", "weights_sha256", "fingerprint_version"):
        if made.get(key) != reference.get(key):
            raise UserError(
                f"embeddings/{name}: {key} is {made.get(key)} of the generated audio, {reference.get(key)} of the "
                "reference; embed both again"
            )


def originals_of(name, reference, split):
    """A frame of `set` and `work_id`, a row a clip of a reference. UserError: a forget or holdout clip is not in it."""
    clip_ids = json.loads(reference["clip_ids"])
    searched = split.loc[split["set"].isin(["forget", "holdout"]), "clip_id"]
    if lacking := sorted(set(searched) - set(clip_ids)):
        raise UserError(
            f"embeddings/{name}/reference.safetensors: {len(lacking)} forget or holdout clips are not in it "
            f"(first: {lacking[0]}); embed the reference again"
        )
    return split.set_index("clip_id")[["set", "work_id"]].reindex(clip_ids)


def all_clips(file):
    return np.ones(len(json.loads(file[1]["clip_ids"])), bool)


def usable(file):
    """Which clips of an embeddings file could be read, bool [n_clips]."""
    return np.array([status == "ok" for status in json.loads(file[1]["status"])], bool)


def windows_of(file, chosen):
    """(windows [n_windows, d], clip [n_windows]) of the chosen clips [n_clips] of a file, which are numbered anew.

    Windows that are mostly padding are left out.
    """
    tensors = {name: np.asarray(tensor) for name, tensor in file[0].items()}
    kept = chosen[tensors["clip"]] & (tensors["padded"] <= PADDED)
    return tensors["embeddings"][kept], (np.cumsum(chosen) - 1)[tensors["clip"][kept]]


def landmarks_of(file, chosen):
    """The Landmarks of the chosen clips [n_clips] of a file, which are numbered anew."""
    tensors = {name: np.asarray(tensor) for name, tensor in file[0].items()}
    kept = chosen[tensors["clip"]]
    clip = (np.cumsum(chosen) - 1)[tensors["clip"][kept]]
    return Landmarks(tensors["hash"][kept], tensors["time"][kept], clip, int(chosen.sum()))
