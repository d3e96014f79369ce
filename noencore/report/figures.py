"""The figures of a run: each a pure function from its tables (`Evidence`) to a `Figure` that either renderer draws."""

import re
from itertools import chain, product

import numpy as np

from noencore.report.captions import counts, left_out, no_steps
from noencore.report.evidence import figure_of
from noencore.report.forest import EXPLAINED, forest_size, row_panel
from noencore.report.gaps import NATS, cost, tradeoff
from noencore.report.parts import Axis, Figure, Guide, Panel, Series
from noencore.split import SETS

ASSOCIATION = {  # metric: (title, unit)
    "caption_gain": ("Caption gain", NATS),
    "wrong_caption_gain": ("Wrong-caption gain", NATS),
    "caption_truth_ratio": ("Truth ratio", "ratio"),
    "caption_top1": ("Own caption is the best", "share of clips"),
}
DISTANCES = {  # start of a metric's name: (title, unit)
    "fad": ("FAD", "embedding units, squared"),
    "fad_corrected": ("FAD less the floor", "embedding units, squared"),
    "kad": ("KAD", "no unit"),
}


def curves(evidence):
    """NLL on dev clips while unlearning goes on: a panel a set, a line a model."""
    of_model = evidence.cost.set_index("model")
    run = evidence.curves[~evidence.curves["model"].isin(list(evidence.diverged))]
    run = run.assign(recipe=run["model"].map(of_model["recipe"]))
    picked = of_model.get("picked_step", {})
    panels = [
        _curves_panel(evidence, name, run[run["set"] == name], picked) for name in SETS if (run["set"] == name).any()
    ]
    caption = [
        "NLL on dev clips during each unlearn job, one line a model; the sign is where its weights were taken.",
        "Level lines: the target, and gold (a band where gold models differ).",
        "Means over clips of the part dev, which no other figure uses, without intervals: they serve to choose steps",
        "and learning rates, and prove nothing.",
        left_out(evidence, []),
    ]
    panels = panels or [Panel("", Axis("step"), Axis(f"NLL on dev, {NATS}"), note="no curves")]
    table = (
        run.pivot(index=["model", "step"], columns="set", values="nll").reindex(columns=SETS).dropna(axis=1, how="all")
    )
    table = table.reindex(run.set_index(["model", "step"]).index.unique()).reset_index()
    title = "NLL on dev while unlearning goes on"
    return Figure(
        "curves", title, " ".join(filter(None, caption)), tuple(panels), 2, (3.5, 2.7), evidence.recipes, table
    )


def codebooks(evidence):
    """NLL of each codebook: a row a set, a column a codebook."""
    metrics = {name for name in evidence.metrics["metric"] if re.fullmatch(r"nll_q\d+", name)}
    metrics = sorted(metrics, key=lambda name: int(name.removeprefix("nll_q")))
    panels, everything = [], []
    for name in _sets_of(evidence, metrics):
        for number, metric in enumerate(metrics):
            panel, found = row_panel(evidence, f"{name}, codebook {number}", name, metric, NATS)
            panels.append(panel)
            everything += found
    caption = [
        "NLL of each codebook under the clip's own caption. Codebook 0 is the coarsest; the late ones are fine",
        "detail and sound more than the tune.",
        EXPLAINED,
        counts(everything),
        left_out(evidence, everything),
    ]
    panels = panels or [Panel("", Axis(""), Axis(""), note="NLL of single codebooks was not measured")]
    title, columns = "Likelihood by codebook", max(len(metrics), 1)
    size = forest_size(evidence, columns)
    return figure_of(evidence, "codebooks", title, caption, panels, columns, size, everything, legend=False)


def association(evidence):
    """How strongly the caption is linked to the music: a row a metric, forget and remain side by side."""
    none = {"caption_truth_ratio": 1.0, "caption_top1": 1 / (evidence.wrong_captions + 1)}
    panels, everything = [], []
    for metric, (title, unit) in ASSOCIATION.items():
        for name in ("forget", "remain"):
            guides = (Guide("no link", x=(none.get(metric, 0.0),) * 2),)
            limits = (-0.03, 1.03) if metric == "caption_top1" else None  # the interval of a share can leave its range
            panel, found = row_panel(evidence, f"{title}: {name}", name, metric, unit, guides, limits)
            panels.append(panel)
            everything += found
    caption = [
        "Does the model still hear which caption belongs to a clip? Dotted: no link. More is a stronger link, but for",
        "the truth ratio, where less is. Bars of shares are cut at 0 and 1.",
        EXPLAINED,
        counts(everything),
        left_out(evidence, everything),
    ]
    title, size = "The link of text and music", forest_size(evidence, 2)
    return figure_of(evidence, "association", title, caption, panels, 2, size, everything, legend=False)


