"""The findings of *No Encore* (arXiv 2509.06277), each tested for each of its recipes."""

import numpy as np
import pandas as pd

from noencore.experiment import split_model_name
from noencore.metrics.intervals import bootstrap_means, percentile_interval
from noencore.metrics.likelihood import clip_losses
from noencore.metrics.rows import MINIMUM, NUMBERS

PAPER_RECIPES = ("ga", "rl_caption", "rl_tokens")  # of arXiv 2509.06277
FINDINGS = {
    1: "Unlearning is only partial",
    2: "Unlearning degrades the remain set",
    3: "Random labelling breaks the link of text and music more than gradient ascent",
}
FINDING_COLUMNS = ["finding", "statement", "statistic", "recipe", "set", *NUMBERS, "verdict", "note"]


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
