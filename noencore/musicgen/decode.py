"""Decoding with a preallocated key/value cache: the tokens of audiocraft's `LMModel.generate`, sooner.

The keys and values of the text are computed once, and the null rows of classifier-free guidance skip
cross-attention, which would add zero. A step has few rows and reads every weight, so on a CPU large matrices are laid
out once for that (docs/performance.md).
"""

import torch
from torch.nn import functional as F

PACKED_FROM = 512  # width of a matrix; smaller models fit into the cache, where the layout does not matter


@torch.inference_mode()
def generate(
    model, text, text_mask, frames, *, prompt=None, cfg=3.0, temperature=1.0, top_k=None, top_p=None, seeds=None
):
    """Generate codes [B, K, frames] from text states [B, L, text_dim] with their mask [B, L].

    model: its weights may be bf16 or fp16; residuals, positions, norms, attention and logits are fp32 all the same.
    prompt: codes to continue, [B, K, T0] or a list of B tensors [K, T_b], all shorter than frames; they are kept.
    cfg: classifier-free guidance, logits = null + cfg (text - null); 1 leaves out the null rows.
    top_k, top_p: both None take the most likely token. Otherwise a token is drawn, at `temperature`, among the top_k
    and, of these, the fewest that have a share top_p of their probability.
    seeds: B integers, needed when drawing. A clip's tokens follow from its own seed, whatever its batch.
    Raises ValueError where a prompt leaves nothing to generate or the seeds are missing.
    """
    B, K, special = len(text), model.config.n_q, model.config.card
    prompt = [torch.empty(K, 0, dtype=torch.long)] * B if prompt is None else prompt
    known = torch.tensor([clip.shape[-1] for clip in prompt], device=text.device)
    if len(known) != B or known.max() >= frames:
        raise ValueError(f"{len(known)} prompts of up to {known.max()} frames for {B} clips of {frames} frames")
    drawing = top_k is not None or top_p is not None
    if drawing and (seeds is None or len(seeds) != B):
        raise ValueError(f"drawing tokens for {B} clips needs {B} seeds")

    # Step s holds frame s - 1 - q of codebook q; cells before the first and after the last frame are special.
    steps = frames + K
    sequence = torch.full((B, K, steps), special, device=text.device)
    for row, clip in zip(sequence, prompt):
        for q in range(K):
            row[q, q + 1 : q + 1 + clip.shape[-1]] = clip[q]
    frame = torch.arange(steps, device=text.device) - 1 - torch.arange(K, device=text.device)[:, None]
    unknown = (frame >= known[:, None, None]) & (frame < frames)
    noise = _uniform(seeds, steps, K).to(text.device) if drawing else None

    guided = cfg != 1 and bool(text_mask.any())
    decoder = Decoder(model, text, text_mask, rows=2 * B if guided else B, steps=steps)
    done = 0
    # The frames that all prompts have enter at once; where one goes on, its tokens are read instead of chosen.
    for end in range(int(known.min()) + 1, steps):
        tokens = sequence[:, :, done:end]
        logits = decoder.step(tokens.repeat(2, 1, 1) if guided else tokens)
        if guided:
            conditional, null = logits.split(B)
            logits = null + (conditional - null) * cfg
        if drawing:
            token = _draw(logits / temperature, min(top_k or special, special), top_p, noise[:, end])
        else:
            token = logits.argmax(-1)
        sequence[:, :, end] = torch.where(unknown[:, :, end], token, sequence[:, :, end])
        done = end
    return torch.stack([sequence[:, q, q + 1 : q + 1 + frames] for q in range(K)], dim=1)


