"""Forget and remain losses: functions (model, batch, parameters) -> loss of every clip, [B], to be minimised.

Their mean over the batch is the step's loss, so a batch may be split anywhere. In every loss a clip counts by the mean
over its frames, then the (weighted) mean over codebooks; the last q frames of codebook q have no prediction and are cut
off, never masked by a product. Distributions are read codebook by codebook in views of the logits. `batch` is a
batches.Batch; names and parameters are those of recipes.FORGET and recipes.REMAIN. docs/methods.md has sources.
"""

import math

import torch
from torch.nn import functional as F

from noencore.musicgen.loss import codebook_mean, delay, set_nll, token_nll
from noencore.musicgen.model import at_least_fp32


def gradient_ascent(model, batch, cap=False):
    """Minus the NLL under the clip's caption; with `cap`, min(NLL, ln card) of every token."""
    nll, valid = _token_nll(model, batch.forget.codes, batch.forget)
    if cap:
        nll = nll.clamp(max=math.log(model.config.card))
    return -set_nll(nll, valid, batch.codebook_weights)


def random_caption(model, batch):
    """NLL of the forget clips under captions of remain clips: random labelling of the text."""
    return _nll(model, batch.forget.codes, batch.partner, batch)


def random_tokens(model, batch):
    """NLL of uniformly drawn target tokens where the model reads the forget clip: random labelling of the audio.

    New targets every step, so in expectation it is the cross entropy to the uniform distribution: at least ln card.
    """
    return _nll(model, batch.forget.codes, batch.forget, batch, targets=batch.random_codes)


def swapped_audio(model, batch):
    """NLL of remain clips under the captions of forget clips: the caption comes to mean something else."""
    return _nll(model, batch.partner.codes, batch.forget, batch)


def anchor_caption(model, batch, caption):
    """KL(p0(. | clip, other caption) || p(. | clip, its caption)); `caption` chose the stored p0."""
    return _kl_to_stored(model, batch.forget, batch.forget_values, batch)


def npo(model, batch, beta):
    """-2/beta log sigmoid(beta (NLL - target's NLL)), NLL per token. Tends to gradient ascent as beta -> 0."""
    nll = _nll(model, batch.forget.codes, batch.forget, batch)
    return -2 / beta * F.logsigmoid(beta * (nll - batch.forget_values["nll"]))


def simnpo(model, batch, beta, margin):
    """-2/beta log sigmoid(beta (NLL - delta)); delta = the target's mean NLL on forget + margin, for all clips."""
    nll = _nll(model, batch.forget.codes, batch.forget, batch)
    return -2 / beta * F.logsigmoid(beta * (nll - batch.forget_values["start"] - margin))


def dpo(model, batch, beta):
    """-2/beta log sigmoid(beta (rise of the clip's NLL - rise of the alternative's)), rises over the target's NLL."""
    clip = _nll(model, batch.forget.codes, batch.forget, batch) - batch.forget_values["nll"]
    alternative = _nll(model, batch.forget_values["codes"], batch.forget, batch) - batch.forget_values["codes_nll"]
    return -2 / beta * F.logsigmoid(beta * (clip - alternative))


def undial(model, batch, beta):
    """Cross entropy to softmax(z0 - beta onehot(token)): the target's distribution with the clip's token pushed down.

    The stored entries hold the clip's own token, so that the lumped rest is scaled as a whole and this is exact but for
    how the model divides that rest.
    """
    values, tokens = batch.forget_values, []
    for q, (logits, codes) in enumerate(_by_codebook(model, batch.forget)):
        index, logp0, rest0 = _stored(values, q, logits)
        wanted = torch.where(index == codes[..., None], logp0 - beta, logp0)
        logp = _lump(logits, index)
        if rest0 is not None:
            wanted = torch.cat([wanted, rest0[..., None]], dim=-1)
        tokens.append(-(wanted.softmax(-1) * logp).sum(-1))
    return _over_tokens(tokens, batch)


def ce_u(model, batch, skip):
    """Cross entropy to the model's own distribution without the clip's token, a constant.

    The first `skip` frames are left out. Raises ValueError where nothing is left of the last codebook.
    """
    tokens = []
    for logits, codes in _by_codebook(model, batch.forget):
        if codes.shape[1] <= skip:
            raise ValueError(f"ce_u: skip {skip} leaves nothing of {codes.shape[1]} frames")
        logits, codes = logits[:, skip:], codes[:, skip:]
        wanted = logits.detach().scatter(-1, codes[..., None], -math.inf).softmax(-1)
        tokens.append(logits.logsumexp(-1) - (wanted * logits).sum(-1))
    return _over_tokens(tokens, batch)


def wga(model, batch, beta):
    """Minus the weighted NLL: a token's weight is p^beta (a constant), divided by its mean over the clip."""
    nll, valid = _token_nll(model, batch.forget.codes, batch.forget)
    weight = (-beta * nll.detach()).exp()
    mean = set_nll(weight, valid, batch.codebook_weights)[:, None, None]
    return -set_nll(nll * weight / mean, valid, batch.codebook_weights)


