"""Which weights a recipe may move. Each scope is a function (model, forget_gradient, seed, parameters) -> Scope.

A scope freezes what it does not move, so that no gradient is made or kept for it. docs/methods.md has sources.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.utils import parametrize

MATRICES = (  # of a layer
    *("self_attn.in_proj_weight", "self_attn.out_proj.weight"),
    *("cross_attention.in_proj_weight", "cross_attention.out_proj.weight"),
    *("linear1.weight", "linear2.weight"),
)


@dataclass
class Scope:
    """The weights in training, by name, and what has to happen to them after a step and at the end."""

    weights: dict
    adapted: list = field(default_factory=list)  # (module, name of its weight) with a LowRank adapter
    masks: dict = field(default_factory=dict)  # name -> bool of the weight's shape: what may move
    held: dict = field(default_factory=dict)  # name -> values of the others at the start, flat

    def after_backward(self):
        """Take the gradient of held values off, so that it neither counts for clipping nor moves AdamW's moments."""
        for name, mask in self.masks.items():
            if self.weights[name].grad is not None:
                self.weights[name].grad *= mask

    @torch.no_grad()
    def after_step(self):
        """Put held values back, bit by bit: an optimizer moves them without a gradient too (decay, momentum)."""
        for name, mask in self.masks.items():
            self.weights[name][~mask] = self.held[name]

    def copy(self):
        """The weights in training as they are: dict name -> tensor on the CPU."""
        return {name: weight.detach().to("cpu", copy=True) for name, weight in self.weights.items()}

    @torch.no_grad()
    def load(self, values):
        """Set the weights in training to what `copy` returned."""
        for name, weight in self.weights.items():
            weight.copy_(values[name])

    @torch.no_grad()
    def negate(self, start, scale):
        """Move the model to start - scale (now - start); start is a `copy`. Adapters: B is all of the way there."""
        for name, weight in self.weights.items():
            if not self.adapted:
                weight.copy_(torch.lerp(start[name].to(weight), weight, -scale))
            elif name.endswith(".b"):
                weight.mul_(-scale)

    def merge(self):
        """Make the model an ordinary one again: adapters go into the weights that they adapt."""
        for module, name in self.adapted:
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)
        self.adapted = []


class LowRank(nn.Module):
    """W -> W + scale B A: B [out, rank] is zero at the start, A [rank, in] drawn as PyTorch draws a linear layer."""

    def __init__(self, weight, rank, scale, generator):
        super().__init__()
        bound = 1 / math.sqrt(weight.shape[1])
        drawn = torch.empty(rank, weight.shape[1]).uniform_(-bound, bound, generator=generator)
        self.scale = scale
        self.a = nn.Parameter(drawn.to(weight))
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank, dtype=weight.dtype, device=weight.device))

    def forward(self, weight):
        # Not in a step's bf16: what is less than W's last digit there would be nothing until it is merged.
        device = "cpu" if weight.is_meta else weight.device.type  # without memory there is no autocast
        with torch.autocast(device, enabled=False):
            return torch.addmm(weight, self.b, self.a, alpha=self.scale)


def everything(model, forget_gradient, seed):
    """Every weight."""
    return Scope(dict(model.named_parameters()))


def cross_attention(model, forget_gradient, seed):
    """What only a caption passes through: cross-attention, its norm, the text projection.

    The null condition, in which cross-attention adds nothing, stays exactly the target's.
    """
    return _only(model, lambda name: any(part in name for part in ("cross_attention.", "norm_cross.", "output_proj.")))


def lora(model, forget_gradient, seed, rank, alpha):
    """Low-rank adapters on the attention and feed-forward matrices of all layers; at the start they change nothing."""
    generator = torch.Generator().manual_seed(seed)
    adapted = []
    for layer in model.transformer.layers:
        for path in MATRICES:
            parent, _, name = path.rpartition(".")
            module = layer.get_submodule(parent)
            adapter = LowRank(getattr(module, name), rank, alpha / rank, generator)
            parametrize.register_parametrization(module, name, adapter)
            adapted.append((module, name))
    scope = _only(model, lambda name: name.endswith((".0.a", ".0.b")))
    scope.adapted = adapted
    return scope


def salun(model, forget_gradient, seed, share):
    """The `share` of all weights with the largest |gradient| of the mean forget loss at the start (SalUn).

    forget_gradient: a function that leaves that gradient in the weights' .grad.
    """
    weights = dict(model.named_parameters())
    forget_gradient()
    sizes = [
        torch.zeros_like(weight).flatten() if weight.grad is None else weight.grad.abs().flatten()
        for weight in weights.values()
    ]
    model.zero_grad(set_to_none=True)
    flat = torch.cat(sizes)
    chosen = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
    chosen[flat.topk(max(1, round(share * len(flat)))).indices] = True
    masks = {
        name: mask.view_as(weights[name]) for name, mask in zip(weights, chosen.split([len(part) for part in sizes]))
    }
    return Scope(weights, masks=masks, held={name: weights[name].detach()[~mask] for name, mask in masks.items()})


SCOPES = {"all": everything, "cross_attention": cross_attention, "lora": lora, "salun": salun}


def _only(model, moves):
    """A Scope of the parameters whose name `moves`; the others are frozen."""
    weights = {}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(moves(name))
        if parameter.requires_grad:
            weights[name] = parameter
    return Scope(weights)
