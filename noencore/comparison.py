"""Comparison of models: the tables of an experiment, gaps to gold, and the verdicts on the paper's findings.

A model is named `<recipe>-<seed>`; the recipes `target` and `gold` are the two kinds of trained models, and
their seed is a train_seed. Every other seed is an unlearn_seed.
"""

import numpy as np
import pandas as pd

from noencore.errors import UserError
from noencore.experiment import split_model_name
from noencore.metrics.intervals import bootstrap_means, percentile_interval
from noencore.metrics.likelihood import clip_losses
from noencore.metrics.rows import MINIMUM, NUMBERS

TRAINED = ("target", "gold")
PAPER_RECIPES = ("ga", "rl_caption", "rl_tokens")  # of arXiv 2509.06277
COLUMNS = ["model", "recipe", "unlearn_seed", "set", "metric", *NUMBERS]
COLUMNS += ["gold_mean", "gap_to_gold", "status", "weights_sha256", "reference_sha256"]
HEADLINE = (  # column of the summary, set, metric
    ("nll_forget", "forget", "nll_caption"),
    ("nll_remain", "remain", "nll_caption"),
    ("nll_holdout", "holdout", "nll_caption"),
    ("nll_utility", "utility", "nll_caption"),
    ("ks_gold_forget", "forget", "ks_gold"),
    ("ks_gold_remain", "remain", "ks_gold"),
    ("ks_gold_utility", "utility", "ks_gold"),
    ("membership_auc", "forget_vs_holdout", "membership_auc"),
    ("wrong_caption_gain_forget", "forget", "wrong_caption_gain"),
    ("wrong_caption_gain_remain", "remain", "wrong_caption_gain"),
    ("continuation_match_0_forget", "forget", "continuation_match_0"),
    ("fad_forget", "forget", "fad"),
    ("fad_remain", "remain", "fad"),
    ("fad_utility", "utility", "fad"),
)
FINDINGS = {
    1: "Unlearning is only partial",
    2: "Unlearning degrades the remain set",
    3: "Random labelling breaks the link of text and music more than gradient ascent",
}
FINDING_COLUMNS = ["finding", "statement", "statistic", "recipe", "set", *NUMBERS, "verdict", "note"]


def diverged_models(costs):
    """dict model -> step at which it diverged, from dicts of cost.json."""
    return {cost["model"]: cost["steps"] for cost in costs if cost["status"] == "diverged"}


def metrics_table(frames, diverged=None):
    """All metrics of all models in one tidy frame, the columns of tables/metrics.csv.

    frames: dict model -> frame of metrics.parquet (all families under one another). gold_mean is the mean
    over the gold models of the same set and metric, gap_to_gold = value - gold_mean; both are empty where no
    gold model has a value. unlearn_seed is empty for target and gold. diverged: dict model -> step; the
    weights of these models are not what their recipe leads to, so their numbers are empty and the status says so.
    """
    parts = []
    for model, frame in frames.items():
        recipe, seed = split_model_name(model)
        unlearn_seed = pd.NA if recipe in TRAINED else seed
        part = frame.assign(model=model, recipe=recipe, unlearn_seed=unlearn_seed)
        if model in (diverged or {}):
            empty = {"value": np.nan, "ci_low": np.nan, "ci_high": np.nan, "ci_method": ""}
            part = part.assign(**empty, status=f"diverged at step {diverged[model]}")
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    twice = table[table.duplicated(["model", "set", "metric"])]
    if len(twice):
        model, set_name, metric = twice.iloc[0][["model", "set", "metric"]]
        raise UserError(f"metrics of {model}: {metric} of {set_name} occurs twice; measure it again")
    gold = table[table["recipe"] == "gold"].groupby(["set", "metric"])["value"].mean().rename("gold_mean")
    table = table.join(gold, on=["set", "metric"])
    table["gap_to_gold"] = table["value"] - table["gold_mean"]
    table["unlearn_seed"] = table["unlearn_seed"].astype("Int64")
    return table[COLUMNS]


