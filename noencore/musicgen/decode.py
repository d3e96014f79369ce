"""Decoding with a preallocated key/value cache: the tokens of audiocraft's `LMModel.generate`, sooner.

The keys and values of the text are computed once, and the null rows of classifier-free guidance skip
cross-attention, which would add zero. A step has few rows and reads every weight, so on a CPU the matrices are laid out
once for that (docs/performance.md).
"""

import torch
from torch.nn import functional as F

PACKED_FROM = 256  # outputs of a matrix; with fewer its layout does not matter (measured at 160)


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
        logits = decoder.step(tokens)
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
        self.heads = config.heads, config.dim // config.heads
        self.cache = torch.empty(config.layers, 2, rows, config.heads, steps, self.heads[1], device=device)
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
            states = F.linear(states, cross.in_proj_weight[dim:]).float()
            parts |= {
                "norm_cross": _norm(layer.norm_cross),
                "query": _product(cross.in_proj_weight[:dim], self.conditioned),
                "text": self._split(states.flatten(0, 1), 2, self.conditioned),
                "cross_out": _product(cross.out_proj.weight, self.conditioned),
            }
        return parts

    def step(self, tokens):
        """Append tokens [B, K, S], rows a multiple of B; return the logits [rows, K, card] of the step after them."""
        begin, self.done = self.done, self.done + tokens.shape[-1]
        x = self.model.embed(tokens, begin).repeat(self.rows // len(tokens), 1, 1).flatten(0, 1)
        known = x[: self.conditioned * tokens.shape[-1]]
        for layer, cache in zip(self.layers, self.cache):
            q, cache[:, :, :, begin : self.done] = self._split(layer["qkv"](layer["norm1"](x)), 3).split([1, 2])
            keys, values = cache[:, :, :, : self.done]
            # Only the first call brings more than one step, and then there is nothing before it.
            y = F.scaled_dot_product_attention(q[0], keys, values, is_causal=begin == 0)
            x += layer["out"](y.transpose(1, 2).reshape(x.shape))
            if self.conditioned:
                (q,) = self._split(layer["query"](layer["norm_cross"](known)), 1, self.conditioned)
                y = F.scaled_dot_product_attention(q, *layer["text"], attn_mask=self.text_mask)
                known += layer["cross_out"](y.transpose(1, 2).reshape(known.shape))
            x += layer["down"](F.gelu(layer["up"](layer["norm2"](x))))
        last = x.unflatten(0, (self.rows, -1))[:, -1]
        return self.out(self.out_norm(last)).unflatten(-1, (self.model.config.n_q, -1))

    def _split(self, x, parts, rows=None):
        """[rows * S, parts * dim] -> [parts, rows, heads, S, dim / heads]."""
        return x.view(rows or self.rows, -1, parts, *self.heads).permute(2, 0, 3, 1, 4)


def _norm(norm):
    weight, bias = norm.weight.float(), norm.bias.float()
    return lambda x: F.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)


def _product(weight, rows):
    """A function x -> x weight^T of fp32 tensors, where x has mostly `rows` rows; the weight keeps its precision."""
    if weight.device.type == "cpu" and len(weight) >= PACKED_FROM and _packs(weight.dtype):
        # oneDNN's own layout, in which a large matrix is read at twice the speed; torch.compile uses it too.
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), rows)
        return lambda x: torch.ops.mkldnn._linear_pointwise(x.to(packed.dtype), packed, None, "none", [], "").float()
    return lambda x: F.linear(x.to(weight.dtype), weight).float()


def _packs(dtype):
    """Whether oneDNN is there and has products of this precision on this processor."""
    if dtype == torch.bfloat16:
        return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.backends.mkldnn.is_available() and dtype == torch.float32


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
