"""What a figure is made of, before anything draws it: numbers, places and words, no colours and no pixels."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Axis:
    """label: with its unit. ticks: (place, text), where they are not the renderer's own. limits: (low, high)."""

    label: str
    log: bool = False
    ticks: tuple = ()
    limits: tuple | None = None


@dataclass(frozen=True)
class Series:
    """Points of one recipe. kind: "mean" (of a recipe's models), "model" (single ones) or "line".

    x, y: one number a point. words: what a pointer on each is told, or none. x_interval, y_interval: (low, high) a
    point, empty where there is none. hollow: one truth a point, whether its number is to be read with a caution.
    """

    recipe: str
    kind: str
    x: tuple
    y: tuple
    words: tuple
    x_interval: tuple = ()
    y_interval: tuple = ()
    hollow: tuple = ()


@dataclass(frozen=True)
class Guide:
    """A line (low = high) or a band across a panel, or a box where it has both x and y. recipe: whose colour it has."""

    label: str
    x: tuple | None = None
    y: tuple | None = None
    recipe: str | None = None


@dataclass(frozen=True)
class Panel:
    """note: what is to be known of this panel; where nothing is drawn, why."""

    title: str
    x: Axis
    y: Axis
    series: tuple = ()
    guides: tuple = ()
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """panels: row by row, `columns` in a row. size: (width, height) of a panel in inches. legend: whether recipes are
    told by it, else by the ticks of the panels. caption: plain text. table: the numbers that are drawn."""

    name: str
    title: str
    caption: str
    panels: tuple
    columns: int
    size: tuple
    recipes: tuple
    table: pd.DataFrame
    legend: bool = True

    def drawn(self):
        """Recipes that have a sign somewhere."""
        there = {series.recipe for panel in self.panels for series in panel.series}
        return [recipe for recipe in self.recipes if recipe in there]

    def named_guides(self):
        """Guides for the legend: each label once, without those that stand there as recipes."""
        guides = {guide.label: guide for panel in self.panels for guide in panel.guides}
        return [guide for label, guide in guides.items() if not (self.legend and label in self.drawn())]
