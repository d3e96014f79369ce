"""Scores: teacher-forced NLL of every clip, codebook and condition, and of every token under the clip's own caption.

They are stored once; every likelihood metric is a function of them.
"""

import numpy as np
import pandas as pd
import torch

from noencore.errors import UserError
from noencore.musicgen.loss import clip_nll, token_nll, token_scores
from noencore.scores import TokenScores
from noencore.training import autocast, pick_device, without_captions

BATCH = 8  # a few per cent quicker than 32 on a CPU core: the states stay in its cache


def wrong_captions(captions, sets, count, seed):
    """For each clip the positions of `count` clips of its pool that have another caption: int array [N, count].

    captions, sets: arrays [N]. Every wrong caption comes from the same pool, so that it is as far from home as the
    right one. A set is a pool, but forget and holdout, which come from one source, share theirs: drawn from each alone,
    the smaller one's captions would be nearer to one another, and membership would be told by that. No two of a clip's
    are the same text; where a pool has fewer than `count` other captions, they repeat. One with a single caption raises
    UserError.
    """
    rng = np.random.default_rng(seed)
    drawn = np.empty((len(captions), count), dtype=int)
    pools = np.where(sets == "holdout", "forget", sets)
    for name in dict.fromkeys(pools):
        members = np.flatnonzero(pools == name)
        distinct = members[np.unique(captions[members], return_index=True)[1]]
        if len(distinct) < 2:
            raise UserError(
                f"split.parquet: set {name} has one caption only, so none is wrong; add works under catalogue"
            )
        for index in members:
            others = distinct[captions[distinct] != captions[index]]
            drawn[index] = rng.choice(others, size=count, replace=len(others) < count)
    return drawn


@torch.inference_mode()
def score(model, clips, wrong, progress=iter):
    """Scores of all clips: (frame of clip_id, condition, codebook, nll (nats a token), n_tokens; TokenScores).

    Conditions: the clip's own "caption", no caption ("null"), and "wrong_0", "wrong_1", ... under the captions at
    positions wrong [N, m]. The token scores are those of the "caption" pass.
    """
    model = model.to(pick_device()).eval()
    frames, tokens = [], []
    for first in progress(range(0, len(clips), BATCH)):
        index = np.arange(first, min(first + BATCH, len(clips)))
        own = clips.take(index)
        nll, rank, valid = _run(token_scores, model, own, own)
        tokens.append((nll.float().cpu().numpy(), rank.cpu().numpy()))
        values = {"caption": clip_nll(nll, valid)}
        others = {"null": without_captions(clips.take(index))}
        others |= {f"wrong_{j}": clips.take(column) for j, column in enumerate(wrong[index].T)}
        for condition, captions in others.items():
            values[condition] = clip_nll(*_run(token_nll, model, own, captions))
        frames += [_rows(own, condition, nll.cpu().numpy()) for condition, nll in values.items()]
    nll, rank = (np.concatenate(parts) for parts in zip(*tokens))
    return pd.concat(frames, ignore_index=True), TokenScores(list(clips.ids), nll, rank)


def _run(function, model, audio, captions):
    """A function of musicgen.loss on the codes of some clips and the captions of others."""
    device = next(model.parameters()).device
    with autocast(device):
        return function(model, audio.codes.to(device), captions.text.to(device), captions.text_mask.to(device))


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
