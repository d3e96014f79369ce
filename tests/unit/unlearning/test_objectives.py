"""Every loss against its formula, worked out token by token on a toy of two codebooks; then what holds for all."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cases import LOSSES

from noencore.musicgen.loss import set_nll, token_nll
from noencore.tokens import Clips
from noencore.unlearning import recipes
from noencore.unlearning.batches import Batch, Batches, hide, partners
from noencore.unlearning.objectives import FORGET_LOSSES, REMAIN_LOSSES, hidden_states, rmu
from noencore.unlearning.reference import ANCHOR_SEED
from noencore.unlearning.run import backward

# Step s of codebook q predicts frame s - q: the first step of codebook 1 and the last frame of codebook 1 are nothing.
P = np.array(
    [
        [[1 / 2, 1 / 4, 1 / 4], [1 / 4, 1 / 2, 1 / 4], [1 / 8, 3 / 8, 1 / 2]],
        [[1 / 3, 1 / 3, 1 / 3], [0.2, 0.3, 0.5], [0.6, 0.2, 0.2]],
    ]
)
P0 = np.array(
    [
        [[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.25, 0.25, 0.5]],
        [[1 / 3, 1 / 3, 1 / 3], [0.4, 0.4, 0.2], [0.05, 0.05, 0.9]],
    ]
)
CODES = np.array([[0, 1, 0], [2, 0, 1]])
OTHER = np.array([[2, 2, 1], [0, 1, 2]])
TOKENS = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
GIVEN = {"nll": 0.7, "start": 0.8, "codes_nll": 0.9}  # of the target
WEIGHTS = (3.0, 1.0)


class Fixed:
    """A model that answers with the same logits whatever it reads."""

    config = SimpleNamespace(card=3, n_q=2)

    def __init__(self, garbage=0.0, shift=1.5):
        self.logits = torch.tensor(np.log(P) + shift)[None]
        self.logits[0, 1, 0] = garbage
        self.logits.requires_grad_()

    def __call__(self, sequence, text, text_mask):
        return self.heads(self.trunk(sequence, text, text_mask)).transpose(1, 2)

    def trunk(self, sequence, text, text_mask):
        assert sequence.shape == (1, 2, 3)
        return self.logits.transpose(1, 2).flatten(2)

    def heads(self, x):
        return x.unflatten(-1, (2, 3))


def toy_batch(weights=None):
    def clips(codes):
        return Clips(["x"], torch.tensor(codes)[None], torch.zeros(1, 2, 4), torch.ones(1, 2, dtype=torch.bool))

    logp = np.zeros((2, 3, 3))
    for q, t in TOKENS:
        logp[q, t] = np.log(P0[q, t + q])
    stored = {
        "index": torch.arange(3).expand(1, 2, 3, 3),
        "logp": torch.tensor(logp)[None],
        "rest": torch.zeros(1, 2, 3),
    }
    given = {key: torch.tensor([value], dtype=torch.float64) for key, value in GIVEN.items()}
    return Batch(
        forget=clips(CODES), partner=clips(OTHER), random_codes=torch.tensor(OTHER)[None],
        forget_values=stored | given | {"codes": torch.tensor(OTHER)[None]},
        remain=clips(CODES), remain_values=stored | given,
        codebook_weights=None if weights is None else torch.tensor(weights, dtype=torch.float64),
    )  # fmt: skip


def over(of_token, weights=(1.0, 1.0)):
    """Mean over frames, then over codebooks, of a function (p, p0, token, other token)."""
    means = [
        np.mean([of_token(P[q, t + q], P0[q, t + q], CODES[q, t], OTHER[q, t]) for c, t in TOKENS if c == q])
        for q in (0, 1)
    ]
    return np.average(means, weights=weights)


def nll(weights):
    return over(lambda p, p0, y, o: -math.log(p[y]), weights)


def other_nll(weights):
    return over(lambda p, p0, y, o: -math.log(p[o]), weights)


def preference(beta, rise):
    return -2 / beta * math.log(1 / (1 + math.exp(-beta * rise)))


def pushed_down(p0, y, beta):
    q = p0 * np.where(np.arange(3) == y, math.exp(-beta), 1.0)
    return q / q.sum()


def without(p, y):
    q = np.where(np.arange(3) == y, 0.0, p)
    return q / q.sum()


def weighted_ascent(weights, beta):
    mean = over(lambda p, p0, y, o: p[y] ** beta, weights)
    return over(lambda p, p0, y, o: p[y] ** beta / mean * math.log(p[y]), weights)


BY_HAND = {  # loss: (parameters, value given the weights of codebooks)
    "gradient_ascent": ({}, lambda w: -nll(w)),
    "gradient_ascent capped": (
        {"cap": True},
        lambda w: over(lambda p, p0, y, o: -min(-math.log(p[y]), math.log(3)), w),
    ),
    "random_caption": ({}, nll),  # this model reads no caption
    "random_tokens": ({}, other_nll),
    "swapped_audio": ({}, other_nll),
    "anchor_caption": ({"caption": "other"}, lambda w: over(lambda p, p0, y, o: (p0 * np.log(p0 / p)).sum(), w)),
    "npo": ({"beta": 2.0}, lambda w: preference(2.0, nll(w) - 0.7)),
    "simnpo": ({"beta": 2.0, "margin": 0.1}, lambda w: preference(2.0, nll(w) - 0.9)),
    "dpo": ({"beta": 2.0}, lambda w: preference(2.0, (nll(w) - 0.7) - (other_nll(w) - 0.9))),
    "undial": ({"beta": 1.5}, lambda w: over(lambda p, p0, y, o: -(pushed_down(p0, y, 1.5) * np.log(p)).sum(), w)),
    "ce_u": ({"skip": 0}, lambda w: over(lambda p, p0, y, o: -(without(p, y) * np.log(p)).sum(), w)),
    "wga": ({"beta": 0.5}, lambda w: weighted_ascent(w, 0.5)),
    "bad_teacher": ({}, lambda w: over(lambda p, p0, y, o: np.mean(np.log(1 / 3 / p)), w)),
    "task_vector": ({"scale": 2.0}, nll),
    "cross_entropy": ({}, nll),
    "kl": ({}, lambda w: over(lambda p, p0, y, o: (p0 * np.log(p0 / p)).sum(), w)),
    "constraint": ({"bound": 1.1, "rate": 1.0, "start": 1.0}, lambda w: nll(w) - 1.1 * 0.8),
}


def function(name):
    return (FORGET_LOSSES | REMAIN_LOSSES)[name.split()[0]]


def test_the_toy_leaves_out_no_loss():
    assert {name.split()[0] for name in BY_HAND} | {"rmu"} == set(FORGET_LOSSES | REMAIN_LOSSES)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("name", BY_HAND)
def test_a_loss_is_its_formula(name, weights):
    parameters, expected = BY_HAND[name]
    loss = function(name)(Fixed(), toy_batch(weights), **parameters)
    assert loss.shape == (1,)
    assert loss.item() == pytest.approx(expected(weights or (1.0, 1.0)), rel=1e-12)


@pytest.mark.parametrize("name", sorted(set(BY_HAND) - {"ce_u", "wga"}))
def test_a_gradient_is_the_finite_difference(name):
    parameters, _ = BY_HAND[name]
    model, loss = Fixed(), function(name)

    def of_logits(logits):
        model.logits = logits
        return loss(model, toy_batch(WEIGHTS), **parameters)

    assert torch.autograd.gradcheck(of_logits, model.logits, eps=1e-6, atol=1e-9, rtol=1e-6)


def gradient(name, parameters):
    model = Fixed()
    function(name)(model, toy_batch(), **parameters).backward()
    return model.logits.grad[0].numpy()


def count(q):
    """How much a token of codebook q counts in a clip."""
    return 1 / 2 / (3 - q)


def test_ce_u_pulls_at_the_other_tokens_as_if_they_were_constant():
    """d/dz of the cross entropy to q is p - q, with q = p without the clip's token."""
    found = gradient("ce_u", {"skip": 0})
    for q, t in TOKENS:
        p = P[q, t + q]
        np.testing.assert_allclose(found[q, t + q], count(q) * (p - without(p, CODES[q, t])), rtol=1e-12)


