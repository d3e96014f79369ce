"""Nearness to gold: spreads of per-clip values, and how far membership inference is from what it finds in gold.

Values are tidy frames of all models: [model, set, clip_id, eval_seed, metric, value]. Where no other gold model was
trained the cells are empty: no distance is measured to a reference that was made up.
"""

import math

import numpy as np
import pandas as pd

from noencore.experiment import split_model_name
from noencore.metrics.intervals import DRAWS, LEVEL, Interval, draw_works, number_works, percentile_interval
from noencore.metrics.rows import MINIMUM, NO_INTERVAL, metric_row, too_few_works

KS = {"nll_caption": "ks_gold", "caption_truth_ratio": "ks_gold_truth_ratio", "min_k_20": "ks_gold_min_k"}
AUC = {  # per-clip value, lower for what was learned: the attack by it
    "nll_caption": "membership_auc",
    **{f"min_k_{k}": f"membership_auc_min_k_{k}" for k in (10, 20, 40)},
    "caption_truth_ratio": "membership_auc_truth_ratio",
}
PRIVLEAK = "min_k_40"  # the attack of its definition
SIDES = ("forget", "holdout")


def ks_distance(x, others, n_works=None):
    """Kolmogorov-Smirnov distance of values x [n] to each of `others` (arrays [n]), the mean: (distance, Interval).

    The interval is that of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (1990): every empirical distribution
    function is within e of the true one, so a distance is within 2e. It assumes nothing, not even that the values of a
    clip under two models are independent, and is wide for it: a bootstrap of a distance misses a small one altogether.
    With `n_works` works of like clips it is as wide as if each had one: a distribution function of all clips is a mean
    over the choices of one clip a work.
    """
    from scipy.stats import ks_2samp

    distance = float(np.mean([ks_2samp(x, other).statistic for other in others]))
    half = 2 * math.sqrt(math.log(2 * (1 + len(others)) / (1 - LEVEL)) / (2 * (n_works or len(x))))
    return distance, Interval(max(0.0, distance - half), min(1.0, distance + half), "dkw")


def auc_ratio(auc, gold):
    """(AUC - AUC_gold) / AUC_gold, at most 1 and at least -1; 0 where both are 0."""
    difference, some = np.asarray(auc, np.float64) - gold, np.asarray(gold) > 0
    return np.clip(np.where(some, difference / np.where(some, gold, 1), np.sign(difference)), -1, 1)


def auc_similarity(auc, gold):
    """1 - min(|AUC - AUC_gold| / AUC_gold, 1): 1 = an attack finds as much as in gold, whichever side it errs to."""
    return 1 - np.abs(auc_ratio(auc, gold))


def privleak(auc, gold):
    """PrivLeak (Shi et al. 2024) in %, ((1 - AUC) - (1 - AUC_gold)) / (1 - AUC_gold) * 100 of AUCs that are 1 where
    forget is likelier: 0 as gold, negative for what is left, positive for what was overdone. NaN for AUC_gold = 1."""
    room = 1 - np.asarray(gold, np.float64)
    return np.where(room > 0, (gold - np.asarray(auc, np.float64)) / np.where(room > 0, room, 1) * 100, np.nan)


def gold_rows(values, works, seed=0):
    """Rows of metrics.parquet, with a column `model`, of every model against the other gold models' mean.

    For each metric of KS and each set a distance; for each attack of AUC its similarity, and PrivLeak for one. For a
    gold model they say how far two perfect models are apart. Empty, with a status, where there is no such gold model.
    works: series clip_id -> work.
    """
    wanted = values[values["metric"].isin([*KS, *AUC])]
    by_metric = {
        metric: part.pivot(index=["set", "clip_id"], columns="model", values="value")
        for metric, part in wanted.groupby("metric")
    }
    rows = []
    for model in dict.fromkeys(values["model"]):
        for metric, wide in by_metric.items():
            if model not in wide:
                continue
            gold = [other for other in wide if split_model_name(other)[0] == "gold" and other != model]
            if metric in KS:
                rows += [{"model": model, **_ks_row(metric, part, model, gold, works)} for _, part in _sets(wide)]
            if metric in AUC and set(SIDES) <= set(wide.index.unique("set")):
                rows += [{"model": model, **row} for row in _auc_rows(metric, wide, model, gold, works, seed)]
    return pd.DataFrame(rows)


