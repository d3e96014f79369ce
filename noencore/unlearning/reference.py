"""What the target says of the clips, computed once: recipes read it from disk, and hold one model in memory.

A kind of reference values is a file. <set> is forget (all clips to unlearn) or remain (those that recipes rehearse on):

  <set>_nll      caption, null [N, K]: NLL in nats a token; norms [layers]: mean norm of the states after each layer
  <set>_caption, forget_null, remain_null, forget_other
                 the distribution of every token under that condition: index int16 and logp [N, K, T, k] of k entries,
                 rest [N, K, T], the log of what the others sum to. The entries are the likeliest, and always the clip's
                 own token. k = 64; where card is no more than that, every entry is there and rest is not used.
  alternatives   codes int16 [N, K, T] that the target plays under a remain clip's caption instead of the forget clip;
                 caption, null [N, K]: their NLL under the forget clip's caption and under none

Cells without a prediction (frame t of codebook q with t + q >= T) hold zeros.
"""

import json

import numpy as np
import torch

from noencore.errors import UserError
from noencore.files import read_tensors, write_tensors
from noencore.musicgen.decode import generate
from noencore.musicgen.loss import clip_nll, delay, token_nll
from noencore.tokens import describe_tokens
from noencore.training import autocast, pick_device
from noencore.unlearning.batches import hide, partners
from noencore.unlearning.objectives import hidden_states

KINDS = (
    *("forget_nll", "remain_nll", "forget_caption", "forget_null", "forget_other", "remain_caption", "remain_null"),
    "alternatives",
)
ENTRIES = 64
BATCH = 16
ANCHOR_SEED = 0  # draws the other captions: one choice for all recipes and unlearn seeds, as target's values are
CFG, TOP_K = 3.0, 250  # as MusicGen plays; of a smaller codebook, a quarter
TRIES = 4


def reference_values(kind, model, forget, remain, progress=iter):
    """Tensors of one kind, on the CPU. forget, remain: Clips; see above for kinds and shapes. `model` is the target."""
    model = model.to(pick_device()).eval()
    name, _, condition = kind.partition("_")
    clips = {"forget": forget, "remain": remain, "alternatives": forget}[name]
    if condition in ("other", ""):
        other = remain.take(partners(len(forget), len(remain), ANCHOR_SEED))
    if kind == "alternatives":
        return _alternatives(model, forget, other, progress)
    parts = []
    for first in progress(range(0, len(clips), BATCH)):
        index = np.arange(first, min(first + BATCH, len(clips)))
        batch = clips.take(index)
        if condition == "nll":
            parts.append(_nll(model, batch) | {"norms": _norms(model, batch)})
            continue
        captions = {"caption": batch, "null": _without(batch)}.get(condition) or other.take(index)
        parts.append(_distribution(model, batch.codes, captions))
    values = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    return values | {"norms": values["norms"].mean(0)} if condition == "nll" else values


def save_reference(tensors, ids, path):
    """Write the values of some clips; `ids` are theirs, in order."""
    write_tensors(tensors, path, {"clips": json.dumps(list(ids))})


def load_reference(path, ids):
    """Read the values of the clips `ids`. Raises UserError where the file holds those of other clips."""
    tensors, metadata = read_tensors(path)
    if json.loads(metadata.get("clips", "null")) != list(ids):
        raise UserError(f"{path}: not of the clips of this split; delete it and run again")
    return tensors


def _without(clips):
    return hide(clips, np.ones(len(clips), dtype=bool))


@torch.inference_mode()
def _nll(model, clips, codes=None):
    """caption, null [n, K] of clips, or of other codes under their captions."""
    codes = (clips.codes if codes is None else codes).to(pick_device())
    values = {}
    for condition, captions in (("caption", clips), ("null", _without(clips))):
        captions = captions.to(codes.device)
        with autocast(codes.device):
            values[condition] = clip_nll(*token_nll(model, codes, captions.text, captions.text_mask)).cpu()
    return values


@torch.inference_mode()
def _norms(model, clips):
    """Mean norm of the states after each layer, [n, layers], over the steps that objectives.rmu counts."""
    clips = clips.to(pick_device())
    with autocast(clips.codes.device):
        states = hidden_states(model, clips, model.config.layers)
    return torch.stack([layer[:, 1:].norm(dim=-1).mean(1) for layer in states], dim=1).cpu()


@torch.inference_mode()
def _distribution(model, codes, captions):
    """index, logp [n, K, T, k] and rest [n, K, T] of the tokens of `codes` under some captions."""
    device, card, (n, K, T) = pick_device(), model.config.card, codes.shape
    codes, captions = codes.to(device), captions.to(device)
    with autocast(codes.device):
        logits = model(delay(codes, card)[:, :, :-1], captions.text, captions.text_mask).float()
    k = min(ENTRIES, card)
    index = torch.zeros(n, K, T, k, dtype=torch.int16)
    logp, rest = torch.zeros(n, K, T, k), torch.zeros(n, K, T)
    for q in range(K):
        of_q, own = logits[:, q, q:].log_softmax(-1), codes[:, q, : T - q, None]
        top = of_q.topk(k).indices
        top[..., -1:] = torch.where((top == own).any(-1, keepdim=True), top[..., -1:], own)
        index[:, q, : T - q], logp[:, q, : T - q] = top.to(torch.int16).cpu(), of_q.gather(-1, top).cpu()
        if k < card:
            rest[:, q, : T - q] = of_q.scatter(-1, top, -torch.inf).logsumexp(-1).cpu()
    return {"index": index, "logp": logp, "rest": rest}


def _alternatives(model, clips, other, progress):
    """What the model plays under other captions; a clip that collapses is drawn again, up to TRIES times in all."""
    device, card, T = pick_device(), model.config.card, clips.codes.shape[2]
    codes, missing = clips.codes.clone(), np.arange(len(clips))
    made = {}
    for attempt in progress(range(TRIES)):
        for first in range(0, len(missing), BATCH):
            index = missing[first : first + BATCH]
            captions = other.take(index).to(device)
            drawn = generate(
                model, captions.text, captions.text_mask, T, cfg=CFG, top_k=min(TOP_K, -(-card // 4)),
                seeds=[attempt * len(clips) + int(i) for i in index],
            ).cpu()  # fmt: skip
            for i, one in zip(index.tolist(), drawn):
                entropy = describe_tokens(one)["token_entropy"]
                # The liveliest of the tries, where all collapse.
                if i not in made or entropy > made[i] or not collapsed(one, clips.codes[i]):
                    made[i], codes[i] = entropy, one
        missing = np.array([i for i in missing.tolist() if collapsed(codes[i], clips.codes[i])], dtype=int)
        if not len(missing):
            break
    parts = []
    for first in range(0, len(clips), BATCH):
        index = np.arange(first, min(first + BATCH, len(clips)))
        parts.append(_nll(model, clips.take(index), codes[index]))
    values = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    return {"codes": codes.to(torch.int16), **values}


def collapsed(codes, like):
    """Whether a generation [K, T] is stuck: half of a clip's entropy of codebook 0, or far more repeated frames."""
    made, original = describe_tokens(codes), describe_tokens(like)
    return bool(
        made["token_entropy"] < 0.5 * original["token_entropy"] or made["repeated"] > 0.25 + original["repeated"]
    )
