"""Association: what a caption is worth to the model when it predicts the music."""

import numpy as np
import pandas as pd

from noencore.metrics.likelihood import clip_losses, wrong_losses
from noencore.metrics.rows import Measured, mean_rows, metric_frame, rate_rows, tidy_values, works_of


def caption_truth_ratio(own, wrong):
    """How much likelier, or less, the music is under wrong captions: own [N], wrong [N, m], nats a token -> [N].

    r = mean_j exp(-wrong_j) / exp(-own): under 1 where the clip's own caption explains it best, 1 where captions do not
    matter. The truth ratio of TOFU (Maini et al., 2024, arXiv 2401.06121, eq. 1; its arithmetic mean over wrong
    answers) with captions for answers. NaN where a loss is not finite.
    """
    return np.exp(log_truth_ratio(own, wrong))


def log_truth_ratio(own, wrong):
    """Logarithm of `caption_truth_ratio`, which it neither under- nor overflows: own [N], wrong [N, m] -> [N]."""
    own, wrong = _checked(own, wrong)
    with np.errstate(invalid="ignore"):
        return np.logaddexp.reduce(own[:, None] - wrong, axis=1) - np.log(wrong.shape[1])


def bounded_truth_ratio(own, wrong):
    """r / (1 + r) of `caption_truth_ratio`, in [0, 1], 0.5 where captions do not matter: no clip outweighs the rest."""
    return 1 / (1 + np.exp(-log_truth_ratio(own, wrong)))


def caption_rank(own, wrong):
    """Rank of a clip's own caption among itself and m wrong ones, 1 = explains the music best: [N], [N, m] -> [N].

    A tie counts half, so that a model that ignores captions has (m + 2) / 2, as by chance. NaN where a loss is not
    finite.
    """
    own, wrong = _checked(own, wrong)
    return 1 + (wrong < own[:, None]).sum(axis=1) + 0.5 * (wrong == own[:, None]).sum(axis=1) + 0 * own


def _checked(own, wrong):
    """Both as float64; NaN in `own` for clips with any loss that is not finite."""
    own, wrong = np.asarray(own, np.float64), np.asarray(wrong, np.float64)
    if wrong.ndim != 2 or wrong.shape[0] != own.shape[0] or wrong.shape[1] == 0:
        raise ValueError(f"own {own.shape} and wrong {wrong.shape} are not [N] and [N, m]")
    known = np.isfinite(own) & np.isfinite(wrong).all(axis=1)
    return np.where(known, own, np.nan), np.where(known[:, None], wrong, np.nan)


def measure_association(split, scores, part="test", seed=0):
    """Metrics of each set, from the frame of scores/<model>.parquet; all are paired by clip.

    caption_gain: NLL without a caption minus NLL with the clip's own (what guidance works with). wrong_caption_gain:
    NLL with wrong captions (mean) minus NLL with its own. caption_truth_ratio, caption_truth_ratio_bounded,
    caption_rank: see above; caption_rank_normalised: (rank - 1) / m, 0 = best, 0.5 by chance. caption_preferred: share
    of clips whose own caption beats the mean of the wrong ones; caption_top1: that beats each of them (a tie is no
    hit), 1 / (m + 1) by chance.
    """
    losses = clip_losses(scores, split, part)
    own, mean_wrong, wrong = losses["caption"], losses["wrong"], wrong_losses(scores, losses.index)
    rank = caption_rank(own, wrong)
    means = {
        "caption_gain": losses["null"] - own,
        "wrong_caption_gain": mean_wrong - own,
        "caption_truth_ratio": caption_truth_ratio(own, wrong),
        "caption_truth_ratio_bounded": bounded_truth_ratio(own, wrong),
        "caption_rank": rank,
        "caption_rank_normalised": (rank - 1) / wrong.shape[1],
    }
    rates = {
        "caption_preferred": (own < mean_wrong).where(np.isfinite(own) & np.isfinite(mean_wrong)),
        "caption_top1": np.where(np.isnan(rank), np.nan, rank == 1),
    }
    means, rates = (
        tidy_values(pd.DataFrame({"set": losses["set"]} | metrics), list(metrics)) for metrics in (means, rates)
    )
    known = {"weights_sha256": scores.attrs.get("weights_sha256", "")}
    rows = [*mean_rows(means, works_of(split), seed, **known), *rate_rows(rates, **known)]
    return Measured(metric_frame(rows), pd.concat([means, rates], ignore_index=True))
