"""The tables of an experiment: all metrics with their gaps to gold, the summary of a recipe, the costs."""

import numpy as np
import pandas as pd

from noencore.errors import UserError
from noencore.experiment import split_model_name
from noencore.metrics.rows import NUMBERS

TRAINED = ("target", "gold")
COLUMNS = ["model", "recipe", "unlearn_seed", "set", "metric", *NUMBERS]
COLUMNS += ["gold_mean", "gap_to_gold", "in_gold_band", "status", "weights_sha256", "reference_sha256"]
HEADLINE = (  # column of the summary, set, metric; {embedding} is the first one, {prompt} the shortest prompt
    ("nll_forget", "forget", "nll_caption"),
    ("nll_remain", "remain", "nll_caption"),
    ("nll_holdout", "holdout", "nll_caption"),
    ("nll_utility", "utility", "nll_caption"),
    ("ks_gold_forget", "forget", "ks_gold"),
    ("ks_gold_remain", "remain", "ks_gold"),
    ("ks_gold_utility", "utility", "ks_gold"),
    ("ks_gold_truth_ratio_forget", "forget", "ks_gold_truth_ratio"),
    ("ks_gold_min_k_forget", "forget", "ks_gold_min_k"),
    ("membership_auc", "forget_vs_holdout", "membership_auc"),
    ("wrong_caption_gain_forget", "forget", "wrong_caption_gain"),
    ("wrong_caption_gain_remain", "remain", "wrong_caption_gain"),
    ("continuation_match_0_forget", "forget", "continuation_match_0_{prompt}"),
    ("fad_forget", "forget", "fad_{embedding}"),
    ("fad_remain", "remain", "fad_{embedding}"),
    ("fad_utility", "utility", "fad_{embedding}"),
    ("text_audio_forget", "forget", "text_audio_{text_audio}"),
    ("text_audio_remain", "remain", "text_audio_{text_audio}"),
    ("text_audio_utility", "utility", "text_audio_{text_audio}"),
)


def diverged_models(costs):
    """dict model -> step at which it diverged, from dicts of cost.json."""
    return {cost["model"]: cost["steps"] for cost in costs if cost["status"] == "diverged"}


def metrics_table(frames, diverged=None):
    """All metrics of all models in one tidy frame, the columns of tables/metrics.csv.

    frames: dict model -> frame of metrics.parquet (all families under one another). gold_mean is the mean
    over the gold models of the same set and metric, gap_to_gold = value - gold_mean; both are empty where no
    gold model has a value. in_gold_band: whether the value lies among those of the gold models (a distance to
    gold: not above theirs; a similarity: not below), empty for gold itself and where fewer than two have one.
    unlearn_seed is empty for target and gold. diverged: dict model -> step; the weights of these models are
    not what their recipe leads to, so their numbers are empty and the status says so.
    """
    parts = []
    for model, frame in frames.items():
        recipe, seed = split_model_name(model)
        unlearn_seed = pd.NA if recipe in TRAINED else seed
        part = frame.assign(model=model, recipe=recipe, unlearn_seed=unlearn_seed)
        if model in (diverged or {}):
            empty = {"value": np.nan, "ci_low": np.nan, "ci_high": np.nan, "ci_method": "", "effective_rank": np.nan}
            part = part.assign(**empty, status=f"diverged at step {diverged[model]}")
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    twice = table[table.duplicated(["model", "set", "metric"])]
    if len(twice):
        model, set_name, metric = twice.iloc[0][["model", "set", "metric"]]
        raise UserError(f"metrics of {model}: {metric} of {set_name} occurs twice; measure it again")
    gold = table[table["recipe"] == "gold"].groupby(["set", "metric"])["value"].agg(["mean", "min", "max", "count"])
    table = table.join(gold.add_prefix("gold_"), on=["set", "metric"])
    table["gap_to_gold"] = table["value"] - table["gold_mean"]
    table["in_gold_band"] = _in_gold_band(table)
    table["unlearn_seed"] = table["unlearn_seed"].astype("Int64")
    return table[COLUMNS]


def _in_gold_band(table):
    """Nullable booleans [rows] from the value and gold_min, gold_max, gold_count of each row."""
    above = (table["value"] >= table["gold_min"]) | table["metric"].str.startswith("ks_gold")
    below = (table["value"] <= table["gold_max"]) | table["metric"].str.fullmatch("membership_auc.*_similarity")
    known = table["value"].notna() & (table["gold_count"] >= 2) & (table["recipe"] != "gold")
    return (above & below).astype("boolean").where(known)


def summary_table(metrics, names):
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
            wanted = (of_recipe["set"] == set_name) & (of_recipe["metric"] == metric.format(**names))
            values = of_recipe.loc[wanted, "value"]
            complete = len(values) == row["n_seeds"]
            row[column] = values.mean(skipna=False) if complete else np.nan
            row[f"{column}_sd"] = values.std(ddof=1, skipna=False) if complete else np.nan
        rows.append(row)
    names = [name for column, _, _ in HEADLINE for name in (column, f"{column}_sd")]
    return pd.DataFrame(rows, columns=["recipe", "n_seeds", *names])


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
