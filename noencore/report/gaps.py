"""The figures of gaps to a reference: forget against utility, and both against what they cost."""

import numpy as np

from noencore.report.captions import SHOWN, counts, in_words, left_out, no_steps
from noencore.report.evidence import figure_of
from noencore.report.parts import Axis, Guide, Panel, Series
from noencore.report.phrases import listed

NLL = "nll_caption"
NATS = "nats a token"
PERFECT = {
    "gold": "Gold is at 0, 0, as perfect unlearning would be.",
    "target": "The target is at 0, 0: further right, forget is less likely. Whether it is forgotten, and how far is"
    " enough, only gold could tell.",
}
AIM = {
    "gold": "on the left the forget gap, on the right the change of utility; both are best at 0.",
    "target": "on the left the rise on forget, 0 where nothing has changed; on the right that on utility, best at 0.",
}
SIGNS = (
    "Large signs are means of a recipe's models, small signs are single models (seeds). Bars are 95 % intervals of the"
    " difference over works and seeds, paired by clip."
)


def tradeoff(evidence):
    """Forget gap against utility gap, one small sign a model and a cross a recipe."""
    reference = evidence.reference
    pairs = {
        recipe: tuple(evidence.estimate(recipe, name, NLL, reference) for name in ("forget", "utility"))
        for recipe in evidence.recipes
    }
    in_front = sorted(pairs, key=lambda recipe: recipe in ("target", "gold"))  # a control hides the target otherwise
    series = [one for recipe in in_front for one in _crosses(recipe, *pairs[recipe])]
    zero = [Guide(f"as {reference}", x=(0, 0)), Guide(f"as {reference}", y=(0, 0))]
    band = _gold_box(evidence)
    x, y = (
        Axis(f"{name} gap: NLL on {name} clips\nless {reference}'s, {NATS}{better}")
        for name, better in (("forget", ""), ("utility", " (higher: worse)"))
    )
    everything = [side for pair in pairs.values() for side in pair]
    caption = [
        f"Across: how far each model is from {reference} on what was to be forgotten; up: on other music.",
        PERFECT[reference],
        _nearest(pairs) if reference == "gold" else "",
        SIGNS,
        counts(everything),
        _band_words(evidence, band),
        left_out(evidence, everything),
    ]
    panel = Panel("", x, y, tuple(series), (*zero, *band), in_words(everything))
    title = f"What {'was forgotten' if reference == 'gold' else 'changed on forget'}, and at what price"
    return figure_of(evidence, "tradeoff", title, caption, [panel], 1, (5.6, 4.6), everything)


def cost(evidence):
    """Seconds of unlearning against what it did on forget, and against what it broke on utility."""
    whole = evidence.cost[(evidence.cost["steps"] > 0) & ~evidence.cost["model"].isin(list(evidence.diverged))]
    seconds = dict(zip(whole["model"], whole["seconds"]))
    anew = list(whole.loc[whole["recipe"] == "gold", "seconds"])
    panels, everything = [], []
    for name, reference in (("forget", evidence.reference), ("utility", "target")):
        panel, found = _cost_panel(evidence, name, reference, seconds, anew)
        panels.append(panel)
        everything += found
    idle = [recipe for recipe in evidence.unlearned if not _spent(evidence, recipe, seconds)]
    caption = [
        f"Time of the unlearning (on {listed(sorted(set(whole['device'])))}) against its effect:",
        AIM[evidence.reference],
        "The upright line is the time that training anew without the clips takes (gold, mean)." if anew else "",
        SIGNS,
        counts(everything),
        f"No steps, so no cost, and not drawn: {listed(idle, shown=SHOWN)}." if idle else "",
        left_out(evidence, everything),
    ]
    return figure_of(evidence, "cost", "Cost against effect", caption, panels, 2, (3.9, 3.3), everything)


def _nearest(pairs):
    """In words, which recipe is nearest to gold on forget, and which on utility."""
    said = []
    for side, name in enumerate(("forget", "utility")):
        gaps = [pair[side] for recipe, pair in pairs.items() if recipe not in ("target", "gold") and pair[side].known]
        if len(gaps) > 1:
            best = min(gaps, key=lambda estimate: abs(estimate.gap))
            interval = "".join(f" [{low:.2f}, {high:.2f}]" for low, high in best.interval(best.middle))
            said.append(f"on {name} {best.recipe} ({best.gap:+.2f}{interval})")
    return f"Nearest to gold: {', '.join(said)}." if said else ""


