"""Generation against audiocraft's `LMModel.generate`: the same weights and captions, greedy, CFG 3, in turn.

`python -m benchmarks.generation [default] [small] [growth]`, by default all; `--rounds`, `--frames` for a quick look.
"""

import argparse
import copy
import functools
import gc
import json

import torch

from benchmarks import measure, peers
from noencore.musicgen.decode import Decoder, generate
from noencore.musicgen.loss import delay
from noencore.musicgen.model import ModelConfig, MusicGenLM

ROUNDS = {"default": 7, "small": 2}
BASE = {"dim": 160, "layers": 3, "heads": 5, "batch": 16, "frames": 250}
# One of batch, frames and model at a time.
GROWTH = {
    "batch": [{"batch": batch} for batch in (4, 16, 64)],
    "frames": [{"frames": frames} for frames in (250, 500, 1000)],
    "model": [
        {"frames": 60},
        {"frames": 60, "dim": 512, "layers": 8, "heads": 8},
        {"frames": 60, "dim": 1024, "layers": 24, "heads": 16},
    ],
}


def compare(name, rounds, frames):
    """Times, tokens and distance from the limit at one size."""
    size = peers.SIZES[name]
    frames = frames or size.frames
    states, mask = peers.text_states(size.batch, size.words, size.model.text_dim)
    theirs, ours = peers.pair(size.model, states)
    captions = peers.conditions([str(i) for i in range(size.batch)])
    codes = {}

    def audiocraft(frames):
        codes["audiocraft"] = theirs.generate(None, captions, max_gen_len=frames, use_sampling=False)

    def fp32(frames):
        codes["fp32"] = generate(ours, states, mask, frames)

    runs = {"audiocraft": audiocraft, "fp32": fp32}
    half = copy.deepcopy(ours).to(torch.bfloat16)
    if name == "small":

        def bf16(frames):
            codes["bf16"] = generate(half, states, mask, frames)

        runs["bf16"] = bf16
    shares = {run: measure.profile(functools.partial(runs[run], frames // 2)) for run in list(runs)[1:]}
    measure.alternate({run: functools.partial(function, 8) for run, function in runs.items()}, 1)  # kernels settle
    seconds = measure.alternate({run: functools.partial(function, frames) for run, function in runs.items()}, rounds)
    found = {
        "size": {**vars(size.model), "batch": size.batch, "frames": frames, "words": size.words},
        "parameters": sum(p.numel() for p in ours.parameters()),
        "seconds": {run: measure.spread(values) for run, values in seconds.items()},
        "ratio": {run: measure.ratios(seconds["audiocraft"], values) for run, values in seconds.items()},
        "profile": shares,
        "equal_tokens": {run: float((codes[run] == codes["audiocraft"]).double().mean()) for run in runs},
        "bytes_a_step": {run: step_bytes(model, size, frames) for run, model in (("fp32", ours), ("bf16", half))},
    }
    if name == "small":
        found["bf16"] = rounding(ours, half, codes["audiocraft"], states, mask)
    return found


def step_bytes(model, size, frames):
    """Bytes that a step must read on average: the weights that it uses, and half of the full key/value cache."""
    layers = model.transformer.layers
    unused = sum(layer.cross_attention.in_proj_weight[size.model.dim :].nbytes for layer in layers)
    weights = sum(p.nbytes for p in layers.parameters()) + sum(p.nbytes for p in model.linears.parameters()) - unused
    cache = 4 * 2 * size.model.layers * 2 * size.batch * size.model.dim * frames / 2
    return weights + cache


@torch.inference_mode()
def rounding(exact, half, codes, states, mask):
    """Logits of both models along the same codes: relative difference, and how often the likeliest tokens agree."""
    sequence = delay(codes, exact.config.card)
    decoders = [Decoder(model, states, mask, rows=len(codes), steps=sequence.shape[-1]) for model in (exact, half)]
    error, size, same = [], [], []
    for step in range(sequence.shape[-1]):
        logits, rounded = (decoder.step(sequence[:, :, step : step + 1]) for decoder in decoders)
        error.append((rounded - logits).square().mean())
        size.append(logits.square().mean())
        same.append((rounded.argmax(-1) == logits.argmax(-1)).double().mean())
    relative = (torch.stack(error).mean() / torch.stack(size).mean()).sqrt()
    return {"relative_logit_error": float(relative), "equal_choices": float(torch.stack(same).mean())}


def point(batch, frames, dim, layers, heads):
    """Seconds and memory of one generation of ours; memory counts from before the model to the peak."""
    card, text_dim = (2048, 768) if dim == 1024 else (256, 384)
    before = measure.peak_mb()
    model = MusicGenLM(ModelConfig(dim=dim, layers=layers, heads=heads, card=card, n_q=4, text_dim=text_dim), seed=0)
    states, mask = peers.text_states(batch, 20, text_dim)
    generate(model, states, mask, 8)
    gc.collect()
    measure.reset_peak()
    started = measure.clock()
    generate(model, states, mask, frames)
    seconds = measure.clock() - started
    parameters = sum(p.numel() for p in model.parameters())
    return {"seconds": seconds, "memory_mb": measure.peak_mb() - before, "parameters": parameters}


def growth():
    """Three points each along batch, frames and model, each in a process of its own."""
    found = {}
    for axis, changes in GROWTH.items():
        found[axis] = []
        for change in changes:
            settings = {**BASE, **change}
            found[axis].append(settings | measure.in_process("benchmarks.generation", "--point", json.dumps(settings)))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=["default", "small", "growth", []])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--point")
    arguments = parser.parse_args()
    if arguments.point:
        print(json.dumps(point(**json.loads(arguments.point))))
        return
    for part in arguments.parts or ["default", "small", "growth"]:
        if part == "growth":
            measure.save("generation-growth", growth())
        else:
            found = compare(part, arguments.rounds or ROUNDS[part], arguments.frames)
            measure.save(f"generation-{part}", {"limits": measure.limits(), **found})


if __name__ == "__main__":
    main()