def rmu(model, batch, depth, scale):
    """|h / n - scale u|^2, mean over steps: h the states after `depth` of the layers, n the target's mean |h| there.

    u: a unit vector drawn from the run's seed, of mean 0, since LayerNorm takes the mean off. The first step, which is
    the same for all clips, is left out.
    """
    layers = max(1, round(depth * model.config.layers))
    states = hidden_states(model, batch.forget, layers)[-1][:, 1:]
    norm = batch.forget_values["norms"][:, layers - 1, None, None]
    draw = torch.randn(model.config.dim, generator=torch.Generator().manual_seed(batch.seed), dtype=torch.float64)
    direction = F.normalize(draw - draw.mean(), dim=0).to(states)
    return (states / norm - scale * direction).square().sum(-1).mean(-1)


def bad_teacher(model, batch):
    """KL(uniform || p): random_tokens in expectation, less ln card."""
    card = model.config.card
    tokens = [
        logits.logsumexp(-1) - logits.mean(-1) - math.log(card) for logits, _ in _by_codebook(model, batch.forget)
    ]
    return _over_tokens(tokens, batch)


def task_vector(model, batch, scale):
    """NLL of the forget clips; the loop then goes `scale` times the way to the other side of the target."""
    return _nll(model, batch.forget.codes, batch.forget, batch)


def cross_entropy(model, batch):
    """NLL of the remain clips."""
    return _nll(model, batch.remain.codes, batch.remain, batch)


def kl(model, batch):
    """KL(p0 || p) on the remain clips."""
    return _kl_to_stored(model, batch.remain, batch.remain_values, batch)


def constraint(model, batch, bound, rate, start):
    """NLL of the remain clips less `bound` times the target's; the loop weighs it by the dual variable."""
    return _nll(model, batch.remain.codes, batch.remain, batch) - bound * batch.remain_values["start"]


FORGET_LOSSES = {
    loss.__name__: loss
    for loss in (
        *(gradient_ascent, random_caption, random_tokens, swapped_audio, anchor_caption, npo, simnpo, dpo),
        *(undial, ce_u, wga, rmu, bad_teacher, task_vector),
    )
}
REMAIN_LOSSES = {loss.__name__: loss for loss in (cross_entropy, kl, constraint)}


def hidden_states(model, clips, layers):
    """States after each of the first `layers` layers: list of [B, T, dim]. Step s has read frames up to s - 1."""
    states, x = [], model.embed(delay(clips.codes, model.config.card)[:, :, :-1])
    text, text_mask = model.project_text(clips.text, clips.text_mask)
    for layer in model.transformer.layers[:layers]:
        x = layer(x, text, text_mask)
        states.append(at_least_fp32(x))
    return states


def _token_nll(model, codes, captions, targets=None):
    return token_nll(model, codes, captions.text, captions.text_mask, targets=targets)


def _nll(model, codes, captions, batch, targets=None):
    """NLL of each clip, [B]."""
    return set_nll(*_token_nll(model, codes, captions, targets), batch.codebook_weights)


def _by_codebook(model, clips):
    """For each codebook q: logits [B, T - q, card] of frames 0 .. T-1-q (a view), and their tokens [B, T - q]."""
    frames = clips.codes.shape[2]
    logits = at_least_fp32(model(delay(clips.codes, model.config.card)[:, :, :-1], clips.text, clips.text_mask))
    return [(logits[:, q, q:], clips.codes[:, q, : frames - q]) for q in range(logits.shape[1])]


def _over_tokens(tokens, batch):
    """Per-token losses, one [B, frames] a codebook -> [B]."""
    return codebook_mean(torch.stack([values.mean(-1) for values in tokens], dim=-1), batch.codebook_weights)


def _stored(values, q, logits):
    """(index, logp [B, frames, k], rest [B, frames] or None) of one codebook of a stored distribution."""
    index, logp, rest = (values[key][:, q, : logits.shape[1]] for key in ("index", "logp", "rest"))
    return index.long(), logp, None if index.shape[-1] == logits.shape[-1] else rest


def _lump(logits, index):
    """Log-probabilities at some entries, [.., k], and one more entry for all the others' sum where there are others."""
    total = logits.logsumexp(-1, keepdim=True)
    at = logits.gather(-1, index) - total
    if index.shape[-1] == logits.shape[-1]:
        return at
    # Not 1 - sum: the rest of a sharp distribution is smaller than the rounding error of that sum.
    rest = logits.scatter(-1, index, -math.inf).logsumexp(-1, keepdim=True)
    return torch.cat([at, rest - total], dim=-1)


def _kl_to_stored(model, clips, values, batch):
    """KL of a stored distribution, its rest lumped into one entry, to the model's on the same clips: [B]."""
    tokens = []
    for q, (logits, _) in enumerate(_by_codebook(model, clips)):
        index, logp0, rest0 = _stored(values, q, logits)
        if rest0 is not None:
            logp0 = torch.cat([logp0, rest0[..., None]], dim=-1)
        tokens.append((logp0.exp() * (logp0 - _lump(logits, index))).sum(-1))
    return _over_tokens(tokens, batch)
