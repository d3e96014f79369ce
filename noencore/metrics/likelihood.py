"""Likelihood: how well a model predicts the clips of each set, in nats a token."""

import numpy as np

from noencore.errors import UserError
from noencore.metrics.rows import Measured, clips_of_part, mean_rows, metric_frame, tidy_values, works_of
from noencore.scores import token_scores

SHARES = {"min_k_10": 0.1, "min_k_20": 0.2, "min_k_40": 0.4}
MATCHES = {  # how many codebooks count, and among how many of the likeliest tokens the true one has to be
    "token_match_0": (1, 1),
    "token_match_all": (None, 1),
    "token_match_0_top10": (1, 10),
    "token_match_all_top10": (None, 10),
}


def clip_losses(scores, split, part="test"):
    """Per-clip losses of one model: a frame with index clip_id, column `set` and, in nats a token, one column each for
    `caption`, `null` and `wrong` (mean over codebooks, and over the wrong captions) and `q0`, `q1`, ... (one codebook,
    with caption).

    scores: the frame of scores/<model>.parquet. Clips of other parts and clips without a score are left out. Raises
    UserError where a condition is missing, or a clip, condition and codebook occur twice.
    """
    nll, wrong = _by_condition(scores)
    losses = clips_of_part(split, part).rename("set").to_frame()
    for condition in ("caption", "null"):
        losses[condition] = nll[condition].mean(axis=1, skipna=False)
    losses["wrong"] = nll[wrong].mean(axis=1, skipna=False)
    for codebook in sorted(nll["caption"]):
        losses[f"q{codebook}"] = nll["caption"][codebook]
    return losses[losses.index.isin(nll.index)]


def wrong_losses(scores, clips):
    """NLL of `clips` (ids) under each wrong caption, nats a token, mean over codebooks: float64 [N, m]."""
    nll, wrong = _by_condition(scores)
    return np.stack([nll[name].mean(axis=1, skipna=False).loc[clips] for name in wrong], axis=1)


def _by_condition(scores):
    """(nll as a frame with index clip_id and columns of condition and codebook, names of the wrong conditions)."""
    if scores.duplicated(["clip_id", "condition", "codebook"]).any():
        raise UserError("scores.parquet: a clip, condition and codebook occur twice; score the model again")
    known = set(scores["condition"])
    wrong = sorted((name for name in known if name.startswith("wrong_")), key=lambda name: int(name[6:]))
    if missing := {"caption", "null", *(wrong or ["wrong_0"])} - known:
        raise UserError(f"scores.parquet: no scores for condition {sorted(missing)}; score the model again")
    return scores.pivot(index="clip_id", columns=["condition", "codebook"], values="nll"), wrong


def min_k(nll, valid, share):
    """Mean NLL of the least likely tokens of each clip: nll [N, K, T], valid bool of that shape -> [N] float64.

    share: which part of a clip's valid tokens, of all codebooks; rounded down, at least one. Min-K% Prob with its sign
    turned (Shi et al., 2024, arXiv 2310.16789, eq. 1): low for music that was learned. NaN for a clip with a NaN.
    """
    nll, valid = np.asarray(nll, np.float64), np.broadcast_to(valid, nll.shape)
    if not 0 < share <= 1 or not valid.any(axis=(1, 2)).all():
        raise ValueError(f"share {share} is not in (0, 1], or a clip has no valid token")
    worst_first = -np.sort(-np.where(valid, nll, -np.inf).reshape(len(nll), -1), axis=1)
    count = np.maximum(1, np.floor(share * valid.sum(axis=(1, 2)) + 1e-9).astype(int))  # 0.7 x 10 is 7, not 6.99
    kept = np.arange(worst_first.shape[1]) < count[:, None]
    means = np.where(kept, worst_first, 0).sum(axis=1) / count
    return np.where(np.isnan(np.where(valid, nll, 0)).any(axis=(1, 2)), np.nan, means)


def token_match(rank, top=1):
    """Share of a clip's valid tokens that are among the model's `top` likeliest: rank [N, K, T] (-1: not valid) -> [N].

    Teacher-forced: every token is predicted from the true ones before it. Ties are for the model.
    """
    rank = np.asarray(rank)
    return ((rank >= 0) & (rank < top)).sum(axis=(1, 2)) / (rank >= 0).sum(axis=(1, 2))


def measure_likelihood(split, scores, tokens, part="test", seed=0):
    """Metrics of a model's scores of each set. scores: frame; tokens: read_tensors of its token scores.

    nll_caption, nll_null, nll_wrong, nll_q0, ...: see `clip_losses`. min_k_10, _20, _40: `min_k`. token_match_0,
    token_match_all, and with _top10: `token_match` of codebook 0 and of all.
    """
    losses = clip_losses(scores, split, part)
    stored = token_scores(tokens).take(losses.index)
    wide = losses.rename(columns={column: f"nll_{column}" for column in losses.columns.drop("set")})
    for name, share in SHARES.items():
        wide[name] = min_k(stored.nll, stored.rank >= 0, share)
    for name, (codebooks, top) in MATCHES.items():
        wide[name] = stored.where_finite(token_match(stored.rank[:, :codebooks], top))
    values = tidy_values(wide, list(wide.columns.drop("set")))
    rows = mean_rows(values, works_of(split), seed, weights_sha256=stored.weights_sha256)
    return Measured(metric_frame(rows), values)
