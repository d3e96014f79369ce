"""Paired tests of every recipe against target and gold: tables/comparisons.csv.

Values are tidy frames of all models: [model, set, clip_id, eval_seed, metric, value]. A recipe is the side of all its
models; against gold the other side is all gold models, against target the one model that unlearning started from.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from noencore.errors import UserError
from noencore.experiment import split_model_name
from noencore.metrics.copying import mcnemar
from noencore.metrics.differences import equivalence_interval, holm, paired_difference, verdict
from noencore.metrics.rows import MINIMUM

KEPT_SETS = ("remain", "utility")  # where a recipe is to leave the target as it is
CELL = ["set", "metric", "clip_id", "eval_seed"]
NUMBERS = ["value", "ci_low", "ci_high", "ci_method", "equivalence_low", "equivalence_high", "p", "p_method"]
COLUMNS = [
    *("recipe", "reference", "set", "metric", "recipe_mean", "reference_mean", *NUMBERS, "p_holm", "n_tests"),
    *("margin", "margin_source", "verdict", "n", "n_works", "n_eval_seeds", "n_incomplete", "n_seeds"),
    *("n_reference_seeds", "models", "reference_models", "seed", "status"),
]
WHOLE_NUMBERS = ["n_tests", "n", "n_works", "n_eval_seeds", "n_incomplete", "n_seeds", "n_reference_seeds", "seed"]
INCOMPLETE = ["recipe", "reference", "set", "metric", "clip_id", "eval_seed", "missing"]
# What is better on what is to be kept, 1 more or -1 less, by the start of a metric's name (the first that fits); others
# just differ.
BETTER = {
    "text_audio_mismatched": 0,
    **dict.fromkeys(("nll_", "min_k_", "fad_", "kad_", "kl_", "silence_", "clipping_", "collapse_"), -1),
    **dict.fromkeys(("text_audio_rank", "caption_rank", "caption_truth_ratio"), -1),
    **dict.fromkeys(("caption_gain", "wrong_caption_gain", "caption_preferred", "caption_top1"), 1),
    **dict.fromkeys(("text_audio_", "token_match_"), 1),
}
WORDS = {  # of `verdict`, for a set to be kept against target, another set against target, and gold
    "kept": {"same": "kept", "better": "improved", "worse": "harmed"},
    "changed": {"same": "unchanged", "better": "changed", "worse": "changed", "differs": "changed"},
    "gold": {"same": "as gold", "better": "differs", "worse": "differs"},
}


def sides(models, target):
    """(recipe, its models, reference, its models) of every comparison: recipes and gold against the target, and
    recipes against gold where there is a gold model."""
    by_recipe = {}
    for model in models:
        by_recipe.setdefault(split_model_name(model)[0], []).append(model)
    gold = by_recipe.pop("gold", [])
    by_recipe.pop("target", None)
    recipes = {"gold": gold, **by_recipe} if gold else by_recipe
    against_target = [(recipe, of_recipe, "target", [target]) for recipe, of_recipe in recipes.items()]
    return against_target + [(recipe, of_recipe, "gold", gold) for recipe, of_recipe in by_recipe.items() if gold]


def wide_values(values):
    """Values with one column a model and one row a set, metric, clip and eval seed; NaN where a model lacks the value,
    infinite where it has one that is not finite. Raises UserError where a model has a value twice."""
    twice = values[values.duplicated([*CELL, "model"])]
    if len(twice):
        model, clip, metric = twice.iloc[0][["model", "clip_id", "metric"]]
        raise UserError(f"metrics of {model}: {metric} of clip {clip} occurs twice; measure it again")
    known = values.assign(value=values["value"].where(np.isfinite(values["value"]), np.inf))
    return known.set_index([*CELL, "model"])["value"].unstack("model").sort_index()


def paired_rows(values, works, models, target, seed=0, diverged=()):
    """Paired differences of per-clip values: (list of dicts for `judged`, frame of incomplete pairs).

    works: series clip_id -> work. A clip counts with its mean over the eval seeds that every model of both sides has;
    what one of them lacks is incomplete: listed with the models that lack it, and not used.
    """
    wide = wide_values(values).reindex(columns=models)
    metrics = list(wide.groupby(["set", "metric"]))
    rows, incomplete = [], [pd.DataFrame(columns=INCOMPLETE)]
    for recipe, of_recipe, reference, of_reference in sides(models, target):
        for (set_name, metric), cells in metrics:
            both = cells[of_recipe + of_reference].dropna(how="all")
            if both.empty:
                continue
            names = {"recipe": recipe, "reference": reference, "set": set_name, "metric": metric}
            complete, lacking = both.dropna(), both[both.isna().any(axis=1)]
            if len(lacking):
                missing = [" ".join(both.columns[row]) for row in lacking.isna().to_numpy()]
                incomplete.append(lacking.index.to_frame(index=False).assign(**names, missing=missing)[INCOMPLETE])
            counts = {"n_eval_seeds": complete.index.unique("eval_seed").size, "n_incomplete": len(lacking)}
            compared = _paired_row(complete, works, of_recipe, of_reference, seed, sorted(set(diverged) & set(both)))
            rows.append(names | counts | compared)
    return rows, pd.concat(incomplete, ignore_index=True)


def _paired_row(complete, works, of_recipe, of_reference, seed, diverged):
    """What one comparison adds to its names: the difference and what it rests on, or the status that says why not.

    p of hits (0 or 1) of two models on clips that are each a work of its own is McNemar's, which is exact.
    """
    by_clip = complete.groupby("clip_id").mean()
    of_clip = works.loc[by_clip.index].to_numpy()
    n_works = len(set(of_clip))
    row = side_columns(of_recipe, of_reference) | {"n": len(by_clip), "n_works": n_works, "seed": seed}
    if diverged:
        return row | {"status": f"diverged: {' '.join(diverged)}"}
    if len(by_clip) < MINIMUM or n_works < MINIMUM:
        return row | {"status": f"too few: {len(by_clip)} clips of {n_works} works, at least {MINIMUM} of each"}
    if not np.isfinite(by_clip.to_numpy()).all():
        return row | {"status": "not finite"}
    a, b = by_clip[of_recipe].to_numpy(), by_clip[of_reference].to_numpy()
    row |= difference_columns(paired_difference(a, b, of_clip, seed), a.mean(axis=0), b.mean(axis=0))
    if by_clip.shape[1] == 2 and n_works == len(by_clip) and np.isin(by_clip, (0, 1)).all():
        row |= {"p": mcnemar(b[:, 0], a[:, 0])[2], "p_method": "mcnemar"}
    return row


def side_columns(of_recipe, of_reference):
    """The columns that say which models are compared."""
    return {
        "n_seeds": len(of_recipe),
        "n_reference_seeds": len(of_reference),
        "models": " ".join(of_recipe),
        "reference_models": " ".join(of_reference),
    }


def difference_columns(difference, a, b):
    """The numbers of a row from a PairedDifference and the values a [models], b [models] of either side; `band` is how
    far the models of the reference are from one another at most, NaN for one model."""
    interval, equivalence = difference.interval(), equivalence_interval(difference)
    numbers = (difference.value, *interval, equivalence.low, equivalence.high, difference.p(), "t")
    return {
        **dict(zip(NUMBERS, numbers, strict=True)),
        "recipe_mean": float(np.mean(a)),
        "reference_mean": float(np.mean(b)),
        "band": max((abs(x - y) for x, y in combinations(b, 2)), default=np.nan),
        "status": "ok",
    }


def judged(rows, margins):
    """The frame of comparisons.parquet from rows of `paired_rows` and of set-level differences.

    Holm's family is all tests of one recipe against one reference. margins: dict metric -> the largest difference
    that does not matter. Against gold a metric without one takes the band of gold against gold, the largest difference
    of two gold models; against target there is then no margin, and nothing can be said to be kept.
    """
    table = pd.DataFrame(rows).reindex(columns=[*COLUMNS, "band"])
    of_family = pd.factorize(pd.MultiIndex.from_frame(table[["recipe", "reference"]]))[0]
    table = table.iloc[np.argsort(of_family, kind="stable")].reset_index(drop=True)
    family = table.groupby(["recipe", "reference"])["p"]
    table["p_holm"] = family.transform(lambda p: holm(p.to_numpy())).astype(float)
    table["n_tests"] = family.transform("count")
    table["margin"] = table["metric"].map(margins).astype(float)
    declared = table["margin"].notna()
    by_band = ~declared & (table["reference"] == "gold") & table["band"].notna()
    table["margin"] = table["margin"].where(~by_band, table["band"])
    table["margin_source"] = np.select([declared, by_band], ["declared", "gold band"], "")
    table["verdict"] = [_word(row) for row in table.itertuples()]
    for name in ("ci_method", "p_method"):
        table[name] = table[name].astype(object).where(table[name].notna(), "")
    return table[COLUMNS].astype({name: "Int64" for name in WHOLE_NUMBERS})


def with_provenance(comparisons, metrics):
    """Comparisons with what the tidy frame of all metrics says of their models' numbers: d, effective_rank,
    weights_sha256 and reference_sha256; what differs between the models is listed, each once, models of the recipe
    first."""
    cell, numbers, texts = ["model", "set", "metric"], ["d", "effective_rank"], ["weights_sha256", "reference_sha256"]
    of_models = [
        (row.Index, model, row.set, row.metric)
        for row in comparisons.itertuples()
        for model in f"{row.models} {row.reference_models}".split()
    ]
    of_models = pd.DataFrame(of_models, columns=["row", *cell], dtype=object)
    by_row = of_models.merge(metrics[cell + numbers + texts], "left", cell).groupby("row")
    found = by_row[numbers].first().astype({"d": "Int64", "effective_rank": float})
    for name in texts:
        found[name] = by_row[name].agg(lambda sums: " ".join(dict.fromkeys(filter(None, sums.fillna("")))))
    return comparisons.join(found)


def _word(row):
    """The verdict of one row in the words of its claim."""
    if row.status != "ok":
        return "not tested"
    better = next((sign for start, sign in BETTER.items() if row.metric.startswith(start)), 0)
    found = verdict(row.value, row.equivalence_low, row.equivalence_high, row.p_holm, row.margin, better)
    claim = "gold" if row.reference == "gold" else ("kept" if row.set in KEPT_SETS else "changed")
    return WORDS[claim].get(found, found)