def _band_words(evidence, band):
    n = len(evidence.models("gold", "forget", NLL))
    if band:
        return f"The box is the range of the {n} gold models: what perfect models differ by."
    return "There is one gold model: how far two perfect models are apart is not known." if n else ""


def _gold_box(evidence):
    """The range of the gold models about their mean, on both sets; nothing for one gold model."""
    sides = []
    for name in ("forget", "utility"):
        values = [row.value for row in evidence.models("gold", name, NLL)]
        if len(values) < 2:
            return []
        sides.append((min(values) - np.mean(values), max(values) - np.mean(values)))
    return [Guide("range of the gold models", *sides, recipe="gold")]


def _crosses(recipe, across, up):
    """Series of one recipe in the plane of two gaps."""
    series = []
    if np.isfinite(across.gap) and np.isfinite(up.gap):
        words = f"{recipe}: forget {across.words(across.middle)}; utility {up.words(up.middle)}"
        intervals = across.interval(across.middle), up.interval(up.middle)
        hollow = (not (across.sound and up.sound),)
        series.append(Series(recipe, "mean", (across.gap,), (up.gap,), (words,), *intervals, hollow))
    above = {row.model: row.value - up.middle for row in up.models}
    places = [(row.model, row.value - across.middle, above.get(row.model, np.nan)) for row in across.models]
    places = [place for place in places if np.isfinite(place[1:]).all()]
    if places:
        words = tuple(f"{model}: forget {x:.4g}, utility {y:.4g}" for model, x, y in places)
        series.append(Series(recipe, "model", *list(zip(*places))[1:], words))
    return series


def _cost_panel(evidence, name, reference, seconds, anew):
    """(panel, estimates) of one set: its NLL less the reference's over the seconds of each recipe."""
    found = [evidence.estimate(recipe, name, NLL, reference) for recipe in evidence.unlearned]
    series = [
        one for estimate in found for one in _priced(estimate, _spent(evidence, estimate.recipe, seconds), seconds)
    ]
    target = evidence.estimate("target", name, NLL, reference)
    guides = [Guide(reference, y=(0, 0), recipe=reference)]
    if reference != "target" and np.isfinite(target.gap):
        guides.append(Guide("target", y=(target.gap, target.gap), recipe="target"))
    if anew:
        guides.append(Guide("training anew", x=(float(np.mean(anew)),) * 2))
    places = [place for one in series for place in one.x] + anew
    limits = (min(places) / 1.4, max(places) * 1.4) if places else None
    x = Axis("seconds of a model", log=True, ticks=_log_ticks(places), limits=limits)
    y = Axis(f"NLL on {name} less {reference}'s, {NATS}")
    note = in_words(found) or ("" if series else no_steps(evidence))
    return Panel(f"{name} gap", x, y, tuple(series), tuple(guides) if series else (), note), found


def _priced(estimate, spent, seconds):
    """Series of one recipe: its gap over its seconds."""
    series = []
    if np.isfinite(estimate.gap) and spent:
        mean = float(np.mean(spent))
        words = (f"{estimate.recipe}: {mean:.3g} s, {estimate.words(estimate.middle)}",)
        bars = estimate.interval(estimate.middle)
        series.append(Series(estimate.recipe, "mean", (mean,), (estimate.gap,), words, (), bars, (not estimate.sound,)))
    places = [(row.model, seconds.get(row.model, np.nan), row.value - estimate.middle) for row in estimate.models]
    places = [place for place in places if np.isfinite(place[1:]).all()]
    if places:
        words = tuple(f"{model}: {x:.3g} s, {y:.4g}" for model, x, y in places)
        series.append(Series(estimate.recipe, "model", *list(zip(*places))[1:], words))
    return series


def _spent(evidence, recipe, seconds):
    """Seconds of each of a recipe's models that took steps."""
    models = evidence.cost.loc[evidence.cost["recipe"] == recipe, "model"]
    return [seconds[model] for model in models if model in seconds]


def _log_ticks(places):
    """Ticks at 1, 2 and 5 times powers of ten around some places."""
    if not places:
        return ()
    low, high = min(places) / 2, max(places) * 2
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps = (1, 2, 5) if len(powers) < 5 else (1,)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return tuple((tick, f"{tick:g}") for tick in ticks if low <= tick <= high)
