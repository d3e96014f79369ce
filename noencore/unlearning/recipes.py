"""A recipe, and its run: steps on the forget clips from the target's weights."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from noencore.errors import UserError
from noencore.training import batch_indices, dev_curve, learning_rate, pick_device, run_steps
from noencore.unlearning.objectives import FORGET_LOSSES

CURVE_POINTS = 5


@dataclass(frozen=True)
class Recipe:
    """One entry of `recipes` in the config.

    forget: a name in FORGET_LOSSES, or "none" for a control without a step. AdamW at `lr` (5 % warm-up, cosine to zero,
    no weight decay, gradients clipped to norm 1) for `steps` batches of `batch` forget clips.
    """

    name: str
    forget: str
    steps: int = 0
    batch: int = 16
    lr: float = 0.0


def unlearn(model, recipe, forget, remain, dev, seed, checkpoint_path, progress=iter):
    """Run a recipe; returns (model in eval mode, curve frame, Cost).

    forget: all clips to unlearn. remain: clips that a recipe may rehearse on. dev: dict set -> Clips for the curve
    (columns step, set, nll, n; CURVE_POINTS + 1 points), which never sees a test clip. The model is changed in place.
    Resumes from `checkpoint_path`. Raises UserError where the loss leaves the finite numbers.
    """
    device = pick_device()
    model = model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=0.0, fused=True)
    steps = recipe.steps if recipe.forget != "none" else 0
    paired = np.random.default_rng([seed, 3]).integers(len(remain), size=len(forget))
    points = {round(steps * point / CURVE_POINTS) for point in range(CURVE_POINTS + 1)}

    def loss(step):
        index = batch_indices(len(forget), recipe.batch, step, seed)
        batch, partners = forget.take(index).to(device), remain.take(paired[index]).to(device)
        value = FORGET_LOSSES[recipe.forget](model, batch, partners, seed * 1_000_003 + step)
        return value, batch.codes.numel()

    def rate(step):
        return learning_rate(step, steps, recipe.lr, warmup=0.05)

    def observe(step):
        return dev_curve(model, step, dev) if step in points else None

    try:
        cost, kept = run_steps(model, optimizer, loss, rate, steps, checkpoint_path, observe, progress)
    except FloatingPointError as error:
        raise UserError(f"config: recipes.{recipe.name}.lr: {error}; lower it") from None
    return model.eval(), pd.DataFrame([row for point in kept for row in point]), cost
