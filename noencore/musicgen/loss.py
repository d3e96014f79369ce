"""Negative log-likelihood of codes under the delay pattern.

The targets are shifted into the pattern rather than the logits out of it: the same pairs of logits and
targets as audiocraft's `LMModel.compute_predictions`, without its copies of the logits and its NaN filling.
"""

import torch
from torch.nn import functional as F


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
    logits = model(sequence[:, :, :-1], text, text_mask)
    # The logits lie in memory as [B, T, K, card]: in this order the reshape is a view. Under autocast they
    # are bf16, in which a likelihood has two digits: hence fp32.
    nll = F.cross_entropy(
        at_least_fp32(logits.transpose(1, 2).reshape(-1, special)),
        wanted.transpose(1, 2).reshape(-1),
        ignore_index=special,
        reduction="none",
    ).view(-1, T, K)
    nll = torch.stack([F.pad(nll[:, q:, q], (0, q)) for q in range(K)], dim=1)
    frame = torch.arange(T, device=codes.device)
    return nll, frame + torch.arange(K, device=codes.device)[:, None] < T


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


def at_least_fp32(logits):
    """Half precision to fp32; fp32 and fp64 as they are."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
