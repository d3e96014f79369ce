"""The verdict on a recipe in words: what it has forgotten, and whether the rest was kept.

Nothing is computed here: the words are made from comparisons.parquet, memorisation.parquet and metrics.parquet.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from noencore.comparison.paired import KEPT_SETS
from noencore.experiment import split_model_name
from noencore.report.phrases import counted, p_value, percent, with_interval

METRIC = "nll_caption"
NATS = "nats a token"
OF_MEMORISED = "% of what was memorised"
NO_LIKELIHOOD = "Not tested: there is no NLL to compare, as the family likelihood is not among the metrics of this run."
NOTHING_MEMORISED = "Undecided: the target knows forget no better than gold by more than the margin of {margin:.3g}"
NOT_SHOWN = "Undecided: the target is not shown to know forget better than gold, so what is left of that cannot be told"
OTHERS_SHOWN = 3


@dataclass(frozen=True)
class Judgement:
    """A verdict on one question. value, low, high: in `unit`, None where there is none; n: clips."""

    verdict: str
    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    n: int = 0
    n_works: int = 0


@dataclass(frozen=True)
class RecipeVerdict:
    """What is said of one recipe. control: it takes no step, and is shown to be compared with."""

    recipe: str
    control: bool
    n_seeds: int
    status: str
    forgotten: Judgement
    remain: Judgement
    utility: Judgement
    text: str


@dataclass(frozen=True)
class RunTables:
    """The tables of a run, and the step at which each diverged model did: dict model -> step."""

    metrics: pd.DataFrame
    comparisons: pd.DataFrame
    memorisation: pd.DataFrame
    findings: pd.DataFrame
    diverged: dict

    def comparison(self, recipe, reference, set_name, metric=METRIC):
        """One row of the comparisons, or None."""
        table = self.comparisons
        keys = {"recipe": recipe, "reference": reference, "set": set_name, "metric": metric}
        rows = table[np.logical_and.reduce([table[key] == value for key, value in keys.items()])]
        return rows.iloc[0] if len(rows) else None

    def share_left(self, recipe):
        """The row of the share of memorisation that a recipe leaves, or None."""
        rows = self.memorisation[self.memorisation["recipe"] == recipe]
        return rows.iloc[0] if len(rows) else None

    def nothing_to_forget(self, share):
        """Whether the target is not shown to know forget better than gold, or shown not to by more than the margin."""
        return share["memorised_low"] <= 0 or self.comparison("gold", "target", "forget")["verdict"] == "unchanged"

    @property
    def has_gold(self):
        return any(split_model_name(model)[0] == "gold" for model in self.metrics["model"].unique())


def recipe_verdict(evidence, recipe, models, control):
    """The RecipeVerdict of a recipe with some models."""
    diverged = [f"{model} at step {evidence.diverged[model]}" for model in models if model in evidence.diverged]
    status = f"diverged: {', '.join(diverged)}" if diverged else "ok"
    if diverged:
        nothing = Judgement("not tested", f"Not tested: {status}.")
        return RecipeVerdict(recipe, control, len(models), status, nothing, nothing, nothing, f"{recipe} {status}.")
    forgotten = forgotten_by(evidence, recipe) if evidence.has_gold else changed_by(evidence, recipe, models)
    kept = {name: kept_by(evidence, recipe, name) for name in KEPT_SETS}
    text = " ".join([forgotten.text, *(judgement.text for judgement in kept.values())])
    return RecipeVerdict(recipe, control, len(models), status, forgotten, kept["remain"], kept["utility"], text)


def forgotten_by(evidence, recipe):
    """Judgement of a recipe on forget where there is a gold: as gold, partly, not, beyond gold or undecided."""
    to_gold, share = evidence.comparison(recipe, "gold", "forget"), evidence.share_left(recipe)
    missing = _not_tested(to_gold)
    if missing or share is None or share["status"] != "ok":
        return missing or Judgement("not tested", f"Not tested: {share['status'] if share is not None else 'no row'}.")
    low, high = round(share["ci_low"], 6), round(share["ci_high"], 6)  # scores of one model may differ in a last digit
    seeds = round(share["seed_low"], 6), round(share["seed_high"], 6)
    left = percent(share["value"], share["ci_low"], share["ci_high"])
    known = evidence.comparison("gold", "target", "forget")
    numbers = _shares(share)
    if evidence.nothing_to_forget(share):
        memorised = with_interval(known["value"], known["ci_low"], known["ci_high"], sign=True)
        why = NOTHING_MEMORISED.format(**known) if known["verdict"] == "unchanged" else NOT_SHOWN
        text = f"{why} (gold's NLL less the target's: {memorised} {NATS})."
        return Judgement("undecided", text, **numbers)
    if to_gold["verdict"] == "as gold":
        distance = with_interval(to_gold["value"], to_gold["ci_low"], to_gold["ci_high"], sign=True)
        text = f"Forgotten as by gold: its NLL on forget differs from gold's by {distance} {NATS}, within the margin of"
        return Judgement("as gold", f"{text} {to_gold['margin']:.3g}; {left} of what was memorised is left.", **numbers)
    if high < 1 and low > 0 and seeds[0] > 0 and seeds[1] < 1:
        return Judgement("partly", f"Partly forgotten: {left} of what was memorised is left.", **numbers)
    if low >= 1 and seeds[0] >= 1:
        more = "; forget is known better than before" if low > 1 else ""
        return Judgement("not", f"Not forgotten: {left} of what was memorised is left{more}.", **numbers)
    if high <= 0 and seeds[1] <= 0:
        text = f"Beyond gold: {left} of what was memorised is left, so forget is less likely than to a model that never"
        return Judgement("beyond gold", f"{text} learned it.", **numbers)
    return Judgement("undecided", _undecided_share(share, left, low, high), **numbers)


def _shares(share):
    """The numbers of a Judgement from a row of the shares left, in percent."""
    value, low, high = (100 * float(share[name]) for name in ("value", "ci_low", "ci_high"))
    counts = {"n": int(share["n"]), "n_works": int(share["n_works"])}
    return {"value": value, "low": low, "high": high, "unit": OF_MEMORISED, **counts}


def _undecided_share(share, left, low, high):
    """Why a share left is no verdict: its interval, or seeds that disagree."""
    text = f"Undecided: {left} of what was memorised is left"
    if low <= 0 <= high or low <= 1 <= high:
        held = [word for at, word in ((0, "0 % (as by gold)"), (1, "100 % (unchanged)")) if low <= at <= high]
        return f"{text}; the interval holds {' and '.join(held)}."
    seeds = f"{100 * share['seed_low']:.0f} to {100 * share['seed_high']:.0f} %"
    return f"{text}, but its seeds disagree ({seeds})."


def changed_by(evidence, recipe, models):
    """Judgement of a recipe on forget where there is no gold: changed, unchanged or undecided, against the target."""
    row = evidence.comparison(recipe, "target", "forget")
    if missing := _not_tested(row):
        return missing
    difference = _difference(row)
    text = {
        "changed": f"Forget has become {'less' if row['value'] > 0 else 'more'} likely: {difference}, {_p(row)}",
        "unchanged": f"Forget is as likely as before: {difference}, within the margin of {row['margin']:.3g}",
    }.get(row["verdict"], f"Undecided on forget: {difference}, {_p(row)}")
    return Judgement(row["verdict"], f"{text}.{observer(evidence.metrics, models)}", **_numbers(row))


def observer(metrics, models):
    """A sentence on how well an observer tells forget from holdout by some models, "" where that is not known."""
    auc = metrics[(metrics["metric"] == "membership_auc") & metrics["value"].notna()].set_index("model")
    target = auc[auc["recipe"] == "target"]
    if target.empty or not set(models) <= set(auc.index):
        return ""
    of_recipe = auc.loc[models]
    said = " and ".join(with_interval(row.value, row.ci_low, row.ci_high) for row in of_recipe.itertuples())
    before = with_interval(*target.iloc[0][["value", "ci_low", "ci_high"]])
    return f" AUC of telling forget from holdout: {said}, of the target {before} (0.5: not told apart)."


def kept_by(evidence, recipe, set_name):
    """Judgement of a recipe on a set that is to be kept: kept, harmed, improved or undecided, against the target."""
    row = evidence.comparison(recipe, "target", set_name)
    if missing := _not_tested(row):
        return missing
    name, difference = set_name.capitalize(), _difference(row)
    margin = "no margin is declared" if pd.isna(row["margin"]) else f"the margin of {row['margin']:.3g}"
    text = {
        "kept": f"{name} is kept: {difference}, within {margin}",
        "harmed": f"{name} is harmed: {difference}, {_p(row)}",
        "improved": f"{name} is improved: {difference}, {_p(row)}",
    }.get(row["verdict"])
    if text is None:
        beyond = margin if pd.isna(row["margin"]) else f"not shown to be within {margin}"
        text = f"{name} is undecided: {difference}, {_p(row)}, and {beyond}"
    return Judgement(row["verdict"], f"{text}{_others_harmed(evidence, recipe, set_name)}.", **_numbers(row))


def _others_harmed(evidence, recipe, set_name):
    """Which other metrics of a set are harmed, "" where none is."""
    table = evidence.comparisons
    of_set = table[(table["recipe"] == recipe) & (table["reference"] == "target") & (table["set"] == set_name)]
    harmed = of_set.loc[(of_set["verdict"] == "harmed") & (of_set["metric"] != METRIC), "metric"].tolist()
    if not harmed:
        return ""
    more = f" and {len(harmed) - OTHERS_SHOWN} more" if len(harmed) > OTHERS_SHOWN else ""
    return f"; other metrics harmed there: {', '.join(harmed[:OTHERS_SHOWN])}{more}"


def _not_tested(row):
    """The Judgement of a comparison that was not made, else None."""
    if row is None:
        return Judgement("not tested", NO_LIKELIHOOD)
    if row["status"] != "ok":
        return Judgement("not tested", f"Not tested: {row['status']}.", n=int(row["n"]), n_works=int(row["n_works"]))
    return None


def _numbers(row):
    """The numbers of a Judgement from a row of the comparisons."""
    low, high = float(row["ci_low"]), float(row["ci_high"])
    counts = {"n": int(row["n"]), "n_works": int(row["n_works"])}
    return {"value": float(row["value"]), "low": low, "high": high, "unit": NATS, **counts}


def _difference(row):
    difference = with_interval(row["value"], row["ci_low"], row["ci_high"], sign=True)
    return f"its NLL differs from the target's by {difference} {NATS}"


def _p(row):
    return f"{p_value(row['p_holm'])} (Holm, {counted(int(row['n_tests']), 'test')})"
