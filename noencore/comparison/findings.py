"""The findings of *No Encore* (arXiv 2509.06277), each tested for each of its recipes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from noencore.experiment import split_model_name
from noencore.metrics.intervals import bootstrap_interval, bootstrap_means, percentile_interval
from noencore.metrics.rows import MINIMUM

PAPER_RECIPES = ("ga", "rl_caption", "rl_tokens")  # of arXiv 2509.06277
FINDINGS = {
    1: "Unlearning is only partial",
    2: "Unlearning degrades the remain set",
    3: "Random labelling breaks the link of text and music more than gradient ascent",
}
USED = ("nll_caption", "wrong_caption_gain")
NUMBERS = ["value", "ci_low", "ci_high", "ci_method", "n", "n_works", "seed"]
FINDING_COLUMNS = ["finding", "statement", "statistic", "recipe", "set", *NUMBERS, "verdict", "note"]
MEMORISATION_COLUMNS = ["recipe", *NUMBERS, "seed_low", "seed_high", "memorised", "memorised_low", "memorised_high"]
MEMORISATION_COLUMNS += ["status"]


def findings_table(values, works, seed=0, diverged=()):
    """The findings of *No Encore* (arXiv 2509.06277), each tested for each of its recipes that was run.

    values: tidy frame [model, set, clip_id, eval_seed, metric, value] of all models; nll_caption and
    wrong_caption_gain are used. works: series clip_id -> work. Values are averaged over the seeds of a recipe, clip by
    clip; then the works of a set are resampled, the same ones for all models. `value` is, for finding
      1: the share of the target's memorisation that is left, (gold - unlearned) / (gold - target) of the NLL
      on forget; 2: NLL on remain, unlearned - target; 3: the loss of wrong_caption_gain (from the target's),
      random labelling - gradient ascent.
    Verdict: "supported" where the whole interval is on the claim's side (1: between 0 and 1; 2 and 3: above
    0), "not supported" where it is wholly on the other, else "undecided"; "not tested" where a model or the
    clips are missing, or a seed of the recipe is among the `diverged` models.
    """
    left_out = {split_model_name(model)[0] for model in diverged}
    present = {split_model_name(model)[0] for model in values["model"].unique()}
    run = [name for name in PAPER_RECIPES if name in present]
    evidence = Evidence(recipe_values(values).drop(columns=left_out, errors="ignore"), works, seed)
    rows = []
    for recipe in run:
        rows.append(partial_unlearning(evidence, recipe))
        rows.append(remain_damage(evidence, recipe))
        if recipe != "ga":
            rows += [association_damage(evidence, recipe, set_name) for set_name in ("forget", "remain")]
    table = pd.DataFrame(rows, columns=FINDING_COLUMNS)
    return table.sort_values("finding", kind="stable", ignore_index=True)


def memorisation_table(values, works, seed=0, diverged=()):
    """Finding 1's statistic for every recipe that was run beside a target and a gold, of the paper or not.

    Arguments as in `findings_table`, whose rows of finding 1 have the same `value` and interval: the share of the
    target's memorisation that is left on forget. seed_low, seed_high: the least and the largest share of a single seed
    of the recipe. memorised, with its interval over works: NLL on forget, gold - target, nats a token. status: `ok`, or
    why a row has no numbers.
    """
    left_out = {split_model_name(model)[0] for model in diverged}
    by_model, by_recipe = complete_values(values), recipe_values(values)
    if not {"target", "gold"} <= set(by_recipe):
        return pd.DataFrame(columns=MEMORISATION_COLUMNS)
    evidence = Evidence(by_recipe.drop(columns=left_out, errors="ignore"), works, seed)
    rows = []
    for recipe in sorted(set(by_recipe) - {"target", "gold"}):
        found = partial_unlearning(evidence, recipe)
        row = {name: found[name] for name in ("recipe", *NUMBERS)} | {"status": found["note"]}
        if found["verdict"] != "not tested":
            of_seeds = [model for model in by_model if split_model_name(model)[0] == recipe]
            row |= memorised(evidence) | seed_range(by_model[of_seeds], by_recipe) | {"status": "ok"}
        rows.append(row)
    return pd.DataFrame(rows, columns=MEMORISATION_COLUMNS).astype({"n": "Int64", "n_works": "Int64", "seed": "Int64"})


def memorised(evidence):
    """What the target knows of forget beyond gold, with its interval: the columns memorised* of a row."""
    values, works = evidence.columns("nll_caption", ["target", "gold"], "forget")
    known = values[:, 1] - values[:, 0]
    low, high, _ = bootstrap_interval(known, evidence.seed, works)
    return {"memorised": known.mean(), "memorised_low": low, "memorised_high": high}


def seed_range(of_seeds, by_recipe):
    """The least and the largest share that a single seed leaves: the columns seed_low, seed_high of a row."""
    means, trained = (frame.loc[("nll_caption", "forget")].mean() for frame in (of_seeds, by_recipe))
    shares = share_left(means, trained["target"], trained["gold"])
    return {"seed_low": shares.min(), "seed_high": shares.max()}


@dataclass(frozen=True)
class Evidence:
    """What the findings are tested on: `recipe_values`, series clip_id -> work, and the seed of the draws."""

    values: pd.DataFrame
    works: pd.Series
    seed: int

    def columns(self, metric, recipes, set_name):
        """Values [clips, recipes] of one metric and set, and the clips' works; None where a recipe was not run."""
        if not set(recipes) <= set(self.values.columns) or metric not in self.values.index.unique("metric"):
            return None
        of_metric = self.values.xs(metric, level="metric")
        of_set = of_metric[of_metric.index.get_level_values("set") == set_name][recipes]
        clips = of_set.index.get_level_values("clip_id")
        return of_set.to_numpy(float), self.works.loc[clips].to_numpy()


