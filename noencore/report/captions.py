"""Sentences that the captions of figures share."""

from noencore.report.phrases import listed

SHOWN = 4  # names that a list in a caption has before it is cut


def counts(estimates):
    """How many clips and works are behind estimates, by set."""
    ranges = {}
    for estimate in estimates:
        if estimate.known:
            ranges.setdefault(estimate.set, []).append((estimate.n, estimate.n_works))
    said = []
    for name, found in ranges.items():
        clips, works = (_span([pair[part] for pair in found if pair[part]]) for part in (0, 1))
        said.append(f"{name} {clips} clips" + (f" of {works} works" if works else ""))
    return f"Test clips: {', '.join(said)}." if said else ""


def in_words(estimates):
    """Why numbers are missing, or what they suffer from: each status once, with its recipes unless all have it."""
    by_status = {}
    for estimate in estimates:
        if not estimate.sound:
            by_status.setdefault(estimate.status, []).append(estimate.recipe)
    n_recipes = len({estimate.recipe for estimate in estimates})
    said = []
    for status, recipes in by_status.items():
        recipes = list(dict.fromkeys(recipes))
        said.append(status if len(recipes) == n_recipes else f"{listed(recipes, shown=SHOWN)}: {status}")
    more = f"; and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return "; ".join(said[:SHOWN]) + more


def left_out(evidence, estimates):
    """What is not drawn, or drawn hollow."""
    said = []
    if evidence.diverged:
        broken = [f"{model} (at step {step})" for model, step in evidence.diverged.items()]
        said.append(f"Diverged and not drawn: {', '.join(broken)}.")
    missing = list(dict.fromkeys(one.recipe for one in estimates if not one.known))
    if missing:
        said.append(f"Without some number: {listed(missing, shown=SHOWN)}.")
    if any(one.known and not one.sound for one in estimates):
        said.append("Hollow signs are numbers to be read with the caution that their panel names.")
    return " ".join(said)


def no_steps(evidence):
    """Why there is no recipe to draw that took steps."""
    return "all recipes that take steps diverged" if evidence.diverged else "no recipe takes steps"


def _span(numbers):
    """`12`, or `10 to 12`."""
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
