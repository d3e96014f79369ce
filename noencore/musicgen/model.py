"""MusicGen's language model, in the released configuration and under audiocraft's parameter names.

K embeddings are summed, sinusoidal positions are added, pre-norm layers follow (causal self-attention,
cross-attention to the text, GELU feed-forward), and K linear heads end it. The state dict goes to and from
audiocraft's `LMModel` unchanged. Text enters as hidden states of a frozen text encoder, before the trainable
projection; there is no dropout, so `train()` and `eval()` are the same.

References: audiocraft 1.3.0 `models/lm.py`, `modules/transformer.py`, `modules/conditioners.py`;
arXiv 2306.05284.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from noencore.errors import UserError

MAX_STEPS = 2048  # rows of the position table: 40 s at 50 frames/s; the released models know 30 s


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of a model: `card` codes in each of `n_q` codebooks, text states of width `text_dim`."""

    dim: int
    layers: int
    heads: int
    card: int
    n_q: int
    text_dim: int
    hidden_scale: int = 4

    def __post_init__(self):
        for name, value in vars(self).items():
            if type(value) is not int or value < 1:
                raise UserError(f"model: {name} is {value!r}; give a whole number from 1")
        if self.dim % (2 * self.heads):
            raise UserError(f"model: dim {self.dim} is not a multiple of 2 x heads ({self.heads}); change one of them")


class Attention(nn.Module):
    """Multi-head attention without biases. `in_proj_weight` holds the query, the key and the value rows."""

    def __init__(self, dim, heads):
        super().__init__()
        self.dim, self.heads = dim, heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.out_proj = nn.Linear(dim, dim, bias=False)

    def project(self, x, first, last):
        """Heads [B, H, S, dim/H] of parts first..last-1 of (query, key, value), one tensor a part."""
        y = F.linear(x, self.in_proj_weight[first * self.dim : last * self.dim])
        return [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in y.split(self.dim, dim=-1)]

    def attend(self, q, k, v, mask=None, causal=False):
        """Attention of q over k and v, all [B, H, *, dim/H], and the output projection: [B, S, dim]."""
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        return self.out_proj(y.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, config):
        super().__init__()
        dim, hidden = config.dim, config.hidden_scale * config.dim
        self.self_attn = Attention(dim, config.heads)
        self.cross_attention = Attention(dim, config.heads)
        self.linear1 = nn.Linear(dim, hidden, bias=False)
        self.linear2 = nn.Linear(hidden, dim, bias=False)
        self.norm1 = nn.LayerNorm(dim)
        self.norm_cross = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x, text, text_mask):
        """x [B, S, dim] -> [B, S, dim]; `text` and `text_mask` as `MusicGenLM.project_text` returns them."""
        x = x + self.self_attn.attend(*self.self_attn.project(self.norm1(x), 0, 3), causal=True)
        if text is not None:
            (q,) = self.cross_attention.project(self.norm_cross(x), 0, 1)
            x = x + self.cross_attention.attend(q, *self.cross_attention.project(text, 1, 3), mask=text_mask)
        return x + self.feed_forward(x)

    def feed_forward(self, x):
        return self.linear2(F.gelu(self.linear1(self.norm2(x))))