def summary_table(metrics):
    """One row a recipe, target and gold first: each headline number as the mean over seeds, and its `_sd`.

    n_seeds counts the models of the recipe. A mean is empty unless every seed has the value: the rest would
    be a selection. The standard deviation is empty for one seed.
    """
    trained_first = sorted(metrics["recipe"].unique(), key=lambda r: TRAINED.index(r) if r in TRAINED else len(TRAINED))
    rows = []
    for recipe in trained_first:
        of_recipe = metrics[metrics["recipe"] == recipe]
        row = {"recipe": recipe, "n_seeds": of_recipe["model"].nunique()}
        for column, set_name, metric in HEADLINE:
            values = of_recipe.loc[(of_recipe["set"] == set_name) & (of_recipe["metric"] == metric), "value"]
            complete = len(values) == row["n_seeds"]
            row[column] = values.mean(skipna=False) if complete else np.nan
            row[f"{column}_sd"] = values.std(ddof=1, skipna=False) if complete else np.nan
        rows.append(row)
    names = [name for column, _, _ in HEADLINE for name in (column, f"{column}_sd")]
    return pd.DataFrame(rows, columns=["recipe", "n_seeds", *names])


def findings_table(scores, split, part="test", seed=0, diverged=()):
    """The findings of *No Encore* (arXiv 2509.06277), each tested for each of its recipes that was run.

    scores: dict model -> frame of scores.parquet. Losses are averaged over the seeds of a recipe, clip by
    clip; then the clips of a set are resampled, the same ones for all models. `value` is, for finding
      1: the share of the target's memorisation that is left, (gold - unlearned) / (gold - target) of the NLL
      on forget; 2: NLL on remain, unlearned - target; 3: the loss of wrong_caption_gain (from the target's),
      random labelling - gradient ascent.
    Verdict: "supported" where the whole interval is on the claim's side (1: between 0 and 1; 2 and 3: above
    0), "not supported" where it is wholly on the other, else "undecided"; "not tested" where a model or the
    clips are missing, or a seed of the recipe is among the `diverged` models.
    """
    left_out = {split_model_name(model)[0] for model in diverged}
    losses = recipe_losses(scores, split, part)
    run = [name for name in PAPER_RECIPES if name in losses]
    losses = {recipe: frame for recipe, frame in losses.items() if recipe not in left_out}
    rows = []
    for recipe in run:
        rows.append(partial_unlearning(losses, recipe, seed))
        rows.append(remain_damage(losses, recipe, seed))
        if recipe != "ga":
            rows += [association_damage(losses, recipe, set_name, seed) for set_name in ("forget", "remain")]
    table = pd.DataFrame(rows, columns=FINDING_COLUMNS)
    return table.sort_values("finding", kind="stable", ignore_index=True)


def recipe_losses(scores, split, part):
    """dict recipe -> `clip_losses`, averaged over the recipe's seeds; only clips that all models share."""
    losses = {model: clip_losses(frame, split, part) for model, frame in scores.items()}
    shared = sorted(set.intersection(*(set(frame.index) for frame in losses.values()))) if losses else []
    by_recipe = {}
    for model, frame in losses.items():
        by_recipe.setdefault(split_model_name(model)[0], []).append(frame.loc[shared])
    averaged = {}
    for recipe, frames in by_recipe.items():
        total = sum(frame.drop(columns="set") for frame in frames)
        averaged[recipe] = (total / len(frames)).assign(set=frames[0]["set"])
    return averaged


def partial_unlearning(losses, recipe, seed):
    """Finding 1 for one recipe, on forget."""

    def share(means):
        unlearned, target, gold = means.T
        return (gold - unlearned) / np.where(gold == target, np.nan, gold - target)

    def judge(value, interval):
        """Verdict and note of the share left."""
        low, high, _ = interval
        note = "overshoot: more damaged on forget than a model that never learned it" if value < 0 else ""
        if low > 0 and high < 1:
            return "supported", note
        if high <= 0 or low >= 1:
            return "not supported", note or "nothing was unlearned"
        return "undecided", note

    values = _columns(losses, "caption", [recipe, "target", "gold"], "forget")
    row = _finding(1, "share of memorisation left on forget", recipe, "forget", values, share, judge, seed)
    if row["verdict"] != "not tested":
        memorised = percentile_interval(bootstrap_means(values[:, 2] - values[:, 1], seed))
        if memorised.low <= 0:
            note = "the target does not predict forget better than gold does: there is nothing to be left"
            row |= {"verdict": "undecided", "note": note}
    return row


