"""Training: every clip once an epoch, the same weights whatever interrupts it, and it learns what it is given."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from noencore import checkpoints, training
from noencore.codec import CodecConfig
from noencore.errors import UserError
from noencore.files import write_tensors
from noencore.musicgen.loss import set_nll, token_nll
from noencore.musicgen.model import MusicGenLM
from noencore.scopes import SCOPES
from noencore.split import SETS
from noencore.tokens import codec_shape_metadata
from noencore.training import (
    TrainingRecipe,
    autocast,
    batch_indices,
    dev_frames,
    learning_rate,
    load_dev,
    mean_nll,
    train_model,
    without_captions,
)

RECIPE = TrainingRecipe(steps=9, batch=4, lr=3e-3, warmup=0.1, weight_decay=0.01, p_uncond=0.3)


@pytest.fixture(autouse=True)
def save_every_step(monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0)


@pytest.fixture
def train(tiny_config, make_clips, tmp_path):
    """A function (recipe, clips, seed, progress) -> (model, cost)."""

    def call(recipe=RECIPE, clips=None, seed=0, progress=iter):
        clips = make_clips(10) if clips is None else clips
        return train_model(
            MusicGenLM(tiny_config, seed=seed), clips, recipe, seed, tmp_path / f"run-{seed}.safetensors", progress
        )

    return call


def test_a_card_that_torch_cannot_use_is_not_passed_over(tmp_path, monkeypatch):
    """An old driver: torch warns in a log and says that there is none."""
    monkeypatch.setattr(training.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(training, "CARD", tmp_path / "nvidia0")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert training.pick_device() == "cpu"
    training.CARD.touch()
    for visible in (None, "0", "1,2", "GPU-8f1c"):
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with pytest.raises(UserError, match=r"nvidia0: a card that PyTorch cannot use; update its driver \(for CUDA"):
            training.pick_device()
    for hidden in ("", "-1", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert training.pick_device() == "cpu"


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize(("size", "batch"), [(10, 4), (8, 4), (3, 5), (1, 1)])
def test_every_clip_is_seen_once_an_epoch(size, batch):
    per_epoch = math.ceil(size / batch)
    epochs = []
    for epoch in range(3):
        steps = [batch_indices(size, batch, epoch * per_epoch + step, seed=0) for step in range(per_epoch)]
        assert all(len(index) == batch for index in steps[:-1])
        epochs.append(np.concatenate(steps).tolist())
        assert sorted(epochs[-1]) == list(range(size))
    if size > 3:
        assert epochs[0] != epochs[1] != epochs[2]


def test_the_order_of_clips_follows_from_seed_and_step():
    one, again, other = (np.concatenate([batch_indices(20, 4, step, seed) for step in range(5)]) for seed in (0, 0, 1))
    assert one.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize(("steps", "warmup"), [(100, 0.05), (40, 0.0), (3, 0.1), (1, 0.5)])
def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero(steps, warmup):
    rates = [learning_rate(step, steps, 2.0, warmup) for step in range(steps + 1)]
    warm = max(1, round(warmup * steps))
    assert rates[warm - 1] == max(rates) == 2.0
    assert rates[:warm] == pytest.approx([2.0 * (step + 1) / warm for step in range(warm)])
    assert all(a > b for a, b in zip(rates[warm:-1], rates[warm + 1 :], strict=True))
    if steps > warm:
        assert rates[-1] == pytest.approx(0.0, abs=1e-12)
        assert rates[warm + (steps - warm) // 2] == pytest.approx(1.0, rel=0.2)


@pytest.mark.parametrize("stop", [0, 1, 4, 8])
def test_a_resumed_run_is_an_uninterrupted_run(train, stop_after, stop):
    """Nine steps: three epochs of batches of 4, 4 and 2 clips."""
    whole, cost = train()
    with pytest.raises(KeyboardInterrupt):
        train(progress=stop_after(stop))
    steps = []
    resumed, resumed_cost = train(progress=lambda left: steps.extend(left) or steps)
    assert steps == list(range(stop, 9))
    assert same_weights(whole, resumed)
    assert (resumed_cost.tokens, resumed_cost.steps) == (cost.tokens, cost.steps)


def test_a_run_that_is_done_leaves_no_checkpoint(train, tmp_path):
    train()
    assert list(tmp_path.iterdir()) == []


def test_another_seed_draws_other_weights(train):
    assert not same_weights(train(seed=0)[0], train(seed=1)[0])


def test_cost_counts_the_tokens_of_every_epoch(train, make_clips):
    _, cost = train()
    assert (cost.steps, cost.tokens) == (9, 3 * make_clips(10).codes.numel())
    assert cost.seconds > 0
    assert cost.peak_memory_mb > 0


def test_training_lowers_the_loss_of_its_clips_and_not_of_others(train, make_clips, make_model):
    """Random tokens: there is nothing to learn but the clips themselves."""
    clips, others = make_clips(4), make_clips(4, seed=9)
    model, _ = train(TrainingRecipe(60, 4, 1e-2, 0.1, 0.0, 0.0), clips)
    before = mean_nll(make_model(0), clips).mean()
    assert mean_nll(model, clips).mean() < 0.5 * before
    assert mean_nll(model, others).mean() > before
    assert not model.training


def test_captions_matter_unless_they_are_always_hidden(train, make_clips):
    clips = make_clips(4)
    swapped = make_clips(4)
    swapped.text, swapped.text_mask = make_clips(4, seed=5).text, make_clips(4, seed=5).text_mask
    bare = without_captions(make_clips(4))
    hidden = [train(TrainingRecipe(3, 4, 1e-2, 0.1, 0.0, 1.0), which)[0] for which in (clips, swapped)]
    assert same_weights(*hidden)
    assert same_weights(hidden[0], train(TrainingRecipe(3, 4, 1e-2, 0.1, 0.0, 0.0), bare)[0])
    shown = [train(TrainingRecipe(3, 4, 1e-2, 0.1, 0.0, 0.0), which)[0] for which in (clips, swapped)]
    assert not same_weights(*shown)


def test_checkpointed_activations_give_the_same_weights(train):
    assert same_weights(train()[0], train(replace(RECIPE, checkpoint_activations=True))[0])


def test_a_training_that_diverges_names_the_key(train):
    with pytest.raises(UserError, match=r"config: training\.lr: the loss is (nan|inf) at step \d+; lower it"):
        train(replace(RECIPE, lr=1e30))


def test_eight_steps_of_one_clip_accumulate_the_gradient_of_one_step_of_eight(make_model, make_clips):
    """The loss is a mean over clips of means over each clip's own tokens, so clips weigh the same in any batch."""
    model, clips = make_model(), make_clips(8)

    def gradients(batches):
        model.zero_grad()
        for index in batches:
            part = clips.take(index)
            loss = set_nll(*token_nll(model, part.codes, part.text, part.text_mask)).mean()
            (loss / len(batches)).backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    together = gradients([range(8)])
    for batches in ([[i] for i in range(8)], [range(4), range(4, 8)]):
        torch.testing.assert_close(gradients(batches), together, rtol=1e-5, atol=1e-7)


