"""Negative log-likelihood of codes under the delay pattern.

The targets are shifted into the pattern rather than the logits out of it: the same pairs of logits and
targets as audiocraft's `LMModel.compute_predictions`, without its copies of the logits and its NaN filling.
"""

import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from noencore.musicgen.model import at_least_fp32

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
    T = codes.shape[-1]
    chunks = _chunks(model, codes, text, text_mask, targets)
    # Many chunks take the memory of one: the logits of each are computed again in the backward pass.
    again = len(chunks) > 1 and torch.is_grad_enabled()
    parts = [
        checkpoint(_chunk_nll, model, *chunk, use_reentrant=False) if again else _chunk_nll(model, *chunk)
        for chunk in chunks
    ]
    return _undelayed(torch.cat(parts), T, model.config.n_q, 0), valid_frames(T, model.config.n_q, codes.device)


def token_scores(model, codes, text, text_mask):
    """The nll and valid of `token_nll`, and the rank of every token, in one pass: (nll, rank, valid).

    rank: [B, K, T] int32, how many tokens the model holds likelier than the true one: 0 where it is the argmax (a tie
    is not likelier), `card` where the logits are NaN, -1 where it is not valid. No gradients.
    """
    T, K = codes.shape[-1], model.config.n_q
    with torch.no_grad():
        parts = [_chunk_scores(model, *chunk) for chunk in _chunks(model, codes, text, text_mask)]
    nll, rank = (torch.cat(part) for part in zip(*parts))
    return _undelayed(nll, T, K, 0), _undelayed(rank, T, K, -1), valid_frames(T, K, codes.device)


def _chunks(model, codes, text, text_mask, targets=None):
    """List of (x [n, dim], wanted [n, K]): what the heads read at each step, and the codes that should follow."""
    T, (K, special) = codes.shape[-1], (model.config.n_q, model.config.card)
    if T < K:
        raise ValueError(f"clips of {T} frames are too short for {K} delayed codebooks")
    sequence = delay(codes, special)
    wanted = (sequence if targets is None else delay(targets, special))[:, :, 1:]
    # The model is causal and no target follows the last step, so that step is not computed.
    x = model.trunk(sequence[:, :, :-1], text, text_mask).flatten(0, 1)
    rows = max(1, CHUNK // (K * special))
    return list(zip(x.split(rows), wanted.transpose(1, 2).flatten(0, 1).split(rows)))


def _chunk_logits(model, x):
    """x [n, dim] -> logits [n * K, card]."""
    # Under autocast the logits are bf16, in which a likelihood has two digits: hence fp32.
    return at_least_fp32(model.heads(x).flatten(0, 1))


def _chunk_nll(model, x, wanted):
    """x [n, dim] and wanted [n, K] -> NLL of each, [n * K]; 0 where `card` is wanted."""
    return F.cross_entropy(_chunk_logits(model, x), wanted.flatten(), ignore_index=model.config.card, reduction="none")


def _chunk_scores(model, x, wanted):
    """The NLL of `_chunk_nll` and the rank of each, int32 [n * K]; -1 where `card` is wanted."""
    logits, wanted, card = _chunk_logits(model, x), wanted.flatten(), model.config.card
    nll = F.cross_entropy(logits, wanted, ignore_index=card, reduction="none")
    own = logits.gather(1, wanted.clamp(max=card - 1)[:, None])
    # Counted from below, as nothing compares with NaN: a broken model has no token at rank 0.
    return nll, (card - (logits <= own).sum(1, dtype=torch.int32)).masked_fill(wanted == card, -1)


def _undelayed(values, T, K, fill):
    """values [B * T * K] of the steps -> [B, K, T] of the frames; `fill` where a frame has no step."""
    values = values.view(-1, T, K)
    return torch.stack([F.pad(values[:, q:, q], (0, q), value=fill) for q in range(K)], dim=1)


def valid_frames(T, K, device=None):
    """[K, T] bool: whether frame t of codebook q has a prediction, t + q < T."""
    return torch.arange(T, device=device) + torch.arange(K, device=device)[:, None] < T


def clip_nll(nll, valid):
    """Mean over the valid frames of each clip and codebook: nll [B, K, T], valid [K, T] -> [B, K]."""
    return torch.where(valid, nll, 0).sum(-1) / valid.sum(-1)


def set_nll(nll, valid, codebook_weights=None):
    """Mean of the codebook means of each clip: nll [B, K, T], valid [K, T] -> [B]. Its mean: a set's NLL.

    codebook_weights [K]: weights of that mean, of any sum; equal by default.
    """
    return codebook_mean(clip_nll(nll, valid), codebook_weights)


def codebook_mean(values, codebook_weights=None):
    """Mean over codebooks: values [B, K] -> [B], weighted by codebook_weights [K] where there are any."""
    if codebook_weights is None:
        return values.mean(-1)
    return (values * codebook_weights).sum(-1) / codebook_weights.sum()
