"""Runs: a control that changes nothing, recipes that do what they say, and the same weights whatever interrupts."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from cases import LOSSES, same_weights

from noencore import checkpoints
from noencore.errors import UserError
from noencore.musicgen.loss import set_nll, token_nll
from noencore.tokens import Clips
from noencore.training import TrainingRecipe, batch_indices, learning_rate, mean_nll, train_model
from noencore.unlearning import reference, watch
from noencore.unlearning import run as run_module
from noencore.unlearning.batches import Batches, hide
from noencore.unlearning.objectives import FORGET_LOSSES
from noencore.unlearning.recipes import make_recipe
from noencore.unlearning.run import next_dual, unlearn

GA = {"forget": "gradient_ascent", "steps": 10, "batch": 4, "lr": 1e-3}


@pytest.fixture(autouse=True)
def save_every_step(monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0)


@pytest.fixture(scope="session")
def dev(make_clips, forget):
    kept = {
        name: make_clips(count, seed) for name, count, seed in (("remain", 3, 2), ("holdout", 4, 3), ("utility", 2, 4))
    }
    return {"forget": forget, **kept}


@pytest.fixture
def run(make_target, forget, remain, dev, values, tmp_path):
    """A function (entry or Recipe, seed, progress) -> Result, from the target's weights."""

    def call(recipe, seed=0, progress=iter):
        recipe = make_recipe("x", recipe) if isinstance(recipe, dict) else recipe
        path = tmp_path / "run.safetensors"
        return unlearn(make_target(), recipe, forget, remain, dev, seed, path, values, progress)

    return call


@pytest.fixture(scope="module")
def make_target(make_model, forget, remain, tmp_path_factory):
    """A function -> a model that has learned the clips to unlearn and those to keep."""
    both = Clips(
        forget.ids + remain.ids,
        *(torch.cat([getattr(forget, of), getattr(remain, of)]) for of in ("codes", "text", "text_mask")),
    )
    path = tmp_path_factory.mktemp("target") / "run.safetensors"
    learned, _ = train_model(make_model(), both, TrainingRecipe(60, 11, 1e-2, 0.1, 0.0, 0.2), 0, path)
    return lambda: copy.deepcopy(learned)


@pytest.fixture(scope="module")
def values(make_target, forget, remain):
    """One set of reference values is enough here."""
    return {kind: reference.reference_values(kind, make_target(), forget, remain) for kind in reference.KINDS}


def nll(result, name, point=-1):
    return result.curve["nll"][result.curve["set"] == name].iloc[point]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_in_half_precision_are_not_trained(make_target, forget, remain, dev, tmp_path, dtype):
    model = make_target().to(dtype)
    with pytest.raises(UserError, match=rf"emb\.0\.weight is {dtype}, and training needs torch\.float32: .*get lost"):
        unlearn(model, make_recipe("x", GA), forget, remain, dev, 0, tmp_path / "x.safetensors")


def test_none_leaves_every_weight_as_it_was(run, make_target):
    result = run({"forget": "none"})
    assert same_weights(result.model, make_target())
    assert result.curve[["step", "set", "n"]].to_numpy().tolist() == [
        *([0, "forget", 6], [0, "remain", 3], [0, "holdout", 4], [0, "utility", 2])
    ]
    assert (result.cost.steps, result.cost.tokens, result.status, result.picked) == (0, 0, "ok", 0)


@pytest.mark.parametrize(
    ("change", "points"),
    [
        ({}, [0, 2, 4, 6, 8, 10]),
        ({"steps": 3}, [0, 1, 2, 3]),
        ({"steps": 1}, [0, 1]),
        ({"points": 2}, [0, 5, 10]),
        ({"steps": None, "epochs": 2, "points": 4}, [0, 1, 2, 3, 4]),
    ],
)
def test_the_curve_has_its_points_of_every_dev_set_where_there_are_steps(run, change, points):
    result = run({key: value for key, value in (GA | change).items() if value is not None})
    assert list(result.curve) == ["step", "set", "nll", "n"]
    for name in ("forget", "remain", "holdout", "utility"):
        assert result.curve["step"][result.curve["set"] == name].tolist() == points
    assert (result.cost.steps, result.picked) == (points[-1], points[-1])


def test_the_curve_is_the_mean_of_the_clips(run, forget, make_target):
    result = run(GA)
    means = result.dev.groupby(["step", "set"])["nll"].mean()
    for row in result.curve.itertuples():
        assert means[row.step, row.set] == pytest.approx(row.nll, rel=1e-6)
    first = result.dev[(result.dev["step"] == 0) & (result.dev["set"] == "forget")]
    assert first["clip_id"].tolist() == forget.ids
    np.testing.assert_array_equal(first["nll"], mean_nll(make_target(), forget).double())


