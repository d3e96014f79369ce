"""What a step of each method costs beside a step of plain fine-tuning, in time and in memory.

    python -m benchmarks.unlearning [--size small] [--rounds 30]

Time: steps of a method and of fine-tuning (cross entropy on remain) alternate, on the same batch size; the ratio of
each pair is taken, and its median and quartiles are written. Memory: the median peak of fresh processes, whose
reference values are read from disk as in a run; on a CPU less what the process held before its first step. Clips are
random tokens, weights untrained: neither changes the cost. Writes benchmarks/results/unlearning-<device>-<size>.json.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks import measure
from noencore.files import write_json
from noencore.musicgen.model import ModelConfig, MusicGenLM
from noencore.tokens import Clips
from noencore.training import pick_device
from noencore.unlearning.batches import Batches
from noencore.unlearning.objectives import FORGET_LOSSES, REMAIN_LOSSES
from noencore.unlearning.recipes import SCOPE, make_recipe
from noencore.unlearning.reference import KINDS, load_reference, reference_values, save_reference
from noencore.unlearning.run import prepare, take_step

SIZES = {  # model, frames, captions' states, clips a step
    "default": (ModelConfig(160, 3, 5, 256, 4, 384), 200, 24, 16),  # of config.yaml
    "small": (ModelConfig(1024, 24, 16, 2048, 4, 768), 500, 24, 4),  # facebook/musicgen-small, 10 s
}
FINE_TUNING = {"forget": "none", "remain": "cross_entropy"}
METHODS = {name: {"forget": name} for name in FORGET_LOSSES}
METHODS |= {name: {"forget": "none", "remain": name} for name in REMAIN_LOSSES if name != "cross_entropy"}
METHODS |= {
    f"gradient_ascent, {scope}": {"forget": "gradient_ascent", "scope": scope} for scope in SCOPE if scope != "all"
}
METHODS |= {
    "npo + kl": {"forget": "npo", "remain": "kl"},
    "npo + kl, lora": {"forget": "npo", "remain": "kl", "scope": "lora"},
}
PROCESSES = 3  # a method: on a CPU the peak of one differs by some 5 % from that of the next
MEMORY = ("npo", "npo + kl", "npo + kl, lora", "undial", "dpo", "gradient_ascent, salun")


def make_clips(size, seed):
    config, frames, states, batch = SIZES[size]
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randint(config.card, (2 * batch, config.n_q, frames), generator=draw)
    mask = torch.ones(2 * batch, states, dtype=torch.bool)
    return Clips(
        [f"{seed}-{i}" for i in range(2 * batch)],
        codes,
        torch.randn(2 * batch, states, config.text_dim, generator=draw),
        mask,
    )


def write_reference(size, directory):
    """Every kind of reference values, as the rule `reference` writes them."""
    model, forget, remain = MusicGenLM(SIZES[size][0], seed=0), make_clips(size, 0), make_clips(size, 1)
    for kind in KINDS:
        clips = remain if kind.startswith("remain") else forget
        save_reference(reference_values(kind, model, forget, remain), clips.ids, directory / f"{kind}.safetensors")


def stepper(size, entry, directory):
    """A function step -> None that takes a step of a recipe."""
    device, (config, _, _, batch) = pick_device(), SIZES[size]
    recipe = make_recipe("x", {**entry, "lr": 1.0e-6, "steps": 1000, "batch": batch})
    model, forget, remain = MusicGenLM(config, seed=0).to(device), make_clips(size, 0), make_clips(size, 1)
    reference = {
        kind: load_reference(directory / f"{kind}.safetensors", (remain if kind.startswith("remain") else forget).ids)
        for kind in recipe.reads()
    }
    batches = Batches(recipe, forget, remain, reference, 0, config.card)
    scope, optimizer = prepare(model, recipe, batches)

    def take(step):
        assert take_step(model, recipe, batches.at(step).to(device), scope, optimizer) is not None
        if device == "cuda":
            torch.cuda.synchronize()

    return take


def seconds(take, step):
    started = measure.clock()
    take(step)
    return measure.clock() - started


def compare_time(size, entry, directory, rounds):
    method, plain = stepper(size, entry, directory), stepper(size, FINE_TUNING, directory)
    pairs = np.array([(seconds(method, step), seconds(plain, step)) for step in range(rounds + 3)])[3:]
    low, median, high = np.percentile(pairs[:, 0] / pairs[:, 1], [25, 50, 75]).round(3).tolist()
    return {"ratio": median, "quartiles": [low, high], "ms": round(1e3 * float(np.median(pairs[:, 0])), 1)}


def peak_memory(size, entry, directory):
    """MB of three steps, above what the process held before; run in a process of its own."""
    on_gpu = pick_device() == "cuda"
    used = (
        torch.cuda.max_memory_allocated if on_gpu else lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    MusicGenLM(ModelConfig(16, 1, 2, 16, 4, 16), seed=0).to(pick_device())  # what the first use of torch costs
    before = used()
    take = stepper(size, entry, directory)
    for step in range(3):
        take(step)
    return (used() - before) / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="default")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--reference", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    size = arguments.size
    if arguments.memory_of:
        print(peak_memory(size, json.loads(arguments.memory_of), arguments.reference))
        return
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        write_reference(size, directory)

        def memory(entry):
            command = [
                sys.executable,
                "-m",
                "benchmarks.unlearning",
                "--size",
                size,
                "--memory-of",
                json.dumps(entry),
                "--reference",
                directory,
            ]
            peaks = [
                subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(PROCESSES)
            ]
            return float(np.median([float(peak) for peak in peaks]))

        plain = memory(FINE_TUNING)
        result = {
            "device": torch.cuda.get_device_name() if pick_device() == "cuda" else platform.processor() or "cpu",
            "torch": torch.__version__, "size": size, "clips": SIZES[size][3], "frames": SIZES[size][1],
            "rounds": arguments.rounds,
            "fine_tuning_mb": round(plain, 1),
            "memory_ratio": {name: round(memory(METHODS[name]) / plain, 3) for name in MEMORY},
            "time": {},
        }  # fmt: skip
        for name, entry in METHODS.items():
            result["time"][name] = compare_time(size, entry, directory, arguments.rounds)
            print(name, result["time"][name], flush=True)
    write_json(result, Path(__file__).parent / "results" / f"unlearning-{pick_device()}-{size}.json")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
