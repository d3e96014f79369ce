"""Recipes: a control that changes nothing, methods that do what they say, and the same weights whatever interrupts."""

import pandas as pd
import pytest
import torch

from noencore import checkpoints
from noencore.errors import UserError
from noencore.unlearning.objectives import FORGET_LOSSES
from noencore.unlearning.recipes import Recipe, unlearn

GA = Recipe("ga", "gradient_ascent", steps=10, batch=4, lr=1e-3)


@pytest.fixture(autouse=True)
def save_every_step(monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0)


@pytest.fixture
def run(make_model, make_clips, tmp_path):
    """A function (recipe, seed, progress) -> (model, curve, cost), from the weights of `make_model`."""
    forget, remain = make_clips(6), make_clips(5, seed=1)
    dev = {"forget": forget, "remain": make_clips(3, seed=2)}

    def call(recipe, seed=0, progress=iter):
        return unlearn(make_model(), recipe, forget, remain, dev, seed, tmp_path / "run.safetensors", progress)

    return call


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_none_leaves_every_weight_as_it_was(run, make_model):
    model, curve, cost = run(Recipe("none", "none"))
    assert same_weights(model, make_model())
    assert curve[["step", "set", "n"]].to_numpy().tolist() == [[0, "forget", 6], [0, "remain", 3]]
    assert (cost.steps, cost.tokens) == (0, 0)


@pytest.mark.parametrize(("steps", "points"), [(10, [0, 2, 4, 6, 8, 10]), (3, [0, 1, 2, 3]), (1, [0, 1])])
def test_the_curve_has_six_points_of_every_dev_set_where_there_are_steps(run, steps, points):
    _, curve, cost = run(Recipe("ga", "gradient_ascent", steps=steps, batch=4, lr=1e-3))
    assert list(curve) == ["step", "set", "nll", "n"]
    for name in ("forget", "remain"):
        assert curve["step"][curve["set"] == name].tolist() == points
    assert cost.steps == steps


def test_every_curve_starts_at_the_target(run):
    starts = [run(recipe)[1].head(2) for recipe in (Recipe("none", "none"), GA)]
    pd.testing.assert_frame_equal(*starts)


def test_gradient_ascent_raises_the_loss_of_forget_clips_at_every_point(run):
    _, curve, _ = run(GA)
    assert curve["nll"][curve["set"] == "forget"].is_monotonic_increasing
    assert curve["nll"].iloc[-2] > curve["nll"].iloc[0] + 0.1


@pytest.mark.parametrize("name", FORGET_LOSSES)
def test_a_recipe_lowers_its_own_loss(run, make_model, make_clips, name):
    """Measured under captions and targets that the run did not draw."""
    model, _, _ = run(Recipe("x", name, steps=20, batch=6, lr=3e-3))
    forget, remain = make_clips(6), make_clips(5, seed=1)
    loss = FORGET_LOSSES[name]
    with torch.no_grad():
        before, after = (
            sum(loss(m, forget, remain.take([seed % 5] * 6), seed) for seed in range(20)) for m in (make_model(), model)
        )
    assert after < before


@pytest.mark.parametrize("name", FORGET_LOSSES)
@pytest.mark.parametrize("stop", [0, 3, 9])
def test_an_interrupted_run_is_an_uninterrupted_run(run, stop_after, tmp_path, name, stop):
    recipe = Recipe("x", name, steps=10, batch=4, lr=1e-3)
    whole, curve, cost = run(recipe)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, progress=stop_after(stop))
    steps = []
    resumed, resumed_curve, resumed_cost = run(recipe, progress=lambda left: steps.extend(left) or steps)
    assert steps == list(range(stop, 10))
    assert same_weights(whole, resumed)
    pd.testing.assert_frame_equal(curve, resumed_curve, check_exact=True)
    assert resumed_cost.tokens == cost.tokens
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FORGET_LOSSES)
def test_the_seed_alone_decides(run, name):
    recipe = Recipe("x", name, steps=3, batch=4, lr=1e-3)
    assert same_weights(run(recipe, seed=1)[0], run(recipe, seed=1)[0])
    assert not same_weights(run(recipe, seed=1)[0], run(recipe, seed=2)[0])


def test_every_step_of_every_seed_draws_anew(run, monkeypatch):
    seen, loss = [], FORGET_LOSSES["random_tokens"]

    def spy(model, forget, remain, seed):
        seen.append(seed)
        return loss(model, forget, remain, seed)

    monkeypatch.setitem(FORGET_LOSSES, "random_tokens", spy)
    for seed in (0, 1):
        run(Recipe("x", "random_tokens", steps=5, batch=4, lr=1e-3), seed=seed)
    assert len(set(seen)) == len(seen) == 10


def test_a_loss_that_is_not_finite_names_the_learning_rate(run):
    recipe = Recipe("wild", "gradient_ascent", steps=5, batch=4, lr=1e30)
    with pytest.raises(UserError, match=r"config: recipes\.wild\.lr: the loss is .* at step \d; lower it"):
        run(recipe)