def distances(evidence):
    """How far generated audio is from the originals: a row an embedding and distance, a column a set."""
    names = evidence.metrics["metric"]
    embeddings = names[names.str.startswith("fad_floor_")].str.removeprefix("fad_floor_").unique()
    sets = _sets_of(evidence, {f"fad_{embedding}" for embedding in embeddings})
    columns = {name: [_distance_panel(evidence, *row, name) for row in product(embeddings, DISTANCES)] for name in sets}
    empty = [name for name, made in columns.items() if not any(panel.series for panel, _ in made)]
    empty = empty if len(empty) < len(sets) else []
    missing = "; ".join(f"{name} ({columns.pop(name)[0][0].note})" for name in empty)
    panels, everything = [], []
    for panel, found in chain.from_iterable(zip(*columns.values())):
        panels.append(panel)
        everything += found
    caption = [
        "How far what the models play is from the original clips of the same prompts; lower is nearer. The floor of",
        "FAD (dotted, with its spread) is what real audio scores at this number of clips; FAD less the floor and KAD",
        "are 0 for audio as good as real. Values of different embeddings cannot be compared.",
        EXPLAINED,
        "FAD less the floor is not compared in pairs: its bars are those of single models, over works.",
        counts(everything),
        f"Not drawn, as nothing could be measured: {missing}." if missing else "",
        left_out(evidence, everything),
    ]
    panels = panels or [Panel("", Axis(""), Axis(""), note="no distances were measured")]
    title, n_columns = "Distance of generated audio to real audio", max(len(columns), 1)
    size = forest_size(evidence, n_columns)
    return figure_of(evidence, "distances", title, caption, panels, n_columns, size, everything, legend=False)


def _distance_panel(evidence, embedding, start, set_name):
    """(panel, estimates) of one embedding, distance and set."""
    title, unit = DISTANCES[start]
    guides = _floor(evidence, embedding, set_name) if start == "fad" else (Guide("0: perfect", x=(0, 0)),)
    return row_panel(evidence, f"{title}, {embedding}: {set_name}", set_name, f"{start}_{embedding}", unit, guides)


def _curves_panel(evidence, name, run, picked):
    """One set's curves of the recipes that take steps. picked: model -> step of the weights that were kept."""
    series = []
    for (recipe, model), points in run[run["recipe"].isin(evidence.unlearned)].groupby(["recipe", "model"], sort=False):
        if len(points) < 2:
            continue
        steps, nlls = tuple(points["step"]), tuple(points["nll"])
        words = tuple(f"{model}, step {step}: {nll:.4g}" for step, nll in zip(steps, nlls))
        series.append(Series(recipe, "line", steps, nlls, words))
        kept = points[points["step"] == picked.get(model, steps[-1])]
        words = (f"{model}: the weights that were kept",) * len(kept)
        series.append(Series(recipe, "model", tuple(kept["step"]), tuple(kept["nll"]), words))
    guides = [
        Guide(kind, y=(nlls.min(), nlls.max()), recipe=kind)
        for kind in ("target", "gold")
        if len(nlls := run.loc[run["recipe"] == kind, "nll"])
    ]
    title, y = f"{name} ({run['n'].max()} clips)", Axis(f"NLL on dev, {NATS}")
    return Panel(title, Axis("step"), y, tuple(series), tuple(guides), "" if series else no_steps(evidence))


def _floor(evidence, embedding, set_name):
    """The floor of FAD as a line, and its spread as a band."""
    metric = f"fad_floor_{embedding}"
    rows = [row for recipe in evidence.recipes for row in evidence.models(recipe, set_name, metric)]
    if not rows:
        return ()
    line, spread = Guide("floor: real audio", x=(rows[0].value,) * 2), (rows[0].ci_low, rows[0].ci_high)
    return (line, Guide("its spread", x=spread)) if np.isfinite(spread).all() else (line,)


def _sets_of(evidence, metrics):
    """Sets that some metrics have rows of, in the usual order."""
    there = set(evidence.metrics.loc[evidence.metrics["metric"].isin(metrics), "set"])
    return [name for name in SETS if name in there]


FIGURES = {
    "tradeoff": tradeoff,
    "curves": curves,
    "codebooks": codebooks,
    "association": association,
    "distances": distances,
    "cost": cost,
}