def test_gradient_ascent_raises_the_loss_of_forget_clips_at_every_point(run):
    result = run(GA)
    assert result.curve["nll"][result.curve["set"] == "forget"].is_monotonic_increasing
    assert nll(result, "forget") > nll(result, "forget", 0) + 0.1


@pytest.mark.parametrize("name", ["gradient_ascent", "random_caption", "random_tokens"])
def test_the_paper_s_recipes_are_a_plain_loop_to_the_last_bit(run, make_target, forget, remain, name):
    """Nothing that other recipes can do costs these a rounding: AdamW on the mean over clips, clipped to norm 1."""
    model, seed = make_target(), 1
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.0, fused=True)
    paired = np.random.default_rng([seed, 3]).integers(len(remain), size=len(forget))
    for step in range(10):
        index = batch_indices(len(forget), 4, step, seed)
        clips, partners = forget.take(index), remain.take(paired[index])
        draw = torch.Generator().manual_seed(seed * 1_000_003 + step)
        drawn = torch.randint(24, clips.codes.shape, generator=draw)
        shown = partners if name == "random_caption" else clips
        targets = drawn if name == "random_tokens" else None
        loss = set_nll(*token_nll(model, clips.codes, shown.text, shown.text_mask, targets=targets)).mean()
        optimizer.param_groups[0]["lr"] = learning_rate(step, 10, 1e-3, 0.05)
        optimizer.zero_grad()
        (-loss if name == "gradient_ascent" else loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert same_weights(run(GA | {"forget": name}, seed=seed).model, model)


RAISES = ("gradient_ascent", "random_tokens", "swapped_audio", "npo", "simnpo", "dpo", "undial", "ce_u", "wga",
          "rmu", "bad_teacher", "task_vector")  # fmt: skip


@pytest.mark.parametrize("scope", ["all", "lora", "salun"])
@pytest.mark.parametrize("name", RAISES)
def test_a_loss_unlearns_the_forget_clips_in_any_scope(run, name, scope):
    result = run({**GA, "forget": name, "scope": scope, "lr": 1e-2 if scope == "lora" else 3e-3, "steps": 20})
    assert result.status == "ok"
    assert nll(result, "forget") > nll(result, "forget", 0) + 0.01


@pytest.mark.parametrize("name", [name for name, entry in LOSSES.items() if entry["forget"] != "none"])
def test_a_recipe_lowers_its_own_loss(run, forget, remain, values, make_target, name):
    """Measured under captions and tokens that the run did not draw; a task vector is negated, so it ends above."""
    recipe = make_recipe("x", {**GA, **LOSSES[name], "lr": 3e-3, "steps": 20, "batch": 6})
    result = run(recipe)
    batches = Batches(recipe, forget, remain, values, 0, 24)
    loss = FORGET_LOSSES[recipe.forget.name]
    with torch.no_grad():
        before, after = (
            sum(loss(model, batches.at(100 + step), **recipe.forget.parameters).mean() for step in range(10))
            for model in (make_target(), result.model)
        )
    assert (after > before) if name == "task_vector" else (after < before)


@pytest.mark.parametrize("name", ["cross_entropy", "kl", "constraint"])
def test_a_remain_loss_keeps_remain_nearer_to_the_target(run, name, remain, make_target):
    entry = {**GA, "steps": 20, "lr": 3e-3, "batch": 5}
    start = mean_nll(make_target(), remain).mean()
    with_loss, without = (run(one).model for one in (entry | {"remain": name, "alpha": 3.0}, entry))
    assert mean_nll(with_loss, remain).mean() - start < 0.7 * (mean_nll(without, remain).mean() - start)


def test_fine_tuning_on_remain_alone_learns_remain(run, remain, make_target):
    result = run({**GA, "forget": "none", "remain": "cross_entropy", "steps": 20})
    assert mean_nll(result.model, remain).mean() < mean_nll(make_target(), remain).mean() - 0.1


def test_a_task_vector_is_as_far_on_the_other_side_as_descent_went(run, dev):
    """Its curve is that of the negated model."""
    descent = run({**GA, "forget": {"name": "task_vector", "scale": 1e-9}})
    result = run({**GA, "forget": {"name": "task_vector", "scale": 1.0}})
    assert nll(result, "forget") == pytest.approx(float(mean_nll(result.model, dev["forget"]).mean()), rel=1e-6)
    assert nll(result, "forget") > nll(result, "forget", 0)
    assert nll(descent, "forget") == pytest.approx(nll(descent, "forget", 0), rel=1e-5)


def test_a_dual_variable_rises_above_the_bound_and_never_falls_below_zero():
    recipe = make_recipe("x", {**GA, "remain": {"name": "constraint", "rate": 2.0}})
    assert next_dual(recipe, 1.0, {"remain": 0.5}) == 2.0
    assert next_dual(recipe, 1.0, {"remain": -0.25}) == 0.5
    assert next_dual(recipe, 1.0, {"remain": -3.0}) == 0.0
    assert next_dual(make_recipe("x", {**GA, "remain": "kl"}), 1.0, {"remain": 0.5}) == 1.0


INTERRUPTED = [
    GA,
    *({**GA, "scope": scope} for scope in ("cross_attention", "lora", "salun")),
    {**GA, "remain": {"name": "constraint", "rate": 5.0}, "p_uncond": 0.5, "accumulate": 2, "remain_batch": 3},
    {**GA, "pick": "nearest_holdout"},
    {**GA, "scope": "lora", "forget": "task_vector", "lr": 1e-2},
]


@pytest.mark.parametrize("entry", INTERRUPTED, ids=lambda entry: "-".join(map(str, entry.values())))
@pytest.mark.parametrize("stop", [0, 3, 9])
def test_an_interrupted_run_is_an_uninterrupted_run(run, stop_after, tmp_path, entry, stop):
    check_interrupted(run, stop_after, tmp_path, entry, stop)


@pytest.mark.parametrize("name", LOSSES)
def test_so_it_is_with_every_loss(run, stop_after, tmp_path, name):
    check_interrupted(run, stop_after, tmp_path, GA | LOSSES[name], 3)


def check_interrupted(run, stop_after, tmp_path, entry, stop):
    whole = run(entry)
    with pytest.raises(KeyboardInterrupt):
        run(entry, progress=stop_after(stop))
    steps = []
    resumed = run(entry, progress=lambda left: steps.extend(left) or steps)
    assert steps == list(range(stop, 10))
    assert same_weights(whole.model, resumed.model)
    pd.testing.assert_frame_equal(whole.curve, resumed.curve, check_exact=True)
    pd.testing.assert_frame_equal(whole.dev, resumed.dev, check_exact=True)
    assert (resumed.cost.tokens, resumed.picked, resumed.status) == (whole.cost.tokens, whole.picked, whole.status)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["gradient_ascent", "random_caption", "random_tokens", "rmu"])
