"""The estimate of memory against what autograd keeps, and against the peaks that the benchmarks measured."""

import copy
import json
from pathlib import Path

import pytest
import torch
import yaml

from noencore.memory import ADAMW, BF16, FP32, KEPT, WHOLE, largest_job, size_of, training_memory
from noencore.musicgen import loss
from noencore.musicgen.loss import set_nll, token_nll
from noencore.musicgen.model import ModelConfig, MusicGenLM
from noencore.scopes import SCOPES
from noencore.unlearning.batches import Batches
from noencore.unlearning.objectives import FORGET_LOSSES, REMAIN_LOSSES
from noencore.unlearning.recipes import make_recipe
from noencore.unlearning.reference import reference_values

ROOT = Path(__file__).parents[2]
GROWTH = json.loads((ROOT / "benchmarks/results/training-growth.json").read_text())
MEASURED = [run for runs in (GROWTH[key] for key in ("batch", "frames", "model")) for run in runs]
SMALL = ModelConfig(dim=1024, layers=24, heads=16, card=2048, n_q=4, text_dim=768)
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())


def kept_bytes(layers, frames, half):
    """What autograd keeps of the NLL of two clips."""
    model = MusicGenLM(ModelConfig(dim=64, layers=layers, heads=2, card=32, n_q=4, text_dim=16), seed=0)
    codes, text, mask = torch.zeros(2, 4, frames, dtype=torch.long), torch.randn(2, 5, 16), torch.ones(2, 5, dtype=bool)
    return kept_by(model, lambda: set_nll(*token_nll(model, codes, text, mask)).mean(), half)


def kept_by(model, compute, half=False):
    """What autograd keeps of a loss for the backward pass, in bytes by storage, without the weights."""
    weights, kept = {weight.untyped_storage().data_ptr() for weight in model.parameters()}, {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no other takes its address
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        assert compute().requires_grad
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("precision", [FP32, BF16])
def test_a_layer_keeps_so_many_bytes_of_a_token(precision):
    def of_a_layer(frames):
        return kept_bytes(3, frames, precision == BF16) - kept_bytes(2, frames, precision == BF16)

    of_a_token = (of_a_layer(400) - of_a_layer(200)) / (2 * 200 * 64)  # the weights' casts do not grow
    assert of_a_token == pytest.approx(KEPT[precision], rel=0.05)


@pytest.mark.parametrize("run", MEASURED, ids=lambda run: f"{run['dim']}-{run['batch']}x{run['frames']}")
def test_the_estimate_is_near_the_measured_peak(run):
    card, text_dim = (2048, 768) if run["dim"] == 1024 else (256, 384)
    config = ModelConfig(run["dim"], run["layers"], run["heads"], card, 4, text_dim)
    size = size_of(config, {"name": "all"})
    estimate = training_memory(size, run["batch"], run["frames"], on_gpu=False)
    assert estimate / 2**20 == pytest.approx(run["memory_mb"], rel=0.1)
    assert size.parameters == run["parameters"]


@pytest.mark.parametrize(("part", "name"), [*(("forget", name) for name in FORGET_LOSSES), ("remain", "kl")])
def test_losses_on_distributions_keep_all_logits_and_others_do_not(part, name, make_model, make_clips, monkeypatch):
    """Else a batch of long clips would need more memory than the estimate says."""
    monkeypatch.setattr(loss, "CHUNK", 64)
    model, clips = make_model(), {"forget": make_clips(2, 0, 200), "remain": make_clips(2, 1, 200)}
    recipe = make_recipe("x", {"lr": 1.0, "steps": 1, "batch": 2, "forget": "none", part: name})
    reference = {kind: reference_values(kind, model, *clips.values()) for kind in recipe.reads()}
    batch = Batches(recipe, *clips.values(), reference, seed=0, card=model.config.card).at(0)
    parameters = getattr(recipe, part).parameters
    kept = kept_by(model, lambda: (FORGET_LOSSES | REMAIN_LOSSES)[name](model, batch, **parameters).mean())
    trunk = kept_by(model, lambda: set_nll(*token_nll(model, *_tensors(clips["forget"]))).mean())
    of_a_logit = (kept - trunk * (1 + (name == "dpo"))) / (2 * 200 * model.config.n_q * model.config.card)
    assert (of_a_logit > 4) == (name in WHOLE)


def _tensors(clips):
    return clips.codes, clips.text, clips.text_mask


def test_a_scope_that_holds_weights_back_keeps_a_copy_of_them(make_model):
    model = make_model()

    def forget_gradient():
        for weight in model.parameters():
            weight.grad = torch.rand_like(weight)

    scope = SCOPES["salun"](model, forget_gradient, 0, share=0.3)
    beside = sum(part.nbytes for part in (*scope.masks.values(), *scope.held.values()))
    held = size_of(model.config, {"name": "salun", "share": 0.3}).held
    assert held == pytest.approx(beside, rel=1e-3)
    assert size_of(model.config, {"name": "all"}).held == 0


def test_adapters_need_no_moments_of_the_weights():
    full, lora = (size_of(SMALL, scope) for scope in ({"name": "all"}, {"name": "lora", "rank": 8, "alpha": 16.0}))
    assert full.moved == full.parameters == lora.parameters == 420_371_456
    assert 0 < lora.moved < 0.03 * full.parameters
    less = training_memory(full, 4, 500) - training_memory(lora, 4, 500)
    assert less == ADAMW * (full.moved - lora.moved)


def test_checkpointed_activations_take_less():
    size = size_of(SMALL, {"name": "all"})
    assert training_memory(size, 8, 500, checkpointed=True) < training_memory(size, 8, 500) - 2 * 2**30


def test_the_largest_job_follows_the_config():
    config = copy.deepcopy(DEFAULT)
    config |= {"target": {"train_seeds": []}, "gold": {"train_seeds": []}, "run": ["none", "ga", "rl_tokens"]}
    config["recipes"]["ga"]["batch"], config["recipes"]["rl_tokens"]["batch"] = 16, 4
    name, before = largest_job(config, SMALL)
    assert name == "unlearn ga"
    config["recipes"]["ga"]["accumulate"] = 4
    assert largest_job(config, SMALL)[1] < before
    config["target"]["train_seeds"], config["training"]["batch"] = [0], 32
    assert largest_job(config, SMALL)[0] == "train"
    config["recipes"]["rl_tokens"] = {"forget": "none", "remain": "kl", "lr": 1.0, "steps": 1, "batch": 4}
    alone, config["target"]["train_seeds"] = config | {"run": ["rl_tokens"]}, []
    size = size_of(SMALL, {"name": "all"})
    assert largest_job(alone, SMALL) == ("unlearn rl_tokens", training_memory(size, 4, 200, whole=True))
    config["run"] = ["none"]
    config["target"]["train_seeds"] = []
    assert largest_job(config, SMALL)[0] == "generate"
