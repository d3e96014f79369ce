"""Laws of the losses, for any distributions, tokens and parameters: on a model that answers with given logits."""

import math
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from noencore.tokens import Clips
from noencore.unlearning.batches import Batch, partners, remain_indices
from noencore.unlearning.objectives import FORGET_LOSSES, REMAIN_LOSSES
from noencore.unlearning.recipes import FORGET, Parameter, make_recipe

CARD, K, T, B = 6, 2, 5, 2
LOSSES = FORGET_LOSSES | REMAIN_LOSSES
FEW = hypothesis.settings(max_examples=40)


class Fixed:
    config = SimpleNamespace(card=CARD, n_q=K)

    def __init__(self, logits):
        self.logits = logits

    def __call__(self, sequence, text, text_mask):
        return self.heads(self.trunk(sequence, text, text_mask)).transpose(1, 2)

    def trunk(self, sequence, text, text_mask):
        return self.logits.transpose(1, 2).flatten(2)

    def heads(self, x):
        return x.unflatten(-1, (K, CARD))


seeds = st.integers(0, 2**31 - 1)
sharpness = st.floats(0.1, 60.0)  # up to distributions that are a single token to the last digit
betas = st.floats(0.01, 20.0)


def draw_logits(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(B, K, T, CARD, generator=generator, dtype=torch.float64)


def stored(logits, codes, entries):
    """A distribution as reference.py keeps it: the likeliest entries with the clip's own, and the rest as one."""
    index = torch.zeros(B, K, T, entries, dtype=torch.int16)
    logp, rest = torch.zeros(B, K, T, entries, dtype=torch.float64), torch.zeros(B, K, T, dtype=torch.float64)
    for q in range(K):
        of_q, own = logits[:, q, q:].log_softmax(-1), codes[:, q, : T - q, None]
        top = of_q.topk(entries).indices
        top[..., -1:] = torch.where((top == own).any(-1, keepdim=True), top[..., -1:], own)
        index[:, q, : T - q], logp[:, q, : T - q] = top, of_q.gather(-1, top)
        if entries < CARD:
            rest[:, q, : T - q] = of_q.scatter(-1, top, -math.inf).logsumexp(-1)
    return {"index": index, "logp": logp, "rest": rest}


def make_batch(seed, start, entries=CARD):
    """A batch with random tokens, whose target had the logits `start`."""
    generator = torch.Generator().manual_seed(seed)

    def clips():
        codes = torch.randint(CARD, (B, K, T), generator=generator)
        return Clips(["a", "b"], codes, torch.zeros(B, 1, 3), torch.ones(B, 1, dtype=torch.bool))

    forget, partner, other = clips(), clips(), clips().codes
    given = {key: torch.rand(B, generator=generator, dtype=torch.float64) * 3 for key in ("nll", "start", "codes_nll")}
    values = stored(start, forget.codes, entries) | given | {"codes": other}
    return Batch(forget, partner, other, values, forget, values)


def parameters(name):
    """All parameters of a loss as a strategy."""
    if name in ("kl", "cross_entropy"):
        return st.just({})
    if name == "constraint":
        return st.just({"bound": 1.02, "rate": 1.0, "start": 1.0})
    kinds = {float: betas, int: st.integers(0, 2), bool: st.booleans()}
    table = FORGET[name].parameters
    one = {key: st.sampled_from(p.kind) if isinstance(p.kind, tuple) else kinds[p.kind] for key, p in table.items()}
    return st.fixed_dictionaries(one)


NAMES = sorted(set(LOSSES) - {"rmu"})


@pytest.mark.parametrize("name", NAMES)
@FEW
@hypothesis.given(data=st.data(), seed=seeds, scale=sharpness, entries=st.sampled_from([1, 3, CARD]))
def test_a_loss_and_its_gradient_are_finite_for_any_distribution(name, data, seed, scale, entries):
    logits = draw_logits(seed, scale).requires_grad_()
    batch = make_batch(seed, draw_logits(seed + 1, scale), entries)
    loss = LOSSES[name](Fixed(logits), batch, **data.draw(parameters(name)))
    loss.sum().backward()
    assert loss.shape == (B,)
    assert torch.isfinite(loss).all()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", NAMES)
@FEW
@hypothesis.given(data=st.data(), seed=seeds, shift=st.floats(-50.0, 50.0))
def test_a_loss_does_not_see_a_constant_added_to_all_logits(name, data, seed, shift):
    chosen, batch = data.draw(parameters(name)), make_batch(seed, draw_logits(seed + 1, 2.0))
    logits = draw_logits(seed, 2.0)
    plain, shifted = (LOSSES[name](Fixed(one), batch, **chosen) for one in (logits, logits + shift))
    torch.testing.assert_close(shifted, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@FEW
@hypothesis.given(data=st.data(), seed=seeds, swap=st.permutations(range(CARD)))
def test_a_loss_does_not_depend_on_the_numbering_of_tokens(name, data, seed, swap):
    order = torch.tensor(swap)
    chosen, start, logits = data.draw(parameters(name)), draw_logits(seed + 1, 2.0), draw_logits(seed, 2.0)
    batch = make_batch(seed, start)
    plain = LOSSES[name](Fixed(logits), batch, **chosen)

    def renamed(clips):
        return Clips(clips.ids, order[clips.codes], clips.text, clips.text_mask)

    inverse = torch.argsort(order)
    values = batch.forget_values | {"index": order[batch.forget_values["index"].long()]}
    values |= {"codes": order[values["codes"]]}
    other = Batch(
        renamed(batch.forget), renamed(batch.partner), order[batch.random_codes], values, renamed(batch.remain), values
    )
    torch.testing.assert_close(LOSSES[name](Fixed(logits[..., inverse]), other, **chosen), plain)


@FEW
@hypothesis.given(seed=seeds, scale=sharpness, entries=st.sampled_from([1, 2, 3, CARD]))
def test_the_divergence_to_oneself_is_zero_and_to_others_is_not_negative(seed, scale, entries):
    """Lumping entries never makes a divergence larger."""
    logits, other = draw_logits(seed, scale).requires_grad_(), draw_logits(seed + 1, scale)
    own = LOSSES["kl"](Fixed(logits), make_batch(seed, logits.detach(), entries))
    own.sum().backward()
    assert own.abs().max() < 1e-9
    assert logits.grad.abs().max() < 1e-9
    lumped, full = (LOSSES["kl"](Fixed(logits), make_batch(seed, other, n)) for n in (entries, CARD))
    assert (lumped > -1e-9).all()
    assert (lumped <= full + 1e-9).all()


@FEW
@hypothesis.given(seed=seeds, beta=betas)
def test_undial_is_least_at_the_target_with_the_token_pushed_down(seed, beta):
    start, batch = draw_logits(seed, 2.0), make_batch(seed, draw_logits(seed, 2.0))
    pushed = start.clone()
    for q in range(K):
        rows = pushed[:, q, q:]
        rows -= beta * torch.nn.functional.one_hot(batch.forget.codes[:, q, : T - q], CARD).double()
    pushed.requires_grad_()
    LOSSES["undial"](Fixed(pushed), batch, beta=beta).sum().backward()
    assert pushed.grad.abs().max() < 1e-9


@FEW
@hypothesis.given(seed=seeds, scale=st.floats(0.1, 5.0))
def test_npo_tends_to_gradient_ascent_as_beta_goes_to_zero(seed, scale):
    """Its gradient is that of ascent times 2 sigmoid(-beta rise), clip by clip."""
    batch = make_batch(seed, draw_logits(seed + 1, scale))

    def gradient(name, **chosen):
        logits = draw_logits(seed, scale).requires_grad_()
        LOSSES[name](Fixed(logits), batch, **chosen).sum().backward()
        return logits.grad

    ascent = gradient("gradient_ascent")
    rise = LOSSES["cross_entropy"](Fixed(draw_logits(seed, scale)), batch) - batch.forget_values["nll"]
    for beta in (1e-6, 0.5, 3.0):
        weight = 2 * torch.sigmoid(-beta * rise)[:, None, None, None]
        torch.testing.assert_close(gradient("npo", beta=beta), weight * ascent, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(gradient("npo", beta=1e-6), ascent, rtol=1e-4, atol=1e-9)


@FEW
@hypothesis.given(seed=seeds, scale=sharpness, beta=st.floats(0.0, 3.0))
def test_bounded_losses_keep_their_bounds(seed, scale, beta):
    logits, batch = draw_logits(seed, scale), make_batch(seed, draw_logits(seed + 1, scale))
    loss = {name: LOSSES[name](Fixed(logits), batch) for name in ("bad_teacher", "gradient_ascent")}
    assert (loss["bad_teacher"] > -1e-9).all()
    assert (LOSSES["gradient_ascent"](Fixed(logits), batch, cap=True) >= -math.log(CARD) - 1e-9).all()
    assert (LOSSES["wga"](Fixed(logits), batch, beta=beta) >= loss["gradient_ascent"] - 1e-9).all()  # sure tokens first


@FEW
@hypothesis.given(size=st.integers(1, 30), batch=st.integers(1, 12), seed=st.integers(0, 99), steps=st.integers(1, 20))
def test_no_remain_clip_is_drawn_a_third_time_before_every_other_was_once(size, batch, seed, steps):
    drawn = np.concatenate([remain_indices(size, batch, step, seed) for step in range(steps)])
    counts = np.bincount(drawn, minlength=size)
    assert len(drawn) == steps * batch
    assert counts.max() - counts.min() <= 1


@FEW
@hypothesis.given(forget=st.integers(1, 50), remain=st.integers(1, 50), seed=st.integers(0, 99))
def test_partners_are_remain_clips(forget, remain, seed):
    chosen = partners(forget, remain, seed)
    assert len(chosen) == forget
    assert ((chosen >= 0) & (chosen < remain)).all()


@FEW
@hypothesis.given(data=st.data(), name=st.sampled_from(sorted(FORGET)), steps=st.integers(1, 99))
def test_a_number_within_its_bounds_is_a_recipe_and_one_outside_is_not(data, name, steps):
    from noencore.errors import UserError

    for key, parameter in FORGET[name].parameters.items():
        if isinstance(parameter.kind, tuple) or parameter.kind is bool:
            continue
        value = data.draw(st.integers(-5, 50) if parameter.kind is int else st.floats(-5, 50, allow_nan=False))
        entry = {"forget": {"name": name, key: value}, "lr": 1.0, "steps": steps}
        if within(parameter, value):
            assert make_recipe("x", entry).forget.parameters[key] == value
        else:
            with pytest.raises(UserError, match=rf"recipes\.x\.forget\.{key}: .* is out of bounds"):
                make_recipe("x", entry)


def within(parameter: Parameter, value):
    return value > parameter.above and parameter.at_least <= value <= parameter.at_most
