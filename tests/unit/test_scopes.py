"""A scope moves what it says, to the last bit, and leaves an ordinary model."""

import pytest
import torch

from noencore.musicgen.loss import token_nll
from noencore.scopes import MATRICES, SCOPES, cross_attention, lora, salun

PARAMETERS = {"lora": {"rank": 2, "alpha": 4.0}, "salun": {"share": 0.3}}


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def nll(model, clips):
    return token_nll(model, clips.codes, clips.text, clips.text_mask)[0]


@pytest.fixture
def forget(make_clips):
    return make_clips(6)


@pytest.fixture
def scoped(make_target, forget):
    """A function (name of a scope, parameters) -> (model, Scope)."""

    def make(name, seed=0, **changes):
        model = make_target()
        parameters = PARAMETERS.get(name, {}) | changes
        return model, SCOPES[name](model, lambda: nll(model, forget).mean().backward(), seed, **parameters)

    return make


def train(model, scope, clips, steps=4, weight_decay=0.1):
    optimizer = torch.optim.AdamW(scope.weights.values(), lr=1e-2, weight_decay=weight_decay)
    for _ in range(steps):
        optimizer.zero_grad()
        nll(model, clips).mean().backward()
        scope.after_backward()
        optimizer.step()
        scope.after_step()


@pytest.mark.parametrize("name", SCOPES)
def test_at_the_start_the_model_is_the_target(scoped, make_target, forget, name):
    model, scope = scoped(name)
    assert torch.equal(nll(model, forget), nll(make_target(), forget))
    scope.merge()
    assert same_weights(model, make_target())


@pytest.mark.parametrize("name", SCOPES)
def test_a_scope_learns_and_ends_as_an_ordinary_model_that_says_the_same(scoped, make_target, forget, name):
    model, scope = scoped(name)
    train(model, scope, forget)
    before = nll(model, forget).detach()
    assert before.mean() < nll(make_target(), forget).mean() - 0.01
    scope.merge()
    assert torch.equal(nll(model, forget), before)  # LoRA merged = LoRA applied
    plain = make_target()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(nll(plain, forget), before)


def test_cross_attention_leaves_the_null_condition_to_the_last_bit(scoped, make_target, forget, make_clips):
    model, scope = scoped("cross_attention")
    train(model, scope, forget)
    hidden = make_clips(6)
    hidden.text_mask = torch.zeros_like(hidden.text_mask)
    assert torch.equal(nll(model, hidden), nll(make_target(), hidden))
    mixed = make_clips(6)
    mixed.text_mask[0] = False
    torch.testing.assert_close(nll(model, mixed)[0], nll(make_target(), mixed)[0])
    assert not torch.allclose(nll(model, forget), nll(make_target(), forget), atol=0.01)


def test_cross_attention_moves_all_that_only_a_caption_passes(scoped, forget, make_target):
    """What has no gradient without a caption, and has one with it."""
    model = make_target()
    without = make_target()
    nll(model, forget).mean().backward()
    token_nll(without, forget.codes, forget.text, torch.zeros_like(forget.text_mask))[0].mean().backward()
    expected = {
        name
        for (name, shown), hidden in zip(model.named_parameters(), without.parameters())
        if shown.grad is not None and hidden.grad is None
    }
    assert set(cross_attention(make_target(), None, 0).weights) == expected


def test_lora_moves_a_product_of_its_rank_in_every_matrix(scoped, make_target, forget):
    model, scope = scoped("lora")
    train(model, scope, forget)
    assert sum(weight.numel() for weight in scope.weights.values()) == 2 * sum(
        sum(weight.shape) for name, weight in make_target().named_parameters() if name.endswith(MATRICES)
    )
    scope.merge()
    start = dict(make_target().named_parameters())
    for name, weight in model.named_parameters():
        moved = torch.linalg.matrix_rank(weight.detach() - start[name], rtol=1e-3) if weight.dim() == 2 else 0
        assert moved == (2 if name.endswith(MATRICES) else 0), name


