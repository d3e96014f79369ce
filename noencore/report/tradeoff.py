"""The trade-off: how far from gold on what was to be forgotten, how far on what was to be kept."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from noencore.files import atomic

# Okabe and Ito's colours, told apart by colour-blind readers, in the order in which recipes are met.
COLOURS = ("#000000", "#009E73", "#E69F00", "#56B4E9", "#0072B2", "#D55E00", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")  # one more than colours: 56 recipes have a sign of their own


def draw_tradeoff(metrics, png, svg):
    """Write the figure from the frame of tables/metrics.csv: one point a model, with 95 % intervals of both NLLs.

    x: NLL on forget less gold's, y: NLL on utility less gold's. Without gold the target takes its place.
    """
    wanted = metrics[(metrics["metric"] == "nll_caption") & metrics["set"].isin(["forget", "utility"])]
    wide = wanted.set_index(["recipe", "model", "set"])[["value", "ci_low", "ci_high"]].unstack("set")
    baseline = "gold" if "gold" in wide.index.get_level_values("recipe") else "target"
    origin = wide.xs(baseline, level="recipe")["value"].mean()
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color="0.8", zorder=0)
    axes.axvline(0, color="0.8", zorder=0)
    for number, recipe in enumerate(wanted["recipe"].unique()):
        models = wide.xs(recipe, level="recipe")
        place = {name: models["value", name] - origin[name] for name in ("forget", "utility")}
        error = {
            name: np.abs(
                [models["value", name] - models["ci_low", name], models["ci_high", name] - models["value", name]]
            )
            for name in place
        }
        axes.errorbar(
            place["forget"], place["utility"], error["utility"], error["forget"],
            fmt=MARKERS[number % len(MARKERS)], color=COLOURS[number % len(COLOURS)], label=recipe,
            elinewidth=0.8, alpha=0.9, linestyle="none",
        )  # fmt: skip
    axes.set_xlabel(f"forget gap: NLL on forget clips less {baseline}'s, nats a token")
    axes.set_ylabel(f"utility gap: NLL on utility clips less {baseline}'s")
    axes.set_title("One point a model; bars are 95 % intervals over works", fontsize=10)
    figure.legend(loc="outside right upper", frameon=False)
    for path, kind, metadata in ((png, "png", {"Software": None}), (svg, "svg", {"Date": None})):
        with atomic(path) as temporary, rc_context({"svg.hashsalt": "noencore"}):  # same bytes every time
            figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)
