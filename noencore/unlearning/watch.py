"""The look at dev clips during a run: the curve, when to stop, whether the run has diverged, which weights to keep."""

import math
from dataclasses import dataclass, field

import torch

from noencore.training import mean_nll

DIVERGED = 3.0  # times ln card: an NLL on dev that only a broken model has


@dataclass
class Watch:
    """One run's looks. recipe: recipes.Recipe; scope: scopes.Scope of the model; dev: dict set -> Clips.

    start: the target's weights (Scope.copy) where the result is their negation (task_vector): then the negated model is
    what is looked at. status: ok, stopped or diverged, at `step`; kept: weights (Scope.copy) of step `picked`.
    """

    recipe: object
    model: torch.nn.Module
    scope: object
    dev: dict
    start: dict | None = None
    points: list = field(default_factory=list)  # (step, dict set -> per-clip NLL [N], nats a token)
    kept: dict = field(default_factory=dict)
    picked: int = 0
    status: str = "ok"
    step: int = 0

    def look(self, step):
        """Score dev and decide; returns whether the run goes on."""
        self.step = step
        weights = self.scope.copy()
        if self.start is not None:
            self.negate()
        values = {name: mean_nll(self.model, clips) for name, clips in self.dev.items()}
        if self.start is not None:
            self.scope.load(weights)
        self.points.append((step, values))
        means = self._means(-1)
        if not all(nll <= DIVERGED * math.log(self.model.config.card) for nll in means.values()):  # nan is not <=
            return self.end("diverged", step)
        stop = self._stops(means)
        if stop != "refuse" and self._is_better(means):
            self.kept, self.picked = weights, step
        return True if stop is None else self.end("stopped", step)

    def end(self, status, step):
        self.status, self.step = status, step
        return False

    def finish(self):
        """Leave the model with the weights that were kept, as an ordinary model."""
        if self.kept:
            self.scope.load(self.kept)
        if self.start is not None:
            self.negate()
        self.scope.merge()

    def negate(self):
        self.scope.negate(self.start, self.recipe.forget.parameters["scale"])

    def _means(self, point):
        return {name: float(nll.mean()) for name, nll in self.points[point][1].items()}

    def _stops(self, means):
        """None, or "take" or "refuse" where the run stops: whether this point counts."""
        if self.recipe.stop is None:
            return None
        metric, bound, first = self.recipe.stop.metric, self.recipe.stop.bound, self._means(0)
        if metric.endswith("_rise"):
            name = metric.removesuffix("_rise")
            return "refuse" if means[name] > (1 + bound) * first[name] else None
        if metric == "forget_nll":
            return "take" if means["forget"] >= bound else None
        return "take" if means["holdout"] - means["forget"] <= bound else None

    def _is_better(self, means):
        """Whether a point replaces the one kept so far."""
        if self.recipe.pick == "last" or not self.kept:
            return True
        kept = self._means([step for step, _ in self.points].index(self.picked))
        return abs(means["forget"] - means["holdout"]) <= abs(kept["forget"] - kept["holdout"])

    def notes(self):
        """What a checkpoint keeps beside `kept`, as json."""
        values = [(step, {name: nll.tolist() for name, nll in of_set.items()}) for step, of_set in self.points]
        return {"points": values, "picked": self.picked}

    def resume(self, notes, kept):
        self.points = [
            (step, {name: torch.tensor(nll, dtype=torch.float32) for name, nll in of_set.items()})
            for step, of_set in notes["points"]
        ]
        self.picked, self.kept = notes["picked"], kept
