"""The tables of a made-up run, as its figures read them."""

from itertools import product

import numpy as np
import pandas as pd

from noencore.report.evidence import Evidence

SETS = ("forget", "remain", "holdout", "utility")
LEVELS = {"nll_caption": 2.5, "nll_q0": 1.5, "nll_q1": 3.0, "caption_gain": 0.15, "wrong_caption_gain": 0.3}
LEVELS |= {"caption_truth_ratio": 0.7, "caption_top1": 0.9}
LEVELS |= {"fad_musicnn": 60.0, "fad_floor_musicnn": 20.0, "fad_corrected_musicnn": 40.0, "kad_musicnn": 3.0}
COMPARED = [metric for metric in LEVELS if not metric.startswith(("fad_floor_", "fad_corrected_"))]
SMALL = "small sample: 20 works < 2 x effective rank 38.2"


def a_run(recipes=("none", "ga", "rl"), gold=2, seeds=2, diverged=(), levels=LEVELS):
    """`Evidence` of a run: recipe number i is 0.1 i above the target, its seed s 0.02 s more; gold is 1 above."""
    models = {"target-0": "target"} | {f"gold-{seed}": "gold" for seed in range(gold)}
    models |= {f"{recipe}-{seed}": recipe for recipe in recipes for seed in range(1 if recipe == "none" else seeds)}
    above = {"target": 0.0, "gold": 1.0} | {recipe: 0.1 * number for number, recipe in enumerate(recipes)}
    rows = [
        _row(model, recipe, name, metric, levels[metric] + above[recipe] + 0.02 * int(model[-1]), model in diverged)
        for (model, recipe), name, metric in product(models.items(), SETS, levels)
    ]
    metrics = pd.DataFrame(rows)
    mean = metrics.groupby(["recipe", "set", "metric"])["value"].mean()
    comparisons = [
        _comparison(mean, recipe, reference, name, metric, bad=any(models.get(model) == recipe for model in diverged))
        for recipe, reference in [("gold", "target"), *product(recipes, ("target", "gold"))]
        for name, metric in product(SETS, COMPARED)
        if gold or "gold" not in (recipe, reference)
        if metric in levels
    ]
    steps = {
        model: 1000 if recipe in ("target", "gold") else 40 * (recipe != "none") for model, recipe in models.items()
    }
    cost = [
        {"model": model, "recipe": recipe, "device": "cpu", "seconds": 1 + steps[model] / 10, "steps": steps[model],
         "picked_step": steps[model], "status": "diverged" if model in diverged else "ok"}
        for model, recipe in models.items()
    ]  # fmt: skip
    curves = [
        {"model": model, "step": step, "set": name, "nll": 2.5 + above[recipe] * step / max(steps[model], 1), "n": 30}
        for model, recipe in models.items()
        for step in sorted({steps[model] if recipe in ("target", "gold") else 0, steps[model] // 2, steps[model]})
        if recipe not in ("target", "gold") or step == steps[model]
        for name in SETS
    ]
    columns = ["recipe", "reference", "metric", "status"]
    comparisons = pd.DataFrame(comparisons, columns=None if comparisons else columns)
    return Evidence(metrics, comparisons, pd.DataFrame(curves), pd.DataFrame(cost), wrong_captions=4)


def _row(model, recipe, set_name, metric, value, broken):
    status = SMALL if metric.startswith("fad_corrected_") else "ok"
    numbers = (np.nan,) * 3 if broken else (value, value - 0.05, value + 0.05)
    return {
        "model": model, "recipe": recipe, "set": set_name, "metric": metric,
        **dict(zip(("value", "ci_low", "ci_high"), numbers)),
        "n": 102, "n_works": 34, "status": "diverged at step 30" if broken else status,
    }  # fmt: skip


def _comparison(mean, recipe, reference, set_name, metric, bad):
    a, b = mean[recipe, set_name, metric], mean[reference, set_name, metric]
    numbers = {"recipe_mean": a, "reference_mean": b, "value": a - b, "ci_low": a - b - 0.03, "ci_high": a - b + 0.04}
    names = {"recipe": recipe, "reference": reference, "set": set_name, "metric": metric, "n": 102, "n_works": 34}
    return names | ({"status": f"diverged: {recipe}-1"} if bad else numbers | {"status": "ok"})
