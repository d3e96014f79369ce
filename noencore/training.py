"""Training target and gold: next-token prediction on all codebooks, as MusicGen is trained.

Deviations from audiocraft's solver: AdamW for every size, no EMA, no word dropout; the coin that hides the captions of
a batch (classifier-free guidance) is a function of seed and step.
"""

import math
import os
import re
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from noencore.checkpoints import Checkpoint
from noencore.errors import UserError
from noencore.musicgen.loss import set_nll, token_nll
from noencore.scopes import SCOPES
from noencore.split import SETS, clip_ids
from noencore.tokens import load_clips

CARD = Path("/dev/nvidia0")


@dataclass(frozen=True)
class TrainingRecipe:
    """How target and gold are trained.

    p_uncond: share of batches without captions (MusicGen: 0.3). checkpoint_activations: see `MusicGenLM`. scope: dict
    name (a key of `SCOPES` that needs no forget gradient) and its parameters.
    """

    steps: int
    batch: int
    lr: float
    warmup: float
    weight_decay: float
    p_uncond: float
    checkpoint_activations: bool = False
    scope: dict = field(default_factory=lambda: {"name": "all"})


@dataclass
class Cost:
    """What a job spent. tokens: codebook tokens of training clips; peak_memory_mb: the GPU's, else the process's."""

    seconds: float
    steps: int
    tokens: int
    peak_memory_mb: float
    device: str


def pick_device():
    """cuda if there is one, else cpu.

    Raises UserError where there is a card that PyTorch cannot use: on a CPU hours would be weeks.
    """
    if torch.cuda.is_available():
        return "cuda"
    if CARD.exists() and re.match(r"\d|GPU-|MIG-", os.getenv("CUDA_VISIBLE_DEVICES", "0")):
        raise UserError(
            f"{CARD}: a card that PyTorch cannot use; update its driver (for CUDA {torch.version.cuda}), or set "
            "CUDA_VISIBLE_DEVICES= (to nothing) to run on the CPU"
        )
    return "cpu"


def autocast(device, enabled=None):
    """Matrix products in bf16 and the rest in fp32: by default on a GPU, and nowhere else. Weights stay fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" if enabled is None else enabled)


def require_fp32(model):
    """Raise UserError where a model that is to be trained has weights of less precision."""
    for name, parameter in model.named_parameters():
        if parameter.dtype != torch.float32:
            raise UserError(
                f"model: {name} is {parameter.dtype}, and training needs torch.float32: in half precision most updates "
                "are smaller than a weight's last digit and get lost, and bf16 merges positions beyond 256; use "
                "model.float() (a GPU computes in bf16 by itself)"
            )


def batch_indices(size, batch, step, seed):
    """Positions of the clips of one step: every epoch a new order, the last batch of an epoch may be short."""
    per_epoch = math.ceil(size / batch)
    order = np.random.default_rng([seed, 1, step // per_epoch]).permutation(size)
    return order[step % per_epoch * batch :][:batch]


def learning_rate(step, steps, peak, warmup):
    """Linear warm-up over a share of the steps, then a cosine to zero."""
    warm = max(1, round(warmup * steps))
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def without_captions(clips):
    """The same clips with every caption hidden: the null condition."""
    clips.text_mask = torch.zeros_like(clips.text_mask)
    return clips


def adapter_seed(seed):
    """The seed that adapters of a training are drawn from, by its own: not that of any unlearning.

    A recipe whose adapters were drawn alike would move in the very directions in which the target was trained, and
    with the one seed alone that they share.
    """
    return int(np.random.default_rng([seed, 7]).integers(2**63))


def train_model(model, clips, recipe, seed, checkpoint_path, progress=iter):
    """Train `model` (untrained or a released one) on all of `clips` (a tokens.Clips), in place; returns (model in eval
    mode, Cost).

    seed: of the order of clips, of hidden captions and of adapters. Resumes from `checkpoint_path` where an earlier run
    left one. On a GPU the loss is computed under bf16 autocast. Raises UserError where the loss leaves the finite
    numbers.
    """
    require_fp32(model)
    device = torch.device(pick_device())
    model = model.to(device)
    model.checkpoint_activations = recipe.checkpoint_activations
    parameters = dict(recipe.scope)
    scope = SCOPES[parameters.pop("name")](model, None, adapter_seed(seed), **parameters)
    weights = list(scope.weights.values())
    optimizer = torch.optim.AdamW(
        weights, lr=recipe.lr, betas=(0.9, 0.95), weight_decay=recipe.weight_decay, fused=True
    )
    checkpoint = Checkpoint(checkpoint_path, model, optimizer)
    done, notes = checkpoint.resume()
    seen, spent, started = notes.get("tokens", 0), notes.get("seconds", 0.0), time.monotonic()
    for step in progress(range(done, recipe.steps)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe.steps, recipe.lr, recipe.warmup)
        batch = clips.take(batch_indices(len(clips), recipe.batch, step, seed)).to(device)
        if np.random.default_rng([seed, 2, step]).random() < recipe.p_uncond:
            batch = without_captions(batch)
        with autocast(device):
            loss = set_nll(*token_nll(model, batch.codes, batch.text, batch.text_mask)).mean()
        if not torch.isfinite(loss):
            raise UserError(f"config: training.lr: the loss is {loss.item()} at step {step}; lower it")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        seen += batch.codes.numel()
        checkpoint.save(step + 1, {"tokens": seen, "seconds": spent + time.monotonic() - started})
    checkpoint.remove()
    scope.merge()
    seconds = spent + time.monotonic() - started
    return model.eval(), Cost(seconds, recipe.steps, seen, peak_memory_mb(device.type), device.type)


def peak_memory_mb(device):
    """The most memory that this process has held so far: the GPU's where the device is "cuda", else its own."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


@torch.inference_mode()
def mean_nll(model, clips, batch=32):
    """Per-clip NLL with captions, [N] float32 on the CPU, in nats a token (mean of codebook means)."""
    device = next(model.parameters()).device
    values = []
    for first in range(0, len(clips), batch):
        part = clips.take(range(first, min(first + batch, len(clips)))).to(device)
        with autocast(device):
            values.append(set_nll(*token_nll(model, part.codes, part.text, part.text_mask)).cpu())
    return torch.cat(values)


def load_dev(shards, split):
    """The dev clips of every set, on which curves are drawn: dict set -> Clips."""
    return {name: load_clips(shards, clip_ids(split, [name], ["dev"])) for name in SETS}


def dev_frames(points, dev):
    """Frames of step, set, nll, n (the curve) and of step, set, clip_id, nll, from looks at dev (dict set -> Clips).

    points: list of (step, dict set -> per-clip NLL [N]).
    """
    curve, clips = [], []
    for step, values in points:
        for name, nll in values.items():
            curve.append({"step": step, "set": name, "nll": float(nll.mean()), "n": len(nll)})
            rows = zip(dev[name].ids, nll.tolist(), strict=True)
            clips += [{"step": step, "set": name, "clip_id": clip, "nll": value} for clip, value in rows]
    return pd.DataFrame(curve), pd.DataFrame(clips)
