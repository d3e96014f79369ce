"""Membership: can an observer of a model's scores tell the clips to forget from clips that were never learned?"""

import numpy as np

from noencore.metrics import dataset_inference
from noencore.metrics.association import log_truth_ratio
from noencore.metrics.intervals import (
    bootstrap_auc,
    clopper_pearson,
    delong,
    draw_works,
    number_works,
    percentile_interval,
)
from noencore.metrics.likelihood import SHARES, clip_losses, min_k, token_match, wrong_losses
from noencore.metrics.rows import (
    MINIMUM,
    NO_INTERVAL,
    Measured,
    metric_frame,
    metric_row,
    no_values,
    too_few_works,
    works_of,
)
from noencore.scores import token_scores

PAIR = "forget_vs_holdout"
FALSE_POSITIVES = 0.01
SCORES = {  # metric -> the feature that an observer sorts by, low for what was learned
    "membership_auc": "caption",
    **{f"membership_auc_{name}": name for name in SHARES},
    "membership_auc_truth_ratio": "truth_ratio",
}


def membership_auc(positive, negative, seed, positive_works=None, negative_works=None):
    """AUC of scores [n1] against [n0], P(positive > negative) + P(equal) / 2: (auc, Interval).

    One rule for the interval: DeLong's where every clip is a work of its own, else a bootstrap that draws works within
    each side.
    """
    auc, interval = delong(positive, negative)
    if _clips_are_works(positive_works) and _clips_are_works(negative_works):
        return auc, interval
    return auc, bootstrap_auc(positive, negative, seed, positive_works, negative_works)


def _clips_are_works(works):
    return works is None or len(set(works)) == len(works)


def true_positive_rate(positive, negative, seed, false_positives=FALSE_POSITIVES, positive_works=None,
                       negative_works=None):  # fmt: skip
    """Share of scores [n1] above a threshold that at most a share of [n0] is above: (rate, Interval).

    Interval: works drawn within each side, with a new threshold for each draw. Where no or every positive is above it
    no draw tells anything: it is then that of all of its works on one side (Clopper-Pearson).
    """
    positive, negative = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    number_1, number_0 = number_works(positive_works, len(positive)), number_works(negative_works, len(negative))
    m1, m0 = number_1.max() + 1, number_0.max() + 1
    order = np.argsort(-negative, kind="stable")

    def rates(weights_1, weights_0):
        """Rates [draws] of clips that count weights_1 [draws, n1] and weights_0 [draws, n0] times."""
        above = np.cumsum(weights_0[:, order], axis=1)
        place = (above > false_positives * above[:, -1:] + 1e-9).argmax(axis=1)
        hits = positive > negative[order][place][:, None]
        return (weights_1 * hits).sum(axis=1) / weights_1.sum(axis=1)

    rate = float(rates(np.ones((1, len(positive))), np.ones((1, len(negative))))[0])
    if rate in (0.0, 1.0):
        return rate, clopper_pearson(int(rate) * m1, m1)
    drawn = rates(draw_works(m1, seed)[:, number_1], draw_works(m0, seed + 1)[:, number_0])
    return rate, percentile_interval(drawn, positive_works)


def clip_features(scores, tokens, split, part="test"):
    """What an observer of the scores sees of each clip: a frame with index clip_id, columns set, caption and min_k_*
    (nats a token), truth_ratio (its logarithm), caption_gain, wrong_caption_gain and token_match_0."""
    losses = clip_losses(scores, split, part)
    stored = token_scores(tokens).take(losses.index)
    features = losses[["set", "caption"]].copy()
    for name, share in SHARES.items():
        features[name] = min_k(stored.nll, stored.rank >= 0, share)
    features["truth_ratio"] = log_truth_ratio(losses["caption"], wrong_losses(scores, losses.index))
    features["caption_gain"] = losses["null"] - losses["caption"]
    features["wrong_caption_gain"] = losses["wrong"] - losses["caption"]
    features["token_match_0"] = stored.where_finite(token_match(stored.rank[:, :1]))
    return features


def measure_membership(split, scores, tokens, part="test", seed=0):
    """Rows of the set "forget_vs_holdout"; n and n_works count both sides, and the smaller has to reach the minimum.

    membership_auc (of the loss), membership_auc_min_k_10, _20, _40, membership_auc_truth_ratio: `membership_auc`, 1 =
    every clip of forget looks more learned than every clip of holdout. Success is the gold model's value and not 0: a
    model that likes the clips to forget less than unseen ones gives them away as well. membership_tpr: share of forget
    found by the loss with 1 % false positives; holdout needs 100 clips for it. dataset_inference_p and
    dataset_inference_effect: `dataset_inference` over the means of `clip_features` of each work; 10 works a side.
    """
    features = clip_features(scores, tokens, split, part)
    sides = [features[features["set"] == name].drop(columns="set") for name in ("forget", "holdout")]
    works = [works_of(split).loc[side.index].to_numpy() for side in sides]
    n_works = [len(set(of_side)) for of_side in works]
    known = {"n": sum(map(len, sides)), "n_works": sum(n_works), "seed": seed}
    known["weights_sha256"] = scores.attrs.get("weights_sha256", "")

    def row(metric, n, minimum, counted, values, compute):
        """compute(*values) -> (value, Interval) runs where n is enough and all values are finite."""
        finite = all(np.isfinite(side).all() for side in values)
        made = metric_row(PAIR, metric, n, minimum, lambda: compute(*values) if finite else (np.nan, NO_INTERVAL))
        return made | known | {"status": made["status"].replace("clips", counted)}

    rows = []
    for metric, feature in SCORES.items():
        values = [-side[feature].to_numpy(float) for side in sides]
        made = row(metric, min(map(len, sides)), MINIMUM, "clips", values, lambda *x: membership_auc(*x, seed, *works))
        rows.append(made | too_few_works(min(n_works)) if made["status"] == "ok" else made)
    loss, needed = [-side["caption"].to_numpy(float) for side in sides], round(1 / FALSE_POSITIVES)
    rows.append(
        row("membership_tpr", len(sides[1]), needed, "holdout clips", loss,
            lambda *x: true_positive_rate(*x, seed, FALSE_POSITIVES, *works))
    )  # fmt: skip
    means = [side.groupby(of_side).mean().to_numpy(float) for side, of_side in zip(sides, works)]
    halved = min(n_works) >= dataset_inference.MINIMUM and all(np.isfinite(side).all() for side in means)
    found = dataset_inference.dataset_inference(*means, seed) if halved else (np.nan, np.nan)
    for metric, value in zip(("dataset_inference_p", "dataset_inference_effect"), found):
        rows.append(
            row(metric, min(n_works), dataset_inference.MINIMUM, "works", means, lambda *_, v=value: (v, NO_INTERVAL))
        )
    return Measured(metric_frame(rows), no_values())