def test_wga_weighs_the_gradient_of_each_token_and_not_the_weight():
    found, mean = gradient("wga", {"beta": 0.5}), over(lambda p, p0, y, o: p[y] ** 0.5)
    for q, t in TOKENS:
        p, y = P[q, t + q], CODES[q, t]
        ascent = (np.arange(3) == y) - p  # d log p_y / dz
        np.testing.assert_allclose(found[q, t + q], count(q) * p[y] ** 0.5 / mean * ascent, rtol=1e-12)


def test_ce_u_leaves_out_the_first_frames():
    loss = FORGET_LOSSES["ce_u"](Fixed(), toy_batch(), skip=1)
    tokens = [(0, 1), (0, 2), (1, 1)]
    each = [-(without(P[q, t + q], CODES[q, t]) * np.log(P[q, t + q])).sum() for q, t in tokens]
    assert loss.item() == pytest.approx(((each[0] + each[1]) / 2 + each[2]) / 2)
    with pytest.raises(ValueError, match="skip 2 leaves nothing of 2 frames"):
        FORGET_LOSSES["ce_u"](Fixed(), toy_batch(), skip=2)


def test_a_cap_stops_the_gradient_of_tokens_above_ln_card_alone():
    capped, free = (gradient("gradient_ascent", {"cap": cap}) for cap in (True, False))
    assert (capped[0, 2] == 0).all()  # p = 1/8
    capped[0, 2] = free[0, 2]
    assert (capped == free).all()