def test_the_seed_alone_decides(run, name):
    entry = {**GA, "forget": name, "steps": 3}
    assert same_weights(run(entry, seed=1).model, run(entry, seed=1).model)
    assert not same_weights(run(entry, seed=1).model, run(entry, seed=2).model)


def test_micro_batches_change_the_result_by_rounding_alone(run):
    entry = {**GA, "remain": "kl"}
    one, four = (run(entry | {"accumulate": parts}).dev["nll"] for parts in (1, 4))
    np.testing.assert_allclose(four, one, rtol=1e-3)
    assert not np.allclose(run(entry | {"batch": 3}).dev["nll"], one, rtol=1e-3)


# Stopping, picking, diverging.


def test_a_rise_is_stopped_at_the_last_point_within_its_bound(run, dev):
    free = run({**GA, "lr": 3e-3})
    rises = {
        step: nll_ / nll(free, "remain", 0) - 1
        for step, nll_ in free.curve[free.curve["set"] == "remain"][["step", "nll"]].to_numpy()
    }
    bound = (rises[4] + rises[6]) / 2
    result = run({**GA, "lr": 3e-3, "stop": {"metric": "remain_rise", "bound": float(bound)}})
    assert (result.status, result.cost.steps, result.picked) == ("stopped", 6, 4)
    assert result.curve["step"].max() == 6
    assert float(mean_nll(result.model, dev["remain"]).mean()) == pytest.approx(
        float(free.curve[(free.curve["set"] == "remain") & (free.curve["step"] == 4)]["nll"].iloc[0]), rel=1e-5
    )


def test_a_goal_is_stopped_at_the_point_that_reaches_it(run):
    free = run(GA)
    of_forget = free.curve[free.curve["set"] == "forget"].set_index("step")["nll"]
    result = run({**GA, "stop": {"metric": "forget_nll", "bound": float(of_forget[4])}})
    assert (result.status, result.cost.steps, result.picked) == ("stopped", 4, 4)
    gap = free.curve.pivot(index="step", columns="set", values="nll")
    gap = gap["holdout"] - gap["forget"]
    result = run({**GA, "stop": {"metric": "holdout_gap", "bound": float(gap[6])}})
    assert result.status == "stopped"
    assert result.picked == gap.index[gap <= gap[6]][0]


