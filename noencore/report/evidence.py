"""What figures look up in the tables of a run: one recipe's value of a metric on a set, beside a reference."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from noencore.report.parts import Figure

TABLE_COLUMNS = ["set", "metric", "recipe", "value", "low", "high", "reference", "n", "n_works", "seeds", "status"]


@dataclass(frozen=True)
class Estimate:
    """One recipe's value of a metric on a set.

    value: mean over the recipe's models, NaN unless all have one (the rest would be a selection). low, high: the
    95 % interval of its difference from the reference, drawn around the value; NaN where they were not compared.
    middle: the reference's value. models: rows of metrics.csv, as named tuples. status: ok, or why there is no number
    or what it suffers from. compared: whether the metric is one that models are compared by.
    """

    recipe: str
    set: str
    metric: str
    reference: str
    value: float
    low: float
    high: float
    middle: float
    models: tuple
    n: int
    n_works: int
    status: str
    compared: bool

    @property
    def known(self):
        return bool(np.isfinite(self.value))

    @property
    def n_seeds(self):
        return len(self.models)

    @property
    def sound(self):
        return self.status == "ok"

    @property
    def gap(self):
        return self.value - self.middle

    def interval(self, minus=0.0):
        """((low, high),) less a number, as a series of one point has it: empty where there is none."""
        return ((self.low - minus, self.high - minus),) if np.isfinite(self.low) else ()

    def words(self, minus=0.0):
        """The number less another one, with its interval and what it rests on."""
        interval = "".join(f" [{low:.4g}, {high:.4g}]" for low, high in self.interval(minus))
        works = f" of {self.n_works} works" if self.n_works else ""
        seeds = "" if self.n_seeds == 1 else f", {self.n_seeds} models"
        return f"{self.value - minus:.4g}{interval}, {self.n} clips{works}{seeds}"

    def row(self):
        """A row of TABLE_COLUMNS."""
        interval = f"to {self.reference}" if np.isfinite(self.low) else ""
        numbers = (self.value, self.low, self.high, interval, self.n, self.n_works, self.n_seeds)
        return dict(zip(TABLE_COLUMNS, (self.set, self.metric, self.recipe, *numbers, self.status), strict=True))


@dataclass(frozen=True)
class Evidence:
    """The frames of metrics.csv, comparisons.csv, curves.csv and cost.csv, and how many wrong captions each clip was
    scored under."""

    metrics: pd.DataFrame
    comparisons: pd.DataFrame
    curves: pd.DataFrame
    cost: pd.DataFrame
    wrong_captions: int

    @cached_property
    def diverged(self):
        """dict model -> step, of those whose training broke down."""
        if "status" not in self.cost:
            return {}
        broken = self.cost[self.cost["status"] == "diverged"]
        return {model: int(step) for model, step in zip(broken["model"], broken["steps"])}

    @cached_property
    def recipes(self):
        """All with a model that has not diverged, in the order of the tables."""
        whole = self.cost[~self.cost["model"].isin(list(self.diverged))]
        return tuple(whole["recipe"].unique())

    @cached_property
    def unlearned(self):
        return tuple(recipe for recipe in self.recipes if recipe not in ("target", "gold"))

    @cached_property
    def reference(self):
        """What forgetting is measured against: gold, and the target where there is none."""
        return "gold" if "gold" in self.recipes else "target"

    @cached_property
    def _rows(self):
        rows = {}
        for row in self.metrics.itertuples():
            rows.setdefault((row.recipe, row.set, row.metric), []).append(row)
        return rows

    @cached_property
    def _compared(self):
        return {(row.recipe, row.reference, row.set, row.metric): row for row in self.comparisons.itertuples()}

    @cached_property
    def _compared_metrics(self):
        return set(self.comparisons["metric"])

    def models(self, recipe, set_name, metric):
        """Rows of metrics.csv of a recipe's models that have a value."""
        rows = self._rows.get((recipe, set_name, metric), [])
        return [row for row in rows if np.isfinite(row.value)]

    def mean(self, recipe, set_name, metric):
        """Mean over a recipe's models; NaN unless all have a value."""
        values = [row.value for row in self._rows.get((recipe, set_name, metric), [])]
        return float(np.mean(values)) if values else np.nan

    def estimate(self, recipe, set_name, metric, reference="target"):
        """An `Estimate`, with the interval of the paired difference from the reference where there is one."""
        models = self._rows.get((recipe, set_name, metric), [])
        value, low, high = self.mean(recipe, set_name, metric), np.nan, np.nan
        middle, status = self.mean(reference, set_name, metric), self.status_of(models, set_name, metric)
        n, n_works = (_whole(getattr(models[0], name)) if models else 0 for name in ("n", "n_works"))
        if (recipe, reference) == ("target", "gold"):
            row, sign = self._compared.get(("gold", "target", set_name, metric)), -1
        else:
            row, sign = self._compared.get((recipe, reference, set_name, metric)), 1
        if row is not None and row.status == "ok":
            sides = (row.recipe_mean, row.reference_mean)[::sign]
            value, middle = sides
            low, high = sorted((middle + sign * row.ci_low, middle + sign * row.ci_high))
            n, n_works = _whole(row.n), _whole(row.n_works)
        elif row is not None and status == "ok":
            status = row.status
        compared = metric in self._compared_metrics
        numbers = (value, low, high, middle, tuple(models), n, n_works, status, compared)
        return Estimate(recipe, set_name, metric, reference, *numbers)

    def status_of(self, models, set_name, metric):
        """ok, or what is to be said of the numbers of some models, each status once."""
        if not models:
            return f"{metric} was not measured on {set_name}"
        return "; ".join(dict.fromkeys(row.status for row in models if row.status != "ok")) or "ok"


def numbers_table(estimates):
    """The frame under a figure: a row an estimate."""
    return pd.DataFrame([estimate.row() for estimate in estimates], columns=TABLE_COLUMNS)


def figure_of(evidence, name, title, caption, panels, columns, size, estimates, legend=True):
    """A `Figure` of estimates. caption: its pieces, some of which may be empty."""
    caption = " ".join(filter(None, caption))
    table = numbers_table(estimates)
    return Figure(name, title, caption, tuple(panels), columns, size, evidence.recipes, table, legend)


def _whole(number):
    return 0 if pd.isna(number) else int(number)