@pytest.mark.parametrize("garbage", [1e4, -1e4])
@pytest.mark.parametrize("name", BY_HAND)
def test_a_cell_without_a_prediction_has_no_influence_and_no_gradient(name, garbage):
    parameters, _ = BY_HAND[name]
    model, clean = Fixed(garbage), Fixed()
    loss = function(name)(model, toy_batch(), **parameters)
    assert loss == function(name)(clean, toy_batch(), **parameters)
    loss.backward()
    assert torch.isfinite(model.logits.grad).all()
    assert (model.logits.grad[0, 1, 0] == 0).all()


@pytest.mark.parametrize("name", sorted(set(BY_HAND) - {"constraint"}))
def test_a_loss_is_finite_with_nan_where_nothing_is_predicted(name):
    parameters, _ = BY_HAND[name]
    assert torch.isfinite(function(name)(Fixed(math.nan), toy_batch(), **parameters)).all()


def test_rmu_is_the_squared_distance_to_one_direction(make_model, forget):
    """In units of the target's norm: |h / n - scale u|^2 = |h / n|^2 + scale^2 - 2 scale u h / n, with u of mean 0."""
    model, norms = make_model(), torch.tensor([[2.0, 3.0]] * 6)
    batch = Batch(forget, None, None, {"norms": norms})
    states = hidden_states(model, forget, 2)
    for depth, layer in ((0.5, 0), (0.1, 0), (1.0, 1)):
        near, far = (rmu(model, batch, depth=depth, scale=scale) for scale in (1e-6, 2.0))
        h = states[layer][:, 1:] / norms[0, layer]
        torch.testing.assert_close(near, h.square().sum(-1).mean(-1), rtol=1e-4, atol=1e-4)
        along = (near + 4 - far) / 4  # u h / n
        assert (along.abs() <= h.norm(dim=-1).mean(-1)).all()
        assert along.abs().max() > 1e-4
    other = rmu(model, Batch(forget, None, None, {"norms": norms}, seed=1), depth=1.0, scale=2.0)
    assert not torch.allclose(other, far)