def remain_damage(losses, recipe, seed):
    """Finding 2 for one recipe."""

    def rise(means):
        unlearned, target = means.T
        return unlearned - target

    values = _columns(losses, "caption", [recipe, "target"], "remain")
    statistic = "rise of NLL on remain over the target, nats a token"
    return _finding(2, statistic, recipe, "remain", values, rise, _above_zero, seed)


def association_damage(losses, recipe, set_name, seed):
    """Finding 3 for one recipe of random labelling against gradient ascent, on one set."""
    recipes = [recipe, "ga", "target"]
    wrong, caption = (_columns(losses, condition, recipes, set_name) for condition in ("wrong", "caption"))
    gains = None if wrong is None else wrong - caption

    def difference(means):
        relabelled, ascended, target = means.T
        return (target - relabelled) - (target - ascended)

    def judge(value, interval):
        """Verdict, and the three gains as a note."""
        relabelled, ascended, target = gains.mean(axis=0)
        note = f"gain: target {target:.4f}, ga {ascended:.4f}, {recipe} {relabelled:.4f}"
        return _above_zero(value, interval)[0], note

    statistic = f"loss of wrong_caption_gain on {set_name}, {recipe} - ga, nats a token"
    return _finding(3, statistic, recipe, set_name, gains, difference, judge, seed)


def _finding(finding, statistic, recipe, set_name, values, of_means, judge, seed):
    """One row of the findings, a dict.

    values: [n clips, models], None where a model is missing; of_means: means [draws, models] -> statistic
    [draws]; judge: (value, Interval) -> (verdict, note).
    """
    row = dict.fromkeys(FINDING_COLUMNS, np.nan) | {
        "finding": finding,
        "statement": FINDINGS[finding],
        "statistic": statistic,
        "recipe": recipe,
        "set": set_name,
        "ci_method": "",
        "n": 0 if values is None else len(values),
        "verdict": "not tested",
    }
    if values is None:
        return row | {"note": "a model that the statistic needs is missing or has diverged"}
    if len(values) < MINIMUM:
        return row | {"note": f"too few clips: {len(values)} < {MINIMUM}"}
    if not np.isfinite(values).all():
        return row | {"note": "not finite"}
    value = float(of_means(values.mean(axis=0, keepdims=True))[0])
    interval = percentile_interval(of_means(bootstrap_means(values, seed)))
    verdict, note = judge(value, interval)
    numbers = {"value": value, "ci_low": interval.low, "ci_high": interval.high, "ci_method": interval.method}
    return row | numbers | {"verdict": verdict, "note": note}


def _above_zero(value, interval):
    """Verdict and note of a claim that a difference is above zero."""
    if interval.low > 0:
        return "supported", ""
    return ("not supported" if interval.high <= 0 else "undecided"), ""


def _columns(losses, condition, recipes, set_name):
    """Per-clip losses [n clips, recipes] of one condition and set; None where a recipe was not run."""
    if not set(recipes) <= set(losses):
        return None
    of_set = [losses[recipe].loc[losses[recipe]["set"] == set_name, condition] for recipe in recipes]
    return np.stack(of_set, axis=1).astype(float)


def cost_table(costs):
    """One row a model from its cost.json: model, recipe, unlearn_seed (empty for target, gold), then its
    numbers.

    costs: dicts with a key `model`, at least one; what one of them lacks is an empty cell. Where they hold
    `seconds` and a gold model was trained, seconds_over_gold says what unlearning costs beside training anew
    without the clips.
    """
    rows = []
    for cost in costs:
        recipe, seed = split_model_name(cost["model"])
        unlearn_seed = pd.NA if recipe in TRAINED else seed
        rows.append({"model": cost["model"], "recipe": recipe, "unlearn_seed": unlearn_seed} | cost)
    table = pd.DataFrame(rows).astype({"unlearn_seed": "Int64"})
    if "seconds" in table and (table["recipe"] == "gold").any():
        table["seconds_over_gold"] = table["seconds"] / table.loc[table["recipe"] == "gold", "seconds"].mean()
    return table