class MusicGenLM(nn.Module):
    """The language model over K delayed streams of codes.

    `seed` draws audiocraft's initialisation from its own generator; None leaves the weights undefined, for a
    caller that loads them. `checkpoint_activations` (False at first) makes a layer keep nothing but its input for the
    backward pass and compute the rest again: the same gradients, less memory, more time.
    """

    def __init__(self, config, seed=None):
        super().__init__()
        self.config = config
        self.checkpoint_activations = False
        self.emb = nn.ModuleList(nn.Embedding(config.card + 1, config.dim) for _ in range(config.n_q))
        self.transformer = nn.ModuleDict({"layers": nn.ModuleList(Layer(config) for _ in range(config.layers))})
        self.out_norm = nn.LayerNorm(config.dim)
        self.linears = nn.ModuleList(nn.Linear(config.dim, config.card, bias=False) for _ in range(config.n_q))
        description = nn.ModuleDict({"output_proj": nn.Linear(config.text_dim, config.dim)})
        self.condition_provider = nn.ModuleDict({"conditioners": nn.ModuleDict({"description": description})})
        self.register_buffer("positions", sinusoids(MAX_STEPS, config.dim), persistent=False)
        if seed is not None:
            init_weights(self, seed)

    def forward(self, sequence, text, text_mask):
        """Logits of the step after each step.

        sequence: [B, K, S] int64, delayed codes with `card` as the special token (`loss.delay`).
        text: [B, L, text_dim] states of the text encoder; text_mask: [B, L] bool, False on padding, which has
        no influence. A row without any True is the null condition: its cross-attention is exactly zero.
        Returns [B, K, S, card], a view of memory ordered [B, S, K, card].
        """
        return self.heads(self.trunk(sequence, text, text_mask)).transpose(1, 2)

    def trunk(self, sequence, text, text_mask):
        """What the heads read, [B, S, dim]; arguments as for `forward`."""
        x = self.embed(sequence)
        text, text_mask = self.project_text(text, text_mask)
        for layer in self.transformer.layers:
            if self.checkpoint_activations and torch.is_grad_enabled():
                x = checkpoint(layer, x, text, text_mask, use_reentrant=False)
            else:
                x = layer(x, text, text_mask)
        return x

    def embed(self, sequence, start=0):
        """[B, K, S] codes at steps start.. -> [B, S, dim]: the sum of the K embeddings, with positions."""
        steps = sequence.shape[-1]
        if start + steps > len(self.positions):
            raise ValueError(f"{start + steps} steps, but the position table ends at {len(self.positions)}")
        x = sum(at_least_fp32(emb(codes)) for emb, codes in zip(self.emb, sequence.unbind(1)))
        return x + self.positions[start : start + steps]

    def project_text(self, text, text_mask):
        """Project text states to what cross-attention reads.

        Returns states [B, L, dim], zero on padding, and a key mask [B, 1, 1, L]. The states are None where
        the whole batch is null (cross-attention would add exactly zero), the mask is None without padding.
        """
        if not text_mask.any():
            return None, None
        output_proj = self.condition_provider.conditioners.description.output_proj
        states = output_proj(text.to(output_proj.weight.dtype)).masked_fill(~text_mask[..., None], 0)
        if text_mask.all():
            return states, None
        # A null row in a mixed batch attends to its own zeros, which gives zero; over no key at all a softmax
        # is undefined.
        return states, (text_mask | ~text_mask.any(1, keepdim=True))[:, None, None]

    def heads(self, x):
        """[..., dim] -> logits [..., K, card], by one matrix product."""
        return F.linear(self.out_norm(x), self.head_weight()).unflatten(-1, (self.config.n_q, -1))

    def head_weight(self):
        """The K heads as one matrix [K * card, dim]."""
        return torch.cat([linear.weight for linear in self.linears])

    def _apply(self, fn, recurse=True):
        """`to`, `half`, `cuda` ...: the position table moves along but stays fp32; bf16 cannot count beyond 256."""
        positions = self.positions
        super()._apply(fn, recurse)
        self.positions = positions.to(self.positions.device)
        return self


def at_least_fp32(x):
    """Half precision to fp32; fp32 and fp64 as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def sinusoids(steps, dim):
    """Position table [steps, dim], fp32: cosines, then sines (audiocraft's `create_sin_embedding`)."""
    position = torch.arange(steps, dtype=torch.float32, device="cpu")[:, None]
    channel = torch.arange(dim // 2, dtype=torch.float32, device="cpu")
    period = torch.full([], 10000.0, device="cpu")
    phase = position / period ** (channel / (dim // 2 - 1))
    return torch.cat([phase.cos(), phase.sin()], dim=-1)


@torch.no_grad()
def init_weights(model, seed):
    """Draw audiocraft's initialisation from `seed`: gaussian weights, depthwise current, zero biases.

    A truncated normal of deviation 1/sqrt(fan in), divided by sqrt(2 x depth) in layers, counted from 1. The
    attention's in_proj_weight and the text projection keep PyTorch's uniform default, since audiocraft's
    `_init_weights` does not reach them.
    """
    generator = torch.Generator().manual_seed(seed)

    def gaussian(weight, depth=None):
        std = 1 / math.sqrt(weight.shape[1] * (2 * depth if depth else 1))
        nn.init.trunc_normal_(weight, 0.0, std, -3 * std, 3 * std, generator=generator)

    def uniform(parameter, fan_in):
        nn.init.uniform_(parameter, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in), generator=generator)

    for module in [*model.emb, *model.linears]:
        gaussian(module.weight)
    for depth, layer in enumerate(model.transformer.layers, start=1):
        for attention in (layer.self_attn, layer.cross_attention):
            uniform(attention.in_proj_weight, attention.dim)
            gaussian(attention.out_proj.weight, depth)
        gaussian(layer.linear1.weight, depth)
        gaussian(layer.linear2.weight, depth)
    output_proj = model.condition_provider.conditioners.description.output_proj
    uniform(output_proj.weight, model.config.text_dim)
    uniform(output_proj.bias, model.config.text_dim)