def test_autocast_is_for_the_gpu_unless_it_is_asked_for(make_model, make_clips):
    model, clips = make_model(), make_clips(3)
    exact = mean_nll(model, clips)
    seen = []
    model.transformer.layers[0].linear1.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    for enabled in (None, True):
        with autocast(torch.device("cpu"), enabled):
            loss = set_nll(*token_nll(model, clips.codes, clips.text, clips.text_mask))
        torch.testing.assert_close(loss, exact, rtol=0.02 if enabled else 0, atol=0)
    assert seen == [torch.float32, torch.bfloat16]
    loss.mean().backward()
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}


def test_mean_nll_of_a_clip_does_not_depend_on_its_batch(make_model, make_clips):
    model, clips = make_model(), make_clips(7)
    alone = torch.cat([mean_nll(model, clips.take([i])) for i in range(7)])
    torch.testing.assert_close(mean_nll(model, clips, batch=3), alone, rtol=1e-5, atol=1e-5)
    expected = set_nll(*token_nll(model, clips.codes, clips.text, clips.text_mask))
    torch.testing.assert_close(alone, expected, rtol=1e-5, atol=1e-5)


def test_the_curve_has_a_row_a_set(make_model, make_clips):
    model, dev = make_model(), {"forget": make_clips(5), "remain": make_clips(3, seed=1)}
    values = {name: mean_nll(model, clips) for name, clips in dev.items()}
    curve, clips = dev_frames([(7, values)], dev)
    assert curve.drop(columns="nll").to_numpy().tolist() == [[7, "forget", 5], [7, "remain", 3]]
    assert curve["nll"].tolist() == [float(nll.mean()) for nll in values.values()]
    assert clips["clip_id"].tolist() == dev["forget"].ids + dev["remain"].ids
    assert clips["nll"].tolist() == torch.cat(list(values.values())).tolist()