def complete_values(values):
    """Values of USED with an index (metric, set, clip_id) and one column a model; only clips that all models share."""
    used = values[values["metric"].isin(USED)]
    if used.empty:
        nothing = pd.MultiIndex.from_arrays([[], [], []], names=["metric", "set", "clip_id"])
        return pd.DataFrame(index=nothing, columns=values["model"].unique(), dtype=float)
    wide = used.set_index(["metric", "set", "clip_id", "model"]).assign(known=True)[["value", "known"]].unstack("model")
    return wide["value"].astype(float)[wide["known"].notna().all(axis=1)]


def recipe_values(values):
    """`complete_values` with one column a recipe, averaged over its seeds."""
    value = complete_values(values)
    recipes = [split_model_name(model)[0] for model in value]
    return value.T.groupby(recipes, sort=False).mean().T


def share_left(unlearned, target, gold):
    """The share of the target's memorisation that is left, from mean NLLs on forget; NaN where there is none."""
    return (gold - unlearned) / np.where(gold == target, np.nan, gold - target)


def partial_unlearning(evidence, recipe):
    """Finding 1 for one recipe, on forget."""

    def share(means):
        return share_left(*means.T)

    def judge(value, interval):
        """Verdict and note of the share left."""
        low, high, _ = interval
        note = "overshoot: more damaged on forget than a model that never learned it" if value < 0 else ""
        if low > 0 and high < 1:
            return "supported", note
        if high <= 0 or low >= 1:
            return "not supported", note or "nothing was unlearned"
        return "undecided", note

    columns = evidence.columns("nll_caption", [recipe, "target", "gold"], "forget")
    statistic = "share of memorisation left on forget"
    row = _finding(1, statistic, recipe, "forget", columns, share, judge, evidence.seed)
    if row["verdict"] != "not tested":
        values, works = columns
        memorised = bootstrap_interval(values[:, 2] - values[:, 1], evidence.seed, works)
        if memorised.low <= 0:
            note = "the target is not shown to predict forget better than gold: what is left of that cannot be told"
            row |= {"verdict": "undecided", "note": note}
    return row


def remain_damage(evidence, recipe):
    """Finding 2 for one recipe."""

    def rise(means):
        unlearned, target = means.T
        return unlearned - target

    columns = evidence.columns("nll_caption", [recipe, "target"], "remain")
    statistic = "rise of NLL on remain over the target, nats a token"
    return _finding(2, statistic, recipe, "remain", columns, rise, _above_zero, evidence.seed)


def association_damage(evidence, recipe, set_name):
    """Finding 3 for one recipe of random labelling against gradient ascent, on one set."""
    columns = evidence.columns("wrong_caption_gain", [recipe, "ga", "target"], set_name)

    def difference(means):
        relabelled, ascended, target = means.T
        return (target - relabelled) - (target - ascended)

    def judge(value, interval):
        """Verdict, and the three gains as a note."""
        relabelled, ascended, target = columns[0].mean(axis=0)
        note = f"gain: target {target:.4f}, ga {ascended:.4f}, {recipe} {relabelled:.4f}"
        return _above_zero(value, interval)[0], note

    statistic = f"loss of wrong_caption_gain on {set_name}, {recipe} - ga, nats a token"
    return _finding(3, statistic, recipe, set_name, columns, difference, judge, evidence.seed)


def _finding(finding, statistic, recipe, set_name, columns, of_means, judge, seed):
    """One row of the findings, a dict.

    columns: of `Evidence`, values [clips, recipes] and works [clips], None where a recipe is missing; of_means: means
    [draws, recipes] -> statistic [draws]; judge: (value, Interval) -> (verdict, note).
    """
    values, works = (np.empty((0, 0)), []) if columns is None else columns
    n_works = len(set(works))
    row = dict.fromkeys(FINDING_COLUMNS, np.nan) | {
        "finding": finding,
        "statement": FINDINGS[finding],
        "statistic": statistic,
        "recipe": recipe,
        "set": set_name,
        "ci_method": "",
        "n": len(values),
        "n_works": n_works,
        "seed": seed,
        "verdict": "not tested",
    }
    if columns is None:
        return row | {"note": "a model that the statistic needs is missing or has diverged"}
    if min(len(values), n_works) < MINIMUM:
        return row | {"note": f"too few: {len(values)} clips of {n_works} works, at least {MINIMUM} of each"}
    if not np.isfinite(values).all():
        return row | {"note": "not finite"}
    value = float(of_means(values.mean(axis=0, keepdims=True))[0])
    interval = percentile_interval(of_means(bootstrap_means(values, seed, works)), works)
    verdict, note = judge(value, interval)
    numbers = {"value": value, "ci_low": interval.low, "ci_high": interval.high, "ci_method": interval.method}
    return row | numbers | {"verdict": verdict, "note": note}


def _above_zero(value, interval):
    """Verdict and note of a claim that a difference is above zero."""
    if interval.low > 0:
        return "supported", ""
    return ("not supported" if interval.high <= 0 else "undecided"), ""
