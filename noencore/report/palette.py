"""One sign a recipe, the same in every figure: a colour and a marker."""

from dataclasses import dataclass

# Each has a contrast of 3 : 1 at least on white and on #16181d. Within these they are as far apart as a search found,
# also for readers without red, green or blue cones (CIE76 on simulations after Machado et al. 2009: 18 at least).
COLOURS = ("#6987ff", "#b45a2d", "#2d785a", "#b41ec3", "#e1005a", "#783cff", "#875a96")
MARKERS = {  # matplotlib's: plotly's. One more than colours, so that 56 recipes have a sign of their own
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "<": "triangle-left",
    ">": "triangle-right",
}
NEUTRAL = "#808080"  # of lines that belong to no recipe, on either background


@dataclass(frozen=True)
class Style:
    """colour: "#rrggbb"; marker: matplotlib's; symbol: plotly's name for the same."""

    colour: str
    marker: str
    symbol: str


FIXED = {"target": Style("#7d8590", "D", "diamond"), "gold": Style("#b08500", "*", "star")}


def style_of(recipes):
    """dict recipe -> Style of recipes in the order of the tables. target and gold have the same ones in every run."""
    others = [recipe for recipe in dict.fromkeys(recipes) if recipe not in FIXED]
    signs = list(MARKERS.items())
    styles = {
        recipe: Style(COLOURS[number % len(COLOURS)], *signs[number % len(signs)])
        for number, recipe in enumerate(others)
    }
    return {recipe: FIXED[recipe] for recipe in dict.fromkeys(recipes) if recipe in FIXED} | styles
