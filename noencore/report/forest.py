"""Panels with a row a recipe: values across, with their intervals, and the target and gold as lines down the panel."""

import numpy as np

from noencore.report.captions import in_words
from noencore.report.parts import Axis, Guide, Panel, Series

EXPLAINED = (
    "A row a recipe: the large sign is the mean of its models, small signs are single models (seeds). Bars are 95 %"
    " intervals of the difference from the target, paired, over works and seeds, drawn around the mean. Where one"
    " reaches the target's line no difference is shown; where none does, the table of comparisons says which are left"
    " after Holm's correction for all tests. Gold's line is a band where its models differ."
)
SPREAD = 0.27  # of the models of a recipe about its row


def forest_size(evidence, columns):
    """(width, height) in inches of a panel."""
    return (7.2 / columns, 0.25 + 0.17 * max(len(evidence.recipes), 4))


def row_panel(evidence, title, set_name, metric, unit, guides=(), limits=None):
    """(panel, estimates) of one metric and set; limits: of its values, where bars are cut.

    Where models are not compared by the metric, each has its own interval.
    """
    found = [evidence.estimate(recipe, set_name, metric) for recipe in evidence.recipes]
    series = []
    for number, estimate in enumerate(found):
        series += _row(estimate, -number)
    if series:
        guides = (*guides, *_trained(evidence, set_name, metric))
    ticks = tuple((-number, recipe) for number, recipe in enumerate(evidence.recipes))
    y = Axis("", ticks=ticks, limits=(-len(ticks) + 0.4, 0.6))
    return Panel(
        title, Axis(unit, limits=limits), y, tuple(series), tuple(guides) if series else (), in_words(found)
    ), found


def _row(estimate, place):
    """Series of one row: the models about it, and their mean."""
    models = [row for row in estimate.models if np.isfinite(row.value)]
    if not models:
        return []
    n = len(models)
    around = tuple(place + SPREAD * (0.0 if n == 1 else 1 - 2 * number / (n - 1)) for number in range(n))
    own = () if estimate.compared else tuple((row.ci_low, row.ci_high) for row in models)
    words = tuple(f"{row.model}: {row.value:.4g}{_interval(row) if own else ''}" for row in models)
    hollow = tuple(row.status != "ok" for row in models)
    series = [Series(estimate.recipe, "model", tuple(row.value for row in models), around, words, own, (), hollow)]
    if estimate.known:
        words = (f"{estimate.recipe}: {estimate.words()}",)
        hollow = (not estimate.sound,)
        series.append(
            Series(estimate.recipe, "mean", (estimate.value,), (place,), words, estimate.interval(), (), hollow)
        )
    return series


def _trained(evidence, set_name, metric):
    """Lines of target and gold."""
    lines = []
    for kind in ("target", "gold"):
        values = [row.value for row in evidence.models(kind, set_name, metric)]
        if values:
            lines.append(Guide(kind, x=(min(values), max(values)), recipe=kind))
    return lines


def _interval(row):
    return f" [{row.ci_low:.4g}, {row.ci_high:.4g}]" if np.isfinite(row.ci_low) else ""
