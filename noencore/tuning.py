"""The search for a recipe: every point of a declared grid, judged on dev clips by one declared rule."""

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from noencore.experiment import split_model_name
from noencore.metrics.intervals import delong, t_interval
from noencore.split import SETS

UTILITY_BOUND = 0.02  # a rise of the NLL on utility over the target's, as a share of it
RULE = (
    "of the points of a recipe that diverge with no seed and raise the NLL on utility by at most "
    f"{UTILITY_BOUND:.0%} (the 95 % interval over dev clips lies below), the one whose NLLs on forget are nearest to "
    "gold's (KS distance, mean over seeds and gold models; without gold: whose mean NLL on forget is nearest to that "
    "on holdout); of equals the one with the lower NLL on remain"
)


def tune_table(grid, dev, outcomes):
    """One row a grid point, means over its seeds; the columns of tables/tune.csv.

    grid: dict name of the point -> {"recipe", "parameters" (dict key -> value)}. dev: dict model -> frame of set,
    clip_id, nll of its dev clips, of target, gold models (if any) and points. outcomes: dict model -> {"status",
    "picked_step"} of the points' models. `distance` is what RULE compares, `chosen` what it says.
    """
    gold = [frame for model, frame in dev.items() if model.startswith("gold-")]
    target = next(frame for model, frame in dev.items() if model.startswith("target-"))
    start = summary(target, gold)
    by_point = {}
    for model in outcomes:
        by_point.setdefault(split_model_name(model)[0], []).append(model)
    rows = []
    for point, models in by_point.items():
        seeds = pd.DataFrame([summary(dev[model], gold) for model in models]).mean()
        row = {"recipe": grid[point]["recipe"], "point": point, "n_seeds": len(models), **grid[point]["parameters"]}
        statuses = {outcomes[model]["status"] for model in models}
        row["status"] = "diverged" if "diverged" in statuses else "stopped" if "stopped" in statuses else "ok"
        row["picked_step"] = np.mean([outcomes[model]["picked_step"] for model in models])
        rises = {f"{name}_rise": seeds[f"nll_{name}"] / start[f"nll_{name}"] - 1 for name in ("remain", "utility")}
        high = utility_rise_high([dev[model] for model in models], target)
        rows.append(row | seeds.to_dict() | rises | {"utility_rise_high": high})
    table = pd.DataFrame(rows)
    keys = sorted({key for point in grid.values() for key in point["parameters"]})
    table = table[["recipe", "point", "n_seeds", *keys, *table.columns.drop(["recipe", "point", "n_seeds", *keys])]]
    table["distance"] = table["ks_gold"] if gold else (table["nll_forget"] - table["nll_holdout"]).abs()
    table["chosen"] = _chosen(table)
    return table.sort_values(["recipe", "point"], key=_natural, ignore_index=True)


def summary(frame, gold):
    """Of one model's dev clips: mean NLL of each set, AUC of forget against holdout, KS distance to gold on forget."""
    nll = {name: frame.loc[frame["set"] == name, "nll"].to_numpy() for name in SETS}
    row = {f"nll_{name}": values.mean() for name, values in nll.items()}
    row["membership_auc"] = delong(-nll["forget"], -nll["holdout"])[0]
    distances = [ks_2samp(nll["forget"], other.loc[other["set"] == "forget", "nll"]).statistic for other in gold]
    row["ks_gold"] = np.mean(distances) if gold else np.nan
    return row


def utility_rise_high(frames, target):
    """Upper end of the 95 % interval of the relative rise of NLL on utility; Student's, over clips (means of seeds)."""
    per_clip = [frame[frame["set"] == "utility"].set_index("clip_id")["nll"] for frame in (target, *frames)]
    start, mean = per_clip[0], sum(per_clip[1:]) / len(frames)
    return t_interval((mean - start) / start.mean()).high


def _chosen(table):
    eligible = table[(table["status"] != "diverged") & (table["utility_rise_high"] <= UTILITY_BOUND)]
    best = eligible.sort_values(["distance", "nll_remain"], kind="stable").groupby("recipe").head(1)
    return table.index.isin(best.index)


def _natural(column):
    """ga_2 before ga_10."""
    return column.str.replace(r"\d+", lambda number: number[0].zfill(6), regex=True)
