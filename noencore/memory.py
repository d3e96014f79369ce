"""How much memory a job needs, from parameters, batch, frames and what an optimizer keeps: an estimate.

Constants were found by counting what autograd keeps of this model (tensors saved for the backward pass, by storage).
Against the peaks of a training step in benchmarks/results/training-growth.json (fp32 on a CPU; nine sizes from 1.6 M to
420 M parameters, each measured once) the estimate is 0.92 to 1.08 times as large. On a GPU none was measured.
"""

from dataclasses import dataclass

FP32, BF16 = 4, 2  # bytes
ADAMW = 3 * FP32  # a weight that moves: its gradient and two moments
KEPT = {FP32: 82, BF16: 47}  # bytes that a layer keeps of a token, for each unit of width
LOGITS = 4 * FP32  # bytes of a logit: itself, its cast, its log-softmax and its gradient
CHUNK = 2**23  # logits at a time (musicgen.loss)
WHOLE = ("anchor_caption", "undial", "ce_u", "bad_teacher", "kl")  # losses on distributions: all logits at once
OF_WHOLE = 3 * FP32  # bytes of a logit of theirs (9 to 12 were measured on a CPU)
PROCESS = 160 * 2**20  # what a process on a CPU takes besides


@dataclass(frozen=True)
class Size:
    """parameters in all and how many of them move; dim, layers, and logits of a token (codebooks x card).

    held: bytes of what a scope keeps beside the weights.
    """

    parameters: int
    moved: int
    dim: int
    layers: int
    logits: int
    held: int = 0


def size_of(config, scope):
    """The Size of a model (musicgen.model.ModelConfig). scope: dict of a scope's name and parameters."""
    import torch

    from noencore.musicgen.model import MusicGenLM
    from noencore.scopes import SCOPES

    with torch.device("meta"):
        model = MusicGenLM(config)
    parameters = sum(weight.numel() for weight in model.parameters())
    moved, held, given = parameters, 0, dict(scope)
    if given.pop("name") == "salun":  # a mask of all weights, and the values of those that it does not move
        held = parameters + round((1 - given["share"]) * parameters) * FP32
    else:
        moved = sum(weight.numel() for weight in SCOPES[scope["name"]](model, None, 0, **given).weights.values())
    return Size(parameters, moved, config.dim, config.layers, config.n_q * config.card, held)


def training_memory(size, clips, frames, checkpointed=False, on_gpu=True, whole=False):
    """Bytes at the peak of a training or unlearning step on `clips` clips of `frames` frames.

    Weights are fp32, with their copies in bf16 on a GPU; a layer's activations count once more than there are layers,
    for what the backward pass holds meanwhile. checkpointed: `checkpoint_activations`. whole: a loss of WHOLE.
    """
    kept = KEPT[BF16 if on_gpu else FP32] * size.dim
    layers = (2 * kept + size.layers * FP32 * size.dim) if checkpointed else (size.layers + 1) * kept
    weights = (FP32 + (BF16 if on_gpu else 0)) * size.parameters + ADAMW * size.moved + size.held
    count = clips * frames * size.logits
    logits = max(min(count, CHUNK) * LOGITS, count * OF_WHOLE if whole else 0)
    return weights + clips * frames * layers + logits + (0 if on_gpu else PROCESS)


def generating_memory(size, clips, frames):
    """Bytes at the peak of generation, with guidance: weights, and keys and values of both conditions, in fp32."""
    return FP32 * (size.parameters + 2 * clips * frames * size.layers * 2 * size.dim)


def largest_job(config, model, on_gpu=True):
    """(name of the job, bytes) of the job of an experiment that needs most.

    model: the ModelConfig. Scores, references and embeddings are below what is counted here.
    """
    from noencore.experiment import FRAME_RATE, trained_models
    from noencore.unlearning.recipes import make_recipe, training_scope

    frames = round(config["catalogue"]["clip_seconds"] * FRAME_RATE)
    training, jobs = config["training"], {}
    again = training["checkpoint_activations"]
    if trained_models(config):
        size = size_of(model, training_scope(training["scope"]))
        jobs["train"] = training_memory(size, training["batch"], frames, again, on_gpu)
    for name in config["run"]:
        recipe = make_recipe(name, config["recipes"][name])
        if recipe.total_steps(1):
            size = size_of(model, {"name": recipe.scope.name, **recipe.scope.parameters})
            clips = max(recipe.batch * (1 + (recipe.forget.name == "dpo")), recipe.remain_batch or 0)
            whole = bool({recipe.forget.name, recipe.remain.name} & set(WHOLE))
            clips = -(-clips // recipe.accumulate)
            jobs[f"unlearn {name}"] = training_memory(size, clips, frames, again, on_gpu, whole)
    plain = size_of(model, {"name": "all"})
    jobs["generate"] = generating_memory(plain, config["generate"]["batch"], frames)
    return max(jobs.items(), key=lambda job: job[1])
