"""The run of a recipe: steps from the target's weights, and the weights to keep.

Training has its own loop (training.train_model): this one weighs two losses, splits batches, holds weights back, stops
early, and survives a loss that leaves the finite numbers.
"""

import math
import time
from dataclasses import dataclass

import pandas as pd
import torch

from noencore.checkpoints import Checkpoint
from noencore.errors import UserError
from noencore.scopes import SCOPES
from noencore.training import (
    Cost,
    autocast,
    dev_frames,
    learning_rate,
    peak_memory_mb,
    pick_device,
    require_fp32,
)
from noencore.unlearning.batches import Batches
from noencore.unlearning.objectives import FORGET_LOSSES, REMAIN_LOSSES
from noencore.unlearning.watch import Watch

BLOWN_UP = 1e4  # a step's loss, in absolute value


@dataclass
class Result:
    """What a run made.

    status: ok, stopped (early) or diverged, after `cost.steps` steps; the model is that of step `picked`.
    curve: frame of step, set, nll, n; dev: the same clip by clip, step, set, clip_id, nll.
    """

    model: torch.nn.Module
    curve: pd.DataFrame
    dev: pd.DataFrame
    cost: Cost
    status: str
    picked: int


def unlearn(model, recipe, forget, remain, dev, seed, checkpoint_path, reference=None, progress=iter):
    """Run a recipe; returns a Result with the model in eval mode, changed in place.

    forget: all clips to unlearn. remain: clips that a recipe may rehearse on. dev: dict set -> Clips for the curve,
    which never sees a test clip. reference: dict kind -> values of the target (reference.py) of what the recipe reads.
    Resumes from `checkpoint_path`. Raises UserError where the recipe cannot start.
    """
    require_fp32(model)
    device = pick_device()
    model = model.to(device)
    batches = Batches(recipe, forget, remain, reference or {}, seed, model.config.card)
    _check_start(recipe, batches)
    scope, optimizer = prepare(model, recipe, batches)
    watch = Watch(recipe, model, scope, dev, scope.copy() if recipe.forget.name == "task_vector" else None)
    dual = recipe.remain.parameters.get("start", 1.0)  # weighs the remain loss; moves under `constraint` alone
    checkpoint = Checkpoint(checkpoint_path, model, optimizer)
    done, notes = checkpoint.resume()
    if notes:
        watch.resume(notes["watch"], checkpoint.extra)
        dual = notes["dual"]
    seen, spent, started = notes.get("tokens", 0), notes.get("seconds", 0.0), time.monotonic()
    steps = recipe.total_steps(len(forget))
    points = {round(steps * point / recipe.points) for point in range(recipe.points + 1)}
    for step in progress(range(done, steps)):
        if step in points and not watch.look(step):
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, recipe.lr, recipe.warmup)
        batch = batches.at(step)
        losses = take_step(model, recipe, batch.to(device), scope, optimizer, dual)
        if losses is None:
            watch.end("diverged", step)
            break
        dual = next_dual(recipe, dual, losses)
        seen += sum(clips.codes.numel() for clips in (batch.forget, batch.remain) if clips is not None)
        notes = {"tokens": seen, "seconds": spent + time.monotonic() - started, "dual": dual, "watch": watch.notes()}
        checkpoint.save(step + 1, notes, extra=watch.kept)
    if watch.status == "ok":
        watch.look(steps)
    watch.finish()
    checkpoint.remove()
    seconds = spent + time.monotonic() - started
    cost = Cost(seconds, watch.step, seen, peak_memory_mb(device), device)
    return Result(model.eval(), *dev_frames(watch.points, dev), cost, watch.status, watch.picked)


def prepare(model, recipe, batches):
    """(Scope, optimizer) of a recipe on the model that it starts from."""
    scope = SCOPES[recipe.scope.name](
        model, lambda: _forget_gradient(model, recipe, batches), batches.seed, **recipe.scope.parameters
    )
    return scope, torch.optim.AdamW(scope.weights.values(), lr=recipe.lr, weight_decay=0.0, fused=True)


def take_step(model, recipe, batch, scope, optimizer, dual=1.0):
    """One optimizer step on a Batch; returns dict forget, remain -> mean loss, or None and no step where it blew up.

    `recipe.accumulate` micro-batches give the gradient of the whole batch, of gamma * forget + alpha * dual * remain.
    """
    optimizer.zero_grad()
    losses = backward(model, recipe, batch, dual)
    scope.after_backward()
    norm = torch.nn.utils.clip_grad_norm_(scope.weights.values(), recipe.clip)
    if not (all(abs(loss) <= BLOWN_UP for loss in losses.values()) and torch.isfinite(norm)):  # nan is not <=
        return None
    optimizer.step()
    scope.after_step()
    return losses


def backward(model, recipe, batch, dual=1.0):
    """Add the gradient of a recipe's loss on a Batch; returns dict forget, remain -> mean loss.

    Each loss has its own backward pass, so that the activations of one are in memory at a time.
    """
    terms = (
        ("forget", FORGET_LOSSES.get(recipe.forget.name), recipe.gamma),
        ("remain", REMAIN_LOSSES.get(recipe.remain.name), recipe.alpha * dual),
    )
    losses = {}
    for part in batch.split(recipe.accumulate):
        for term, loss, weight in terms:
            if loss is None or not len(getattr(part, term)):
                continue
            with autocast(part.forget.codes.device):
                clips = loss(model, part, **getattr(recipe, term).parameters)
            mean = clips.sum() / len(getattr(batch, term))
            (weight * mean).backward()
            losses[term] = losses.get(term, 0.0) + mean.item()
    return losses


def next_dual(recipe, dual, losses):
    """The dual variable after a step: it rises while remain is above its bound, and falls to 0 below (PDU)."""
    if recipe.remain.name != "constraint":
        return dual
    return max(0.0, dual + recipe.remain.parameters["rate"] * losses["remain"])


def _forget_gradient(model, recipe, batches):
    """Leave the gradient of the mean forget loss, over one pass over the forget clips, in the weights' .grad."""
    loss, device = FORGET_LOSSES[recipe.forget.name], next(model.parameters()).device
    for step in range(math.ceil(len(batches.forget) / recipe.batch)):
        for part in batches.at(step).split(recipe.accumulate):
            part = part.to(device)
            with autocast(part.forget.codes.device):
                clips = loss(model, part, **recipe.forget.parameters)
            (clips.sum() / len(batches.forget)).backward()


def _check_start(recipe, batches):
    """Refuse what only the clips and the target's values can tell."""
    where = f"config: recipes.{recipe.name}"
    if recipe.forget.name == "simnpo":
        start = float(batches.at(0).forget_values["start"].min())
        if start + recipe.forget.parameters["margin"] < 0:
            raise UserError(f"{where}.forget.margin: delta would be below 0; raise it above {-start:.3g}")
    frames = batches.forget.codes.shape[2] - batches.forget.codes.shape[1] + 1
    if recipe.forget.name == "ce_u" and recipe.forget.parameters["skip"] >= frames:
        raise UserError(f"{where}.forget.skip: leaves nothing of clips of {frames} scored frames; lower it")
