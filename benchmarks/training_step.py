"""A training step with cached tokens and text states against audiocraft's way: encode the audio, run the text encoder,
audiocraft's LM, its loss. Both with the same weights, clips, captions, gradient clipping and AdamW.

`python -m benchmarks.training_step [default] [small] [loss] [growth]`, by default all. Every side runs in a process of
its own, in turn, so that its peak memory is its own and two models of 7 GB are never there at once.
"""

import argparse
import gc
import json
import tempfile

import torch
from torch.nn import functional as F

from benchmarks import measure, peers
from noencore.musicgen import loss
from noencore.musicgen.loss import set_nll, token_nll
from noencore.musicgen.model import ModelConfig, MusicGenLM
from noencore.training import autocast

# Clips and their seconds as in config.yaml; musicgen-small on two clips of 10 s.
CLIPS = {"default": (4, 4.0), "small": (2, 10.0)}
SIDES = {
    "default": ["audiocraft", "fp32"],
    "small": ["audiocraft", "fp32", "bf16", "bf16-checkpointed"],
}
ROUNDS, STEPS = {"default": 5, "small": 3}, {"default": 8, "small": 1}
CAPTION = "A lively reel in D major, played on the fiddle with a drone below it, number {}."
BASE = {"dim": 160, "layers": 3, "heads": 5, "batch": 4, "frames": 200}
GROWTH = {
    "batch": [{"batch": batch} for batch in (4, 16, 64)],
    "frames": [{"frames": frames} for frames in (200, 500, 1500)],
    "model": [{}, {"dim": 512, "layers": 8, "heads": 8}, {"dim": 1024, "layers": 24, "heads": 16}],
}


def side(size_name, name, steps, cache):
    """Seconds a step, the first loss and the peak memory of one side. Losses are of random weights: about ln card."""
    if name == "audiocraft":
        lm, codec, audio, captions = audiocraft_side(size_name)
        # What ours starts from: the same weights, and the tokens and text states that a run of the workflow caches.
        seen = {}
        hook = lm.condition_provider.register_forward_hook(lambda *call: seen.update(mask=call[2]["description"][1]))
        projection = lm.condition_provider.conditioners["description"].output_proj
        inner = projection.register_forward_pre_hook(lambda _, inputs: seen.update(text=inputs[0]))
        with torch.no_grad():
            seen["codes"], _ = codec.encode(audio)
            lm(seen["codes"], captions)
        hook.remove()
        inner.remove()
        torch.save({"weights": lm.state_dict(), **seen}, cache)
        run = audiocraft_step(lm, codec, audio, captions)
    else:
        stored = torch.load(cache, mmap=True)
        model = MusicGenLM(peers.SIZES[size_name].model)
        model.load_state_dict(stored["weights"])
        run = cached_step(model, stored["codes"].clone(), stored["text"].clone(), stored["mask"].bool(), name)
        del stored
    first = run()  # memory and kernels settle
    measure.reset_peak()
    seconds = []
    for _ in range(steps):
        started = measure.clock()
        run()
        seconds.append(measure.clock() - started)
    return {"seconds": min(seconds), "loss": first, "memory_mb": measure.peak_mb()}


def audiocraft_side(size_name):
    """(LM, codec, audio [B, 1, n_samples], conditions) at one size: noise, since time does not depend on the music."""
    size, (count, duration) = peers.SIZES[size_name], CLIPS[size_name]
    torch.manual_seed(0)
    if size_name == "default":
        codec, conditioner = peers.own_codec("resources/codec.safetensors"), peers.encoder_conditioner(size.model.dim)
    else:
        codec, conditioner = peers.encodec(), peers.t5_conditioner(size.words, size.model.dim)
    audio = 0.1 * torch.randn(count, 1, int(duration * codec.sample_rate))
    captions = peers.conditions([CAPTION.format(i) for i in range(count)])
    return peers.audiocraft_lm(size.model, conditioner), codec, audio, captions


def audiocraft_step(lm, codec, audio, captions):
    """A step as audiocraft's solver makes it: `compute_predictions`, and its cross entropy a codebook."""
    optimizer = torch.optim.AdamW(lm.parameters(), lr=1e-5, fused=True)

    def run():
        with torch.no_grad():
            codes, _ = codec.encode(audio)
        output = lm.compute_predictions(codes, captions)
        value = 0
        for logits, wanted, valid in zip(output.logits.unbind(1), codes.unbind(1), output.mask.unbind(1)):
            value = value + F.cross_entropy(logits[valid], wanted[valid]) / codes.shape[1]
        return update(optimizer, lm, value)

    return run