def test_the_tables_of_names_are_those_of_recipes():
    """Every name has its function, with parameters of the same names."""
    for functions, table in ((FORGET_LOSSES, recipes.FORGET), (REMAIN_LOSSES, recipes.REMAIN)):
        assert set(functions) == set(table) - {"none"}
        for name, loss in functions.items():
            taken = loss.__code__.co_varnames[2 : loss.__code__.co_argcount]
            assert taken == tuple(table[name].parameters), name


# What holds for every loss on a real model.


@pytest.fixture(scope="module")
def losses(make_target, forget, remain, values, recipe):
    """A function (loss, changes) -> (Recipe, its Batch of step 1, of four clips)."""

    def make(name, **changes):
        chosen = recipe(name, **changes)
        return chosen, Batches(chosen, forget, remain, values, 0, 24).at(1)

    return make


def evaluate(chosen, batch, model):
    name, part = (chosen.forget.name, "forget") if chosen.forget.name != "none" else (chosen.remain.name, "remain")
    return (FORGET_LOSSES | REMAIN_LOSSES)[name](model, batch, **getattr(chosen, part).parameters)


@pytest.fixture(scope="module")
def other_model(make_target):
    """The target after some steps to anywhere."""
    model = make_target()
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=draw)
    return model


@pytest.mark.parametrize(
    ("name", "p_uncond"),
    [(name, share) for name in LOSSES for share in (0.0, 0.5) if not (share and name.startswith("anchor_caption"))],
)
def test_a_batch_may_be_split_anywhere(losses, other_model, name, p_uncond):
    """Clips are padded to the longest caption of their batch: padding has no influence either."""
    chosen, batch = losses(name, p_uncond=p_uncond, batch=6)
    whole = evaluate(chosen, batch, other_model)
    for parts in (2, 3, 6):
        split = torch.cat([evaluate(chosen, part, other_model) for part in batch.split(parts)])
        torch.testing.assert_close(split, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("parts", [2, 3, 4])
@pytest.mark.parametrize("name", LOSSES)
def test_micro_batches_give_the_gradient_of_one_batch(losses, make_target, name, parts):
    gradients = []
    for accumulate in (1, parts):
        chosen, batch = losses(name, accumulate=accumulate)
        model = make_target()
        backward(model, chosen, batch)
        gradients.append([p.grad if p.grad is not None else torch.zeros_like(p) for p in model.parameters()])
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("p_uncond", [0.0, 0.5, 1.0])
def test_the_divergence_to_oneself_is_zero_and_pulls_nowhere(losses, make_target, p_uncond):
    chosen, batch = losses("kl", p_uncond=p_uncond)
    model = make_target()
    loss = evaluate(chosen, batch, model)
    loss.sum().backward()
    assert loss.abs().max() < 1e-6
    assert max(p.grad.abs().max() for p in model.parameters() if p.grad is not None) < 1e-6


@pytest.mark.parametrize("caption", ["other", "null"])
def test_an_anchor_is_reached_under_the_other_caption(losses, make_target, forget, remain, caption):
    chosen, batch = losses({"other": "anchor_caption", "null": "anchor_caption null"}[caption])
    model = make_target()
    assert (evaluate(chosen, batch, model) > 1e-4).all()
    rows = [forget.ids.index(clip) for clip in batch.forget.ids]
    other = remain.take(partners(len(forget), len(remain), ANCHOR_SEED)[rows])
    shown = {"other": other, "null": hide(batch.forget, np.ones(len(rows), dtype=bool))}[caption]
    there = replace(batch, forget=replace(batch.forget, text=shown.text, text_mask=shown.text_mask))
    assert evaluate(chosen, there, model).abs().max() < 1e-6


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_moves_the_weights(losses, other_model, name):
    chosen, batch = losses(name)
    other_model.zero_grad()
    evaluate(chosen, batch, other_model).mean().backward()
    moved = [p.grad for p in other_model.parameters() if p.grad is not None]
    assert all(torch.isfinite(grad).all() for grad in moved)
    assert max(grad.abs().max() for grad in moved) > 1e-5


@pytest.mark.parametrize("name", sorted(set(FORGET_LOSSES) - {"task_vector"}))
def test_a_forget_loss_reads_no_batch_of_remain(losses, other_model, name):
    alone, with_remain = (losses(name, **changes)[1] for changes in ({}, {"remain": "kl"}))
    chosen = losses(name)[0]
    assert torch.equal(evaluate(chosen, alone, other_model), evaluate(chosen, with_remain, other_model))


def test_gradient_ascent_is_minus_the_mean_of_per_clip_nll(losses, other_model):
    chosen, batch = losses("gradient_ascent")
    clips = batch.forget
    expected = set_nll(*token_nll(other_model, clips.codes, clips.text, clips.text_mask))
    assert torch.equal(evaluate(chosen, batch, other_model), -expected)


def test_random_tokens_is_in_expectation_the_cross_entropy_to_uniform(losses, other_model):
    """bad_teacher and ln card."""
    chosen, batch = losses("random_tokens")
    card = other_model.config.card
    with torch.no_grad():
        drawn = []
        for seed in range(200):
            codes = torch.randint(card, batch.forget.codes.shape, generator=torch.Generator().manual_seed(seed))
            again = Batch(batch.forget, None, codes, {})
            drawn.append(evaluate(chosen, again, other_model).mean())
        expected = FORGET_LOSSES["bad_teacher"](other_model, batch).mean() + math.log(card)
    drawn = torch.stack(drawn)
    assert abs(drawn.mean() - expected) < 4 * drawn.std() / 200**0.5
    assert drawn.std() < 0.1 * expected
    assert expected > math.log(card)


@pytest.mark.parametrize("name", ["npo", "simnpo"])
def test_a_preference_starts_with_the_gradient_of_ascent_and_tends_to_it(losses, make_target, other_model, name):
    """At the start NPO's weight 2 sigmoid(-beta 0) is 1; as beta -> 0 it is 1 everywhere."""

    def gradient(loss, model, **parameters):
        _, batch = losses(name)
        model.zero_grad()
        FORGET_LOSSES[loss](model, batch, **parameters).mean().backward()
        return torch.cat([p.grad.flatten() for p in model.parameters()])

    extra = {"margin": 0.0} if name == "simnpo" else {}
    ascent = gradient("gradient_ascent", other_model)
    away = [
        (gradient(name, other_model, beta=beta, **extra) - ascent).norm() / ascent.norm() for beta in (1.0, 0.1, 1e-3)
    ]
    assert away[0] > away[1] > away[2]
    assert away[2] < 1e-3
    if name == "npo":
        target = make_target()
        torch.testing.assert_close(gradient("npo", target, beta=5.0), gradient("gradient_ascent", target))


def test_wga_with_beta_zero_is_gradient_ascent(losses, other_model):
    _, batch = losses("gradient_ascent")
    ascent, weighted = FORGET_LOSSES["gradient_ascent"], FORGET_LOSSES["wga"]
    torch.testing.assert_close(weighted(other_model, batch, beta=0.0), ascent(other_model, batch))


def test_ascent_and_then_descent_of_as_many_steps_returns_to_the_start(losses, make_target):
    """With plain SGD the way back misses the start by the square of the learning rate."""
    _, batch = losses("gradient_ascent")

    def miss(lr):
        model, start = make_target(), make_target()
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        for sign in (1, 1, 1, -1, -1, -1):
            optimizer.zero_grad()
            (sign * FORGET_LOSSES["gradient_ascent"](model, batch).mean()).backward()
            optimizer.step()
        return sum((a - b).square().sum() for a, b in zip(model.parameters(), start.parameters())).sqrt()

    assert 0 < miss(1e-3) < 0.02 * miss(1e-2)