class Decoder:
    """The model with the keys and values of the steps seen so far. Its first rows are conditioned on text."""

    def __init__(self, model, text, text_mask, rows, steps):
        config, device = model.config, model.out_norm.weight.device
        self.model, self.rows, self.done = model, rows, 0
        shape = (config.layers, 2, rows, config.heads, steps, config.dim // config.heads)
        self.cache = torch.empty(shape, device=device)
        states, self.text_mask = model.project_text(text, text_mask)
        self.conditioned = 0 if states is None else len(states)
        self.layers = [self._prepare(layer, states) for layer in model.transformer.layers]
        self.out_norm, self.out = _norm(model.out_norm), _product(model.head_weight(), rows)

    def _prepare(self, layer, states):
        """What a step needs of a layer: norms and products as functions, and the text's keys and values."""
        attention, cross, dim = layer.self_attn, layer.cross_attention, self.model.config.dim
        parts = {
            "norm1": _norm(layer.norm1),
            "qkv": _product(attention.in_proj_weight, self.rows),
            "out": _product(attention.out_proj.weight, self.rows),
            "norm2": _norm(layer.norm2),
            "up": _product(layer.linear1.weight, self.rows),
            "down": _product(layer.linear2.weight, self.rows),
        }
        if self.conditioned:
            keys, values = F.linear(states, cross.in_proj_weight[dim:]).float().chunk(2, dim=-1)
            parts |= {
                "norm_cross": _norm(layer.norm_cross),
                "query": _product(cross.in_proj_weight[:dim], self.conditioned),
                "text": (self._split(keys), self._split(values)),
                "cross_out": _product(cross.out_proj.weight, self.conditioned),
            }
        return parts

    def step(self, tokens):
        """Append tokens [rows, K, S]; return the logits [rows, K, card] of the step after them."""
        begin, self.done = self.done, self.done + tokens.shape[-1]
        x = self.model.embed(tokens, begin)
        for layer, cache in zip(self.layers, self.cache):
            keys, values = cache[:, :, :, : self.done]
            q, k, v = layer["qkv"](layer["norm1"](x)).chunk(3, dim=-1)
            q, keys[:, :, begin:], values[:, :, begin:] = self._split(q), self._split(k), self._split(v)
            # Only the first call brings more than one step, and then there is nothing before it.
            y = F.scaled_dot_product_attention(q, keys, values, is_causal=begin == 0)
            x += layer["out"](self._join(y))
            if self.conditioned:
                known = x[: self.conditioned]
                q = self._split(layer["query"](layer["norm_cross"](known)))
                y = F.scaled_dot_product_attention(q, *layer["text"], attn_mask=self.text_mask)
                known += layer["cross_out"](self._join(y))
            x += layer["down"](F.gelu(layer["up"](layer["norm2"](x))))
        return self.out(self.out_norm(x[:, -1])).unflatten(-1, (self.model.config.n_q, -1))

    def _split(self, x):
        """[rows, S, dim] -> [rows, heads, S, dim / heads]."""
        return x.unflatten(-1, (self.model.config.heads, -1)).transpose(1, 2)

    def _join(self, y):
        """[rows, heads, S, dim / heads] -> [rows, S, dim]."""
        return y.transpose(1, 2).flatten(2)


def _norm(norm):
    weight, bias = norm.weight.float(), norm.bias.float()
    return lambda x: F.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)


def _product(weight, rows):
    """A function x -> x weight^T of fp32 tensors, where x has mostly `rows` rows; the weight keeps its precision."""
    if weight.device.type == "cpu" and min(weight.shape) >= PACKED_FROM and torch.backends.mkldnn.is_available():
        # oneDNN's own layout: two to three times the speed for a few rows (torch.compile packs weights so, too).
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), rows)
        return lambda x: torch.ops.mkldnn._linear_pointwise(x.to(packed.dtype), packed, None, "none", [], "").float()
    return lambda x: F.linear(x.to(weight.dtype), weight).float()


def _uniform(seeds, steps, K):
    """One number in [0, 1) a token, [B, steps, K], each clip's from its own generator on the CPU."""
    return torch.stack([torch.rand(steps, K, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def _draw(logits, top_k, top_p, noise):
    """Invert the distribution function of the top_k, top_p logits [B, K, card] at noise [B, K]: tokens [B, K]."""
    top, token = logits.topk(top_k, dim=-1)
    cumulative = top.softmax(-1).cumsum(-1)
    last = torch.full_like(noise, top_k - 1, dtype=torch.long)[..., None]
    if top_p is not None:
        last = (cumulative < top_p).sum(-1, keepdim=True).clamp(max=top_k - 1)
        noise = noise * cumulative.gather(-1, last)[..., 0]
    # Rounding may leave the last sum below the noise.
    chosen = torch.minimum((cumulative < noise[..., None]).sum(-1, keepdim=True), last)
    return token.gather(-1, chosen)[..., 0]