def cached_step(model, codes, text, text_mask, name):
    """A step of ours, in fp32 or under bf16 autocast on the CPU, with or without checkpointed activations."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    model.checkpoint_activations = name.endswith("checkpointed")

    def run():
        with autocast(torch.device("cpu"), name.startswith("bf16")):
            value = set_nll(*token_nll(model, codes, text, text_mask)).mean()
        return update(optimizer, model, value)

    return run


def update(optimizer, model, value):
    optimizer.zero_grad()
    value.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return value.item()


def compare(name, rounds):
    """Every side in turn, `rounds` times."""
    found = {run: [] for run in SIDES[name]}
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(rounds):
            for run, values in found.items():
                arguments = ("--side", name, run, STEPS[name], f"{directory}/cache.pt")
                values.append(measure.in_process("benchmarks.training_step", *arguments))
    seconds = {run: [value["seconds"] for value in values] for run, values in found.items()}
    size = peers.SIZES[name].model
    with torch.device("meta"):
        model = MusicGenLM(size)
    used = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in model.emb.parameters())
    count, duration = CLIPS[name]
    return {
        "size": {**vars(size), "batch": count, "seconds": duration},
        "seconds": {run: measure.spread(values) for run, values in seconds.items()},
        "ratio": {run: measure.ratios(seconds["audiocraft"], values) for run, values in seconds.items()},
        "memory_mb": {run: measure.spread([value["memory_mb"] for value in values]) for run, values in found.items()},
        "loss": {run: values[0]["loss"] for run, values in found.items()},
        "flops": 6 * used * count * duration * 50,
    }


def point(batch, frames, dim, layers, heads):
    """Seconds and memory of a step of ours; memory counts from before the model to the peak."""
    card, text_dim = (2048, 768) if dim == 1024 else (256, 384)
    before = measure.peak_mb()
    model = MusicGenLM(ModelConfig(dim=dim, layers=layers, heads=heads, card=card, n_q=4, text_dim=text_dim), seed=0)
    codes = torch.randint(card, (batch, 4, frames), generator=torch.Generator().manual_seed(0))
    run = cached_step(model, codes, *peers.text_states(batch, 20, text_dim), "fp32")
    run()
    measure.reset_peak()
    seconds = []
    for _ in range(1 if dim == 1024 else 3):
        started = measure.clock()
        run()
        seconds.append(measure.clock() - started)
    parameters = sum(p.numel() for p in model.parameters())
    return {"seconds": min(seconds), "memory_mb": measure.peak_mb() - before, "parameters": parameters}


def loss_point(frames, chunk):
    """Seconds and memory of the heads and the loss of two clips at musicgen-small's width, with their backward pass."""
    loss.CHUNK = int(chunk)
    model = MusicGenLM(ModelConfig(dim=1024, layers=1, heads=16, card=2048, n_q=4, text_dim=768), seed=0)
    codes = torch.randint(2048, (2, 4, int(frames)), generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, int(frames), 1024, generator=torch.Generator().manual_seed(1)).requires_grad_()
    model.trunk = lambda *_: x

    def run():
        model.zero_grad()
        set_nll(*token_nll(model, codes, None, None)).mean().backward()

    run()
    model.zero_grad()
    gc.collect()
    before = measure.held_mb()
    measure.reset_peak()
    started = measure.clock()
    run()
    return {"seconds": measure.clock() - started, "memory_mb": measure.peak_mb() - before}


def losses():
    """The loss in chunks and whole, at 10 s, 20 s and 30 s a clip."""
    return {
        str(frames): {
            name: measure.in_process("benchmarks.training_step", "--loss", frames, chunk)
            for name, chunk in (("chunks", loss.CHUNK), ("whole", 2**40))
        }
        for frames in (500, 1000, 1500)
    }


def growth():
    """Three points each along batch, frames and model, each in a process of its own."""
    found = {}
    for axis, changes in GROWTH.items():
        points = [{**BASE, **change} for change in changes]
        found[axis] = [
            settings | measure.in_process("benchmarks.training_step", "--point", json.dumps(settings))
            for settings in points
        ]
    return found


def main():
    parser = argparse.ArgumentParser(description="A training step against audiocraft's.")
    parser.add_argument("parts", nargs="*", choices=["default", "small", "loss", "growth", []])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--side", nargs=4)
    parser.add_argument("--point")
    parser.add_argument("--loss", nargs=2)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(side(arguments.side[0], arguments.side[1], int(arguments.side[2]), arguments.side[3])))
        return
    if arguments.point:
        print(json.dumps(point(**json.loads(arguments.point))))
        return
    if arguments.loss:
        print(json.dumps(loss_point(*arguments.loss)))
        return
    for part in arguments.parts or ["default", "small", "loss", "growth"]:
        if part == "growth":
            measure.save("training-growth", growth())
        elif part == "loss":
            measure.save("training-loss", losses())
        else:
            found = compare(part, arguments.rounds or ROUNDS[part])
            measure.save(f"training-{part}", {"limits": measure.limits(), **found})


if __name__ == "__main__":
    main()