def test_lora_is_w_plus_alpha_over_rank_times_b_a(make_target):
    model = make_target()
    scope = lora(model, None, 0, rank=2, alpha=6.0)
    linear = model.transformer.layers[1].linear1
    adapter = linear.parametrizations.weight[0]
    with torch.no_grad():
        adapter.b.normal_()
    expected = make_target().transformer.layers[1].linear1.weight + 3.0 * adapter.b @ adapter.a
    torch.testing.assert_close(linear.weight, expected)
    assert scope.adapted


@pytest.mark.parametrize("size", [1e-4, 1e-3, 1e-2])
def test_under_bf16_a_step_sees_the_model_that_it_will_be_once_merged(scoped, forget, size):
    """Added in bf16, a small B A is rounded away, and the loss of a step on a GPU is not that of the model it makes."""
    model, scope = scoped("lora")
    with torch.no_grad():
        for name, weight in scope.weights.items():
            if name.endswith(".b"):
                weight.normal_(0, size, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        adapted = nll(model, forget)
    scope.merge()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nll(model, forget), adapted)


def test_the_seed_draws_the_adapters(scoped):
    one, same, other = (scoped("lora", seed=seed)[1].weights for seed in (0, 0, 1))
    a = [name for name in one if name.endswith(".a")]
    assert all(torch.equal(one[name], same[name]) for name in a)
    assert not any(torch.equal(one[name], other[name]) for name in a)


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_salun_holds_every_weight_but_the_chosen_under_adamw(scoped, make_target, forget, share):
    """With weight decay and momentum, which move weights without a gradient."""
    model, scope = scoped("salun", share=share)
    start = dict(make_target().named_parameters())
    train(model, scope, forget)
    total = sum(weight.numel() for weight in start.values())
    assert sum(mask.sum() for mask in scope.masks.values()) == round(share * total)
    for name, weight in model.named_parameters():
        assert torch.equal(weight[~scope.masks[name]], start[name][~scope.masks[name]]), name
    moved = sum((weight != start[name]).sum() for name, weight in model.named_parameters())
    assert moved > 0.9 * share * total


def test_salun_chooses_the_largest_gradients_of_all_tensors(scoped, make_target, forget):
    _, scope = scoped("salun", share=0.2)
    model = make_target()
    nll(model, forget).mean().backward()
    size = {name: weight.grad.abs() for name, weight in model.named_parameters()}
    chosen = torch.cat([size[name][mask] for name, mask in scope.masks.items()])
    left = torch.cat([size[name][~mask] for name, mask in scope.masks.items()])
    assert chosen.min() >= left.max()
    shares = [mask.double().mean() for mask in scope.masks.values()]
    assert min(shares) < 0.1
    assert max(shares) > 0.3  # not a share of each tensor


def test_salun_leaves_no_gradient_behind(make_target, forget):
    model = make_target()
    salun(model, lambda: nll(model, forget).mean().backward(), 0, share=0.5)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", SCOPES)
def test_weights_are_copied_and_loaded_to_the_last_bit(scoped, forget, name):
    model, scope = scoped(name)
    train(model, scope, forget)
    before, kept = nll(model, forget).detach(), scope.copy()
    train(model, scope, forget)
    assert not torch.equal(nll(model, forget), before)
    scope.load(kept)
    assert torch.equal(nll(model, forget), before)


@pytest.mark.parametrize("name", SCOPES)
def test_negation_goes_as_far_to_the_other_side(scoped, make_target, forget, name):
    model, scope = scoped(name)
    start = scope.copy()
    train(model, scope, forget, weight_decay=0.0)
    learned, its_scope = scoped(name)
    its_scope.load(scope.copy())
    its_scope.merge()
    scope.negate(start, 2.0)
    scope.merge()
    there, target = learned.state_dict(), make_target().state_dict()
    for key, weight in model.state_dict().items():
        torch.testing.assert_close(weight, target[key] - 2.0 * (there[key] - target[key]), rtol=1e-4, atol=1e-5)