def _sets(wide):
    return wide.groupby(level="set", sort=False)


def _ks_row(metric, part, model, gold, works):
    """One row for one set: part [clips of the set, models]."""
    part = part[part[model].notna() | part[gold].notna().any(axis=1)]
    n_works = works.loc[part.index.get_level_values("clip_id")].nunique()

    def distance():
        if not np.isfinite(part[[model, *gold]].to_numpy()).all():
            return np.nan, NO_INTERVAL
        return ks_distance(part[model].to_numpy(), [part[other].to_numpy() for other in gold], n_works)

    row = metric_row(part.index[0][0], KS[metric], len(part) if gold else 0, MINIMUM, distance, n_works=n_works)
    return row if gold else row | {"n": 0, "status": "no other gold model"}


def _auc_rows(metric, wide, model, gold, works, seed):
    """Rows of the similarity, and of PrivLeak, for one attack; works are drawn on either side, for all models alike."""
    used = wide[[model, *gold]].loc[list(SIDES)]
    clips = [len(used.loc[name]) for name in SIDES]
    n_works = [works.loc[used.loc[name].index].nunique() for name in SIDES]
    smaller = min(clips) if gold else 0
    finite = bool(gold) and np.isfinite(used.to_numpy()).all()
    auc, of_gold = _aucs(used, works, seed) if smaller >= MINIMUM and finite else (None, None)

    def similarity():
        if auc is None:
            return np.nan, NO_INTERVAL
        value, ratio = float(auc_similarity(auc[0], of_gold[0])), _interval(auc_ratio, auc, of_gold)
        nearest = 0.0 if ratio.low <= 0 <= ratio.high else min(abs(ratio.low), abs(ratio.high))
        return value, Interval(1 - max(abs(ratio.low), abs(ratio.high)), 1 - nearest, ratio.method)

    def leak():
        if auc is None:
            return np.nan, NO_INTERVAL
        return float(privleak(auc[0], of_gold[0])), _interval(privleak, auc, of_gold)

    wanted = {f"{AUC[metric]}_similarity": similarity} | ({f"privleak_{metric}": leak} if metric == PRIVLEAK else {})
    rows = []
    for name, compute in wanted.items():
        row = metric_row("forget_vs_holdout", name, smaller, MINIMUM, compute, n_works=sum(n_works), seed=seed)
        row |= {"n": sum(clips)} if gold else {"n": 0, "status": "no other gold model"}
        rows.append(row | too_few_works(min(n_works)) if row["status"] == "ok" else row)
    return rows


def _interval(statistic, auc, gold):
    """Percentile interval of statistic(auc, gold) over their draws, which follow their values.

    None where the AUCs stay as they are in every draw, for AUCs of 1 in few clips are no certainty, and where a draw
    has no such statistic.
    """
    replicates = statistic(auc[1:], gold[1:])
    if (np.ptp(auc) == 0 and np.ptp(gold) == 0) or not np.isfinite(replicates).all():
        return NO_INTERVAL
    return percentile_interval(replicates, "works")


def _aucs(used, works, seed):
    """AUC of the first model and mean AUC of the rest, [1 + draws] each: as they are, then under resampled works."""
    (forget, in_forget), (holdout, in_holdout) = (
        (-used.loc[name].to_numpy(), number_works(works.loc[used.loc[name].index], len(used.loc[name])))
        for name in SIDES
    )
    drawn = [
        np.concatenate([np.ones((1, m), int), draw_works(m, seed + side, DRAWS)])[:, number]
        for side, (m, number) in enumerate((number.max() + 1, number) for number in (in_forget, in_holdout))
    ]
    pairs = drawn[0].sum(axis=1) * drawn[1].sum(axis=1)
    aucs = []
    for x, y in zip(forget.T, holdout.T, strict=True):
        above = (x[:, None] > y) + 0.5 * (x[:, None] == y)
        aucs.append(((drawn[0] @ above) * drawn[1]).sum(axis=1) / pairs)
    return aucs[0], np.mean(aucs[1:], axis=0)