def test_dev_clips_are_those_of_each_set(tmp_path):
    ids = [f"clip{i}" for i in range(8)]
    places = {"set": [name for name in SETS for _ in range(2)], "part": ["dev", "test"] * 4}
    split = pd.DataFrame({"clip_id": ids, "work_id": ids, **places})
    tensors = {f"codes/{clip}": torch.zeros(4, 6, dtype=torch.int16) for clip in ids}
    tensors |= {f"text/{clip}": torch.ones(3, 5, dtype=torch.float16) for clip in ids}
    write_tensors(tensors, tmp_path / "shard-0.safetensors", codec_shape_metadata(CodecConfig()))
    dev = load_dev([tmp_path / "shard-0.safetensors"], split)
    assert {name: clips.ids for name, clips in dev.items()} == {
        "forget": ["clip0"],
        "remain": ["clip2"],
        "holdout": ["clip4"],
        "utility": ["clip6"],
    }


def test_a_released_model_is_fine_tuned_by_adapters_alone(make_model, make_clips, tmp_path):
    """What LoRA does not adapt stays to the last bit, what it adapts moves by a matrix of its rank."""
    clips, start = make_clips(10), make_model(seed=5)
    recipe = replace(RECIPE, scope={"name": "lora", "rank": 2, "alpha": 4.0})
    trained, _ = train_model(make_model(seed=5), clips, recipe, 0, tmp_path / "run.safetensors")
    assert trained.state_dict().keys() == start.state_dict().keys()
    for (name, before), after in zip(start.state_dict().items(), trained.state_dict().values()):
        moved = after - before
        if "layers" in name and before.ndim == 2:
            assert 0 < torch.linalg.matrix_rank(moved, rtol=1e-3) <= 2, name
        else:
            assert not moved.any(), name
    assert mean_nll(trained, clips).mean() < mean_nll(start, clips).mean()


def test_adapters_of_a_recipe_with_the_seed_of_the_training_are_others(make_model, make_clips, tmp_path):
    """Else it moves where the target was trained to, and with that seed alone."""
    recipe = replace(RECIPE, lr=1e-4, scope={"name": "lora", "rank": 1, "alpha": 1.0})
    start, model = make_model(seed=5), make_model(seed=5)
    trained, _ = train_model(make_model(seed=5), make_clips(10), recipe, 0, tmp_path / "run.safetensors")
    drawn = SCOPES["lora"](model, None, 0, rank=1, alpha=1.0).weights
    cosines = []
    for name, weight in drawn.items():
        if name.endswith(".a"):
            adapted = name.replace("parametrizations.", "").removesuffix(".0.a")
            moved = trained.get_parameter(adapted) - start.get_parameter(adapted)
            way = torch.linalg.svd(moved).Vh[0]  # of rank 1: its one direction of inputs
            cosines.append(torch.nn.functional.cosine_similarity(way, weight[0], dim=0).abs().item())
    assert len(cosines) == 12
    assert np.median(cosines) < 0.6


def test_interrupted_fine_tuning_by_adapters_goes_on_to_the_same_weights(make_model, make_clips, tmp_path, stop_after):
    recipe = replace(RECIPE, scope={"name": "lora", "rank": 2, "alpha": 4.0})

    def run(name, progress=iter):
        return train_model(make_model(seed=5), make_clips(10), recipe, 0, tmp_path / name, progress)[0]

    calm = run("calm")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", stop_after(4))
    assert same_weights(run("stopped"), calm)
