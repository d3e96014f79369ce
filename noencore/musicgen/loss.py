"""Negative log-likelihood of codes under the delay pattern.

The targets are shifted into the pattern rather than the logits out of it: the same pairs of logits and
targets as audiocraft's `LMModel.compute_predictions`, without its copies of the logits and its NaN filling.
"""

import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

CHUNK = 2**23  # logits at a time, 32 MB of them; the training batches of a small model are one chunk


def delay(codes, special):
    """Codes [B, K, T] -> sequence [B, K, T+1] in which codebook q is q steps late.

    The first step is all `special`, and so are the cells before a codebook starts. The steps after T+1, in
    which some codebooks have ended, are cut (audiocraft's delays 0..K-1 with keep_only_valid_steps).
    """
    T = codes.shape[-1]
    shifted = [F.pad(row, (q + 1, 0), value=special)[:, : T + 1] for q, row in enumerate(codes.unbind(1))]
    return torch.stack(shifted, dim=1)


def token_nll(model, codes, text, text_mask, targets=None):
    """Negative log-likelihood of every token, in nats.

    codes: [B, K, T] int64, what the model reads; targets: [B, K, T], what it is scored on (default: codes).
    text [B, L, text_dim] and text_mask [B, L]: see `MusicGenLM.forward`.
    Returns nll [B, K, T], fp32 (fp64 from a model in fp64), and valid [K, T] bool: valid iff t + q < T, and
    nll is exactly 0 elsewhere. Raises ValueError where T < K: the last codebook would have no valid frame.
    """
    T, (K, special) = codes.shape[-1], (model.config.n_q, model.config.card)
    if T < K:
        raise ValueError(f"clips of {T} frames are too short for {K} delayed codebooks")
    sequence = delay(codes, special)
    wanted = (sequence if targets is None else delay(targets, special))[:, :, 1:]
    # The model is causal and no target follows the last step, so that step is not computed.
    x = model.trunk(sequence[:, :, :-1], text, text_mask).flatten(0, 1)
    rows = max(1, CHUNK // (K * special))
    chunks = list(zip(x.split(rows), wanted.transpose(1, 2).flatten(0, 1).split(rows)))
    # Many chunks take the memory of one: the logits of each are computed again in the backward pass.
    again = len(chunks) > 1 and torch.is_grad_enabled()
    parts = [
        checkpoint(_chunk_nll, model, *chunk, use_reentrant=False) if again else _chunk_nll(model, *chunk)
        for chunk in chunks
    ]
    nll = torch.cat(parts).view(-1, T, K)
    nll = torch.stack([F.pad(nll[:, q:, q], (0, q)) for q in range(K)], dim=1)
    frame = torch.arange(T, device=codes.device)
    return nll, frame + torch.arange(K, device=codes.device)[:, None] < T


def _chunk_nll(model, x, wanted):
    """x [n, dim] and wanted [n, K] -> NLL of each, [n * K]; 0 where `card` is wanted."""
    # Under autocast the logits are bf16, in which a likelihood has two digits: hence fp32.
    logits = at_least_fp32(model.heads(x).flatten(0, 1))
    return F.cross_entropy(logits, wanted.flatten(), ignore_index=model.config.card, reduction="none")


def clip_nll(nll, valid):
    """Mean over the valid frames of each clip and codebook: nll [B, K, T], valid [K, T] -> [B, K]."""
    return torch.where(valid, nll, 0).sum(-1) / valid.sum(-1)


def set_nll(nll, valid):
    """Mean of the codebook means of each clip: nll [B, K, T], valid [K, T] -> [B]. Its mean: a set's NLL."""
    return clip_nll(nll, valid).mean(-1)


def at_least_fp32(logits):
    """Half precision to fp32; fp32 and fp64 as they are."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
