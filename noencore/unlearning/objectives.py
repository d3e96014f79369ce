"""Forget losses. Each takes (model, forget, remain, seed) and returns a scalar to be minimised.

forget and remain are batches (tokens.Clips) of the same size; the remain batch lends what a loss needs of it. Losses
are means over clips of per-clip NLL (mean of codebook means over valid frames), in nats a token.
"""

import torch

from noencore.musicgen.loss import set_nll, token_nll


def gradient_ascent(model, forget, remain, seed):
    """Minus the NLL of the forget clips under their captions (arXiv 2509.06277, gradient ascent)."""
    return -set_nll(*token_nll(model, forget.codes, forget.text, forget.text_mask)).mean()


def random_caption(model, forget, remain, seed):
    """NLL of the forget clips under captions of remain clips: random labelling of the text (arXiv 2509.06277)."""
    return set_nll(*token_nll(model, forget.codes, remain.text, remain.text_mask)).mean()


def random_tokens(model, forget, remain, seed):
    """NLL of uniformly drawn target tokens where the model reads the forget clip: random labelling of the audio.

    New targets every step, so in expectation it is the cross entropy to the uniform distribution: bounded below by
    ln card.
    """
    draw = torch.Generator().manual_seed(seed)
    targets = torch.randint(model.config.card, forget.codes.shape, generator=draw).to(forget.codes.device)
    return set_nll(*token_nll(model, forget.codes, forget.text, forget.text_mask, targets=targets)).mean()


FORGET_LOSSES = {loss.__name__: loss for loss in (gradient_ascent, random_caption, random_tokens)}
