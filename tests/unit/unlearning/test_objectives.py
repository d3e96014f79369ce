"""Forget losses against what their names say."""

import math

import pytest
import torch

from noencore.musicgen.loss import set_nll, token_nll
from noencore.unlearning.objectives import FORGET_LOSSES, gradient_ascent, random_caption, random_tokens


@pytest.fixture(scope="module")
def model(make_model):
    """Far enough from uniform that losses differ."""
    model = make_model()
    with torch.no_grad():
        for linear in model.linears:
            linear.weight *= 2
    return model


@pytest.fixture(scope="module")
def forget(make_clips):
    return make_clips(6)


@pytest.fixture(scope="module")
def remain(make_clips):
    return make_clips(6, seed=1)


def nll(model, codes, clips, targets=None):
    return set_nll(*token_nll(model, codes, clips.text, clips.text_mask, targets=targets))


@pytest.mark.parametrize("name", FORGET_LOSSES)
def test_a_model_without_an_opinion_has_ln_card(make_model, forget, remain, name):
    model = make_model()
    with torch.no_grad():
        for linear in model.linears:
            linear.weight.zero_()
    sign = -1 if name == "gradient_ascent" else 1
    loss = FORGET_LOSSES[name](model, forget, remain, seed=0)
    assert loss.item() == pytest.approx(sign * math.log(model.config.card), rel=1e-6)


def test_gradient_ascent_is_minus_the_mean_of_per_clip_nll(model, forget, remain):
    alone = [nll(model, forget.take([i]).codes, forget.take([i])) for i in range(6)]
    assert gradient_ascent(model, forget, remain, 0).item() == pytest.approx(-torch.cat(alone).mean().item(), rel=1e-5)


def test_gradient_ascent_reads_no_remain_clip_and_no_seed(model, forget):
    assert gradient_ascent(model, forget, None, 0) == gradient_ascent(model, forget, None, 1)


def test_random_caption_reads_the_remain_text_and_not_its_codes(model, forget, remain, make_clips):
    loss = random_caption(model, forget, remain, 0)
    assert loss == nll(model, forget.codes, remain).mean()
    assert loss != nll(model, forget.codes, forget).mean()
    other = remain.take(range(6))
    other.codes = make_clips(6, seed=2).codes
    assert random_caption(model, forget, other, 0) == loss


def test_random_tokens_has_new_targets_a_seed(model, forget):
    losses = [random_tokens(model, forget, None, seed).item() for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_random_tokens_is_in_expectation_the_cross_entropy_to_uniform(model, forget):
    """Which is the mean over all constant targets, and at least ln card."""
    card = model.config.card
    with torch.no_grad():
        constant = [nll(model, forget.codes, forget, torch.full_like(forget.codes, c)).mean() for c in range(card)]
        drawn = torch.stack([random_tokens(model, forget, None, seed) for seed in range(200)])
    expected = torch.stack(constant).mean()
    assert abs(drawn.mean() - expected) < 4 * drawn.std() / 200**0.5
    assert drawn.std() < 0.1 * expected
    assert expected > math.log(card)


@pytest.mark.parametrize("name", FORGET_LOSSES)
def test_every_weight_that_the_forget_clips_use_has_a_gradient(make_model, forget, remain, name):
    model = make_model()
    FORGET_LOSSES[name](model, forget, remain, seed=0).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in model.parameters())
