"""Decoding with a preallocated key/value cache: the tokens of audiocraft's `LMModel.generate`, sooner.

The keys and values of the text are computed once, and the null rows of classifier-free guidance skip
cross-attention, which would add zero.
"""

import torch


@torch.inference_mode()
def generate(model, text, text_mask, frames, *, prompt=None, cfg=3.0, temperature=1.0, top_k=None, seeds=None):
    """Generate codes [B, K, frames] from text states [B, L, text_dim] with their mask [B, L].

    prompt: [B, K, T0] codes to continue, T0 < frames; they are kept as they are.
    cfg: classifier-free guidance, logits = null + cfg (text - null); 1 leaves out the null rows.
    top_k: None takes the most likely token; otherwise a token is drawn among the top_k, at `temperature`.
    seeds: B integers, needed when drawing. A clip's tokens follow from its own seed, whatever its batch.
    Raises ValueError where the prompt leaves nothing to generate or the seeds are missing.
    """
    B, K, special = len(text), model.config.n_q, model.config.card
    start = 0 if prompt is None else prompt.shape[-1]
    if start >= frames:
        raise ValueError(f"a prompt of {start} frames leaves nothing to generate of {frames}")
    if top_k is not None and (seeds is None or len(seeds) != B):
        raise ValueError(f"drawing tokens for {B} clips needs {B} seeds")

    # Step s holds frame s - 1 - q of codebook q; cells before the first and after the last frame are special.
    steps = frames + K
    sequence = torch.full((B, K, steps), special, device=text.device)
    if start:
        for q in range(K):
            sequence[:, q, q + 1 : q + 1 + start] = prompt[:, q]
    frame = torch.arange(steps, device=text.device) - 1 - torch.arange(K, device=text.device)[:, None]
    unknown = (frame >= start) & (frame < frames)
    noise = None if top_k is None else _uniform(seeds, steps, K).to(text.device)

    guided = cfg != 1 and bool(text_mask.any())
    decoder = _Decoder(model, text, text_mask, rows=2 * B if guided else B, steps=steps)
    done = 0
    for end in range(start + 1, steps):
        tokens = sequence[:, :, done:end]
        logits = decoder.step(tokens.repeat(2, 1, 1) if guided else tokens)
        if guided:
            conditional, null = logits.split(B)
            logits = null + (conditional - null) * cfg
        token = logits.argmax(-1) if top_k is None else _draw(logits / temperature, min(top_k, special), noise[:, end])
        sequence[:, :, end] = torch.where(unknown[:, end], token, sequence[:, :, end])
        done = end
    return torch.stack([sequence[:, q, q + 1 : q + 1 + frames] for q in range(K)], dim=1)


class _Decoder:
    """The model with the keys and values of the steps seen so far. Its first rows are conditioned on text."""

    def __init__(self, model, text, text_mask, rows, steps):
        config, weight = model.config, model.out_norm.weight
        self.model, self.done = model, 0
        shape = (config.layers, 2, rows, config.heads, steps, config.dim // config.heads)
        self.cache = torch.empty(shape, dtype=weight.dtype, device=weight.device)
        states, self.text_mask = model.project_text(text, text_mask)
        self.conditioned = 0 if states is None else len(states)
        if self.conditioned:
            self.text = [layer.cross_attention.project(states, 1, 3) for layer in model.transformer.layers]

    def step(self, tokens):
        """Append tokens [rows, K, S]; return the logits [rows, K, card] of the step after them."""
        begin, self.done = self.done, self.done + tokens.shape[-1]
        x = self.model.embed(tokens, begin)
        for i, layer in enumerate(self.model.transformer.layers):
            keys, values = self.cache[i, :, :, :, : self.done]
            q, keys[:, :, begin:], values[:, :, begin:] = layer.self_attn.project(layer.norm1(x), 0, 3)
            # Only the first call brings more than one step, and then there is nothing before it.
            x = x + layer.self_attn.attend(q, keys, values, causal=begin == 0)
            if self.conditioned:
                known = x[: self.conditioned]
                (q,) = layer.cross_attention.project(layer.norm_cross(known), 0, 1)
                known += layer.cross_attention.attend(q, *self.text[i], mask=self.text_mask)
            x = x + layer.feed_forward(x)
        return self.model.heads(x[:, -1:])[:, :, 0]


def _uniform(seeds, steps, K):
    """One number in [0, 1) a token, [B, steps, K], each clip's from its own generator on the CPU."""
    return torch.stack([torch.rand(steps, K, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def _draw(logits, top_k, noise):
    """Invert the distribution function of the top_k logits [B, K, card] at noise [B, K]: tokens [B, K]."""
    top, token = logits.topk(top_k, dim=-1)
    cumulative = top.softmax(-1).cumsum(-1)
    # Rounding may leave the last sum below the noise.
    chosen = (cumulative < noise[..., None]).sum(-1, keepdim=True).clamp(max=top_k - 1)
    return token.gather(-1, chosen)[..., 0]
