"""Scores: teacher-forced NLL of every clip, codebook and condition.

They are stored once; every likelihood metric is a function of them.
"""

import numpy as np
import pandas as pd
import torch

from noencore.errors import UserError
from noencore.musicgen.loss import clip_nll, token_nll
from noencore.training import autocast, pick_device, without_captions

BATCH = 32


def wrong_captions(captions, sets, count, seed):
    """For each clip the positions of `count` clips of its set that have another caption: int array [N, count].

    captions, sets: arrays [N]. Every wrong caption comes from the same set, so that it is as far from home as the right
    one. Where a set has fewer than `count` other captions, they repeat; a set with a single caption raises UserError.
    """
    rng = np.random.default_rng(seed)
    drawn = np.empty((len(captions), count), dtype=int)
    for index, (caption, name) in enumerate(zip(captions, sets)):
        others = np.flatnonzero((sets == name) & (captions != caption))
        if not len(others):
            raise UserError(
                f"split.parquet: set {name} has one caption only, so none is wrong; add works under catalogue"
            )
        drawn[index] = rng.choice(others, size=count, replace=len(others) < count)
    return drawn


@torch.inference_mode()
def score(model, clips, wrong, progress=iter):
    """Scores of all clips: a frame of clip_id, condition, codebook, nll (nats a token), n_tokens.

    Conditions: the clip's own "caption", no caption ("null"), and "wrong", the mean over the captions at positions
    wrong [N, m].
    """
    model = model.to(pick_device()).eval()
    frames = []
    for first in progress(range(0, len(clips), BATCH)):
        index = np.arange(first, min(first + BATCH, len(clips)))
        own = clips.take(index)
        mistaken = [_clip_nll(model, own, clips.take(column)) for column in wrong[index].T]
        for condition, nll in {
            "caption": _clip_nll(model, own, own),
            "null": _clip_nll(model, own, without_captions(clips.take(index))),
            "wrong": np.mean(mistaken, axis=0),
        }.items():
            frames.append(_rows(own, condition, nll))
    return pd.concat(frames, ignore_index=True)


def _clip_nll(model, audio, captions):
    device = next(model.parameters()).device
    with autocast(device):
        nll, valid = token_nll(model, audio.codes.to(device), captions.text.to(device), captions.text_mask.to(device))
    return clip_nll(nll, valid).cpu().numpy()


def _rows(clips, condition, nll):
    codebooks, frames = nll.shape[1], clips.codes.shape[2]
    codebook = np.tile(np.arange(codebooks), len(clips))
    return pd.DataFrame(
        {
            "clip_id": np.repeat(clips.ids, codebooks),
            "condition": condition,
            "codebook": codebook.astype(np.int8),
            "nll": nll.ravel(),
            "n_tokens": frames - codebook,  # codebook q has no prediction for its last q frames
        }
    )