def test_the_point_nearest_to_holdout_is_kept(run, monkeypatch):
    """The later of equals: forget is 0.5 from holdout at steps 2 and 4."""
    script = iter([1.0, 2.5, 3.5, 5.0, 6.0, 7.0])
    values = {"forget": None, "remain": 2.0, "holdout": 3.0, "utility": 4.0}

    def scripted(model, clips):
        name = next(name for name, of_set in zip(values, (6, 3, 4, 2)) if len(clips) == of_set)
        return torch.full((len(clips),), next(script) if name == "forget" else values[name])

    with monkeypatch.context() as patch:
        patch.setattr(watch, "mean_nll", scripted)
        result = run({**GA, "pick": "nearest_holdout"})
    assert (result.status, result.cost.steps, result.picked) == ("ok", 10, 4)
    cut = run({**GA, "stop": {"metric": "forget_nll", "bound": nll(run(GA), "forget", 2)}})
    assert cut.picked == 4
    assert same_weights(result.model, cut.model)


@pytest.mark.parametrize(("scope", "lr"), [("all", 1.0), ("all", 1e30), ("lora", 1e30)])
def test_a_run_that_diverges_keeps_its_curve_and_the_last_good_weights(run, make_target, lr, scope):
    result = run({**GA, "lr": lr, "scope": scope, "warmup": 0.0})
    assert result.status == "diverged"
    assert result.cost.steps <= 2
    assert result.picked == 0
    assert same_weights(result.model, make_target())
    assert result.curve["step"].tolist()[:4] == [0] * 4
    assert np.isfinite(result.curve["nll"][result.curve["step"] == 0]).all()


def test_a_run_that_goes_wrong_late_keeps_the_point_before(run, monkeypatch):
    whole, step, taken = run({**GA, "steps": 10}), run_module.take_step, []

    def blow_up_at_five(*arguments):
        taken.append(None)
        return None if len(taken) == 6 else step(*arguments)

    monkeypatch.setattr(run_module, "take_step", blow_up_at_five)
    result = run({**GA, "steps": 10})
    assert (result.status, result.cost.steps, result.picked) == ("diverged", 5, 4)
    pd.testing.assert_frame_equal(result.curve, whole.curve[whole.curve["step"] <= 4])


def test_a_divergence_is_an_nll_of_three_times_ln_card(run, monkeypatch):
    free = run({**GA, "lr": 3e-3})
    worst = free.curve.groupby("step")["nll"].max()
    monkeypatch.setattr(watch, "DIVERGED", (worst[6] + worst[8]) / 2 / math.log(24))
    assert run({**GA, "lr": 3e-3}).cost.steps == 8


# What is refused before the first step.


def test_simnpo_with_a_threshold_below_zero_is_refused(run, values):
    start = float(values["forget_nll"]["caption"].mean())
    recipe = {**GA, "forget": {"name": "simnpo", "margin": -start - 0.1}}
    with pytest.raises(
        UserError, match=r"config: recipes\.x\.forget\.margin: delta would be below 0; raise it above -"
    ):
        run(recipe)
    assert run({**GA, "forget": {"name": "simnpo", "margin": -start + 0.1}, "steps": 1}).status == "ok"


def test_a_skip_of_all_frames_is_refused(run):
    with pytest.raises(UserError, match=r"recipes\.x\.forget\.skip: leaves nothing of clips of 9 scored frames"):
        run({**GA, "forget": {"name": "ce_u", "skip": 9}})
    assert run({**GA, "forget": {"name": "ce_u", "skip": 8}, "steps": 1}).status == "ok"


def test_a_divergence_without_reference_is_refused(make_target, forget, remain, tmp_path):
    recipe = make_recipe("x", {**GA, "remain": "kl"})
    with pytest.raises(UserError, match="needs the target's remain_caption"):
        unlearn(make_target(), recipe, forget, remain, {"forget": forget}, 0, tmp_path / "run")


def test_hidden_captions_unlearn_the_null_condition(run, forget):
    """p_uncond: of the content against of the association with the caption."""
    hidden = hide(forget, np.ones(6, dtype=bool))
    raised = []
    for p_uncond in (0.0, 1.0):
        model = run({**GA, "p_uncond": p_uncond, "steps": 20}).model
        raised.append([float(mean_nll(model, clips).mean()) for clips in (forget, hidden)])
    assert raised[1][1] > raised[0][1]
