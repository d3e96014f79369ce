"""Text and audio: does the music fit its caption, and better than it fits the captions of others?"""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from noencore.metrics.intervals import number_works
from noencore.metrics.quality import check_embeddings
from noencore.metrics.rows import Measured, mean_rows, metric_frame, no_values, tidy_values, works_of
from noencore.metrics.windows import left_out, left_out_status, stored_windows
from noencore.split import SETS

PARTS = ("", "_mismatched", "_auc", "_rank")  # of the metrics' names: the fields of TextAudioScores


@dataclass(frozen=True)
class TextAudioScores:
    """For each clip [n]: matched, the cosine with its own caption; mismatched, the mean cosine with those of other
    works; auc, the share of these that it fits less than its own (ties count half); rank, the place of its own among
    them, 1 the best. Without captions of other works the last three are nan."""

    matched: np.ndarray
    mismatched: np.ndarray
    auc: np.ndarray
    rank: np.ndarray


def text_audio_scores(audio, text, works=None):
    """`TextAudioScores` of audio vectors [n, d] and the vectors of their captions [n, d].

    works: [n], labels; the captions of a clip's own work, and those equal to its own, are no mismatch. Cosines are
    neither clipped at 0 nor scaled, and have no zero of their own: read them beside the mismatched. Raises ValueError
    for other shapes.
    """
    audio, text = np.asarray(audio, np.float64), np.asarray(text, np.float64)
    if audio.ndim != 2 or audio.shape != text.shape:
        raise ValueError(f"audio and text must be [n, d] alike, not {audio.shape} and {text.shape}")
    cosines = unit(audio) @ unit(text).T
    work, caption = number_works(works, len(audio)), np.unique(text, axis=0, return_inverse=True)[1].ravel()
    other = (work[:, None] != work) & (caption[:, None] != caption)
    count = np.where(other.any(axis=1), other.sum(axis=1), np.nan)
    own = np.diag(cosines)[:, None]
    above, equal = ((compare & other).sum(axis=1) for compare in (cosines > own, cosines == own))
    return TextAudioScores(
        matched=np.diag(cosines).copy(),
        mismatched=np.where(other, cosines, 0).sum(axis=1) / count,
        auc=1 - (above + equal / 2) / count,
        rank=1 + above + equal / 2 + 0 * count,
    )


def clip_vector(windows):
    """The vector [d] of a clip from its windows [w, d]: the mean of the unit vectors, made one again."""
    return unit(unit(windows).mean(axis=0))


def unit(vectors):
    """Vectors [..., d] of length one; a vector of zeros stays."""
    vectors = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def standardised(vectors, reference):
    """Vectors [n, d] less the mean of a reference [m, d], over its standard deviation; where that is 0, 0."""
    deviation = np.asarray(reference, np.float64).std(axis=0)
    centred = np.asarray(vectors, np.float64) - np.mean(reference, axis=0)
    return np.where(deviation > 0, centred / np.where(deviation > 0, deviation, 1), 0)


def measure_text_audio(split, generated, embeddings, reference, reference_sha256, captions, seed=0):
    """Rows of text_audio_, text_audio_mismatched_, text_audio_auc_ and text_audio_rank_<model> for each set.

    generated: the frame of generated.parquet. embeddings, reference: dict embedding -> (tensors, metadata) of what was
    generated and of the originals; reference_sha256: dict embedding -> digest of the latter. captions: that of
    captions.safetensors, whose metadata name the model, the embedding and tensor of its audio side and whether both
    sides are standardised: then a clip is the mean of its windows, and the statistics are those of all originals and of
    all their captions, the same for every model. The other captions of a set are those of its prompts. A clip with no
    windows has an empty value. A prompt without a caption is left out, and the status says so. Raises UserError where
    the embeddings do not belong to the prompts.
    """
    prompts, works = generated[generated["kind"] == "prompt"], works_of(split)
    about = captions[1]
    embeddings, reference, digest = (given[about["audio"]] for given in (embeddings, reference, reference_sha256))
    check_embeddings(about["audio"], prompts, embeddings[1], reference[1])
    text = dict(zip(json.loads(about["clip_ids"]), np.asarray(captions[0]["text"], np.float64)))
    audio = audio_vectors(embeddings, reference, works, about)
    if json.loads(about["standardise"]):
        every = np.array(list(text.values()))
        text = dict(zip(text, standardised(every, every)))
    known = {
        "weights_sha256": about["weights_sha256"],
        "reference_sha256": digest,
        "d": np.asarray(captions[0]["text"]).shape[1],
    }
    rows, values = [], [no_values()]
    for set_name in [set_name for set_name in SETS if set_name in set(prompts["set"])]:
        of_set = prompts[prompts["set"] == set_name]
        found = set_values(of_set, audio, text, works, about["model"])
        values.append(found)
        rows += [row | _status(row, embeddings, of_set, text) for row in mean_rows(found, works, seed, **known)]
    return Measured(metric_frame(rows), pd.concat([v for v in values if len(v)] or values, ignore_index=True))


def metrics_of(model):
    """The metrics that are empty where a text-audio model is not there."""
    return [f"text_audio{part}_{model}" for part in PARTS]


def audio_vectors(embeddings, reference, works, about):
    """dict (clip, eval seed) -> vector of what was played, as the text-audio model compares it."""
    made, real = (
        stored_windows(stored, json.loads(stored[1]["clip_ids"]), works, about["side"]).played()
        for stored in (embeddings, reference)
    )
    if not json.loads(about["standardise"]):
        return {key: clip_vector(rows) for key, rows in made.items()}
    means = np.array([rows.mean(axis=0) for rows in real.values()])
    return {key: standardised(rows.mean(axis=0), means) for key, rows in made.items()}


def set_values(prompts, audio, text, works, model):
    """Per-clip values of one set, each eval seed against the captions of its own prompts."""
    parts = []
    for seed, played in prompts.groupby("eval_seed", sort=False):
        clips = [clip for clip in played["clip_id"].astype(str) if clip in text]
        width = len(next(iter(text.values())))
        sounds = np.array([audio.get((clip, seed), np.full(width, np.nan)) for clip in clips]).reshape(-1, width)
        heard = np.isfinite(sounds).all(axis=1)
        wide = pd.DataFrame(np.nan, index=clips, columns=PARTS)
        if heard.any():
            kept = np.flatnonzero(heard)
            scores = text_audio_scores(
                sounds[kept], np.array([text[clips[i]] for i in kept]), works.loc[[clips[i] for i in kept]]
            )
            wide.iloc[kept] = np.column_stack([scores.matched, scores.mismatched, scores.auc, scores.rank])
        wide.columns = [f"text_audio{part}_{model}" for part in wide.columns]
        parts.append(wide.assign(set=played["set"].iloc[0], eval_seed=int(seed)))
    wide = pd.concat(parts)
    return tidy_values(wide, [column for column in wide.columns if column.startswith("text_audio")])


def _status(row, embeddings, prompts, text):
    """What replaces the status of a row that is made without some of the prompts."""
    clips = prompts["clip_id"].astype(str).unique()
    silent = left_out(embeddings, clips)
    wordless = {clip: "no caption" for clip in clips if clip not in text}
    status = left_out_status(silent, wordless)
    return {"status": status} if row["status"] == "ok" and status != "ok" else {}
