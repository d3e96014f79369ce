"""MusicGen in audiocraft's released format: a package in, and a package with other weights out.

Reads `facebook/musicgen-{small,medium,large}` and fine-tunes of the same kind: text to mono music, T5 in
cross-attention, delays 0..K-1. What the engine does not compute (stereo, melody, style, MAGNeT) is refused.

A package is written by editing another one: only `best_state` changes, as rebuilding `xp.cfg` goes wrong in many ways.
audiocraft reads it on a CPU in fp32, as it is stored, and on a GPU in fp16, where small edits round away. So scores
are to be taken from the package that was written, not from the model in memory.
"""

import shutil
from pathlib import Path

import torch

from noencore.errors import UserError
from noencore.files import atomic
from noencore.hub import AGAIN, CODEC_FILE, MODEL_FILE, find_package, read_config, read_package, read_state
from noencore.musicgen.model import ModelConfig
from noencore.musicgen.package import assemble

TEXT_PROJECTION = "condition_provider.conditioners.description.output_proj.weight"
SIZES = {"dim": "dim", "layers": "num_layers", "heads": "num_heads", "card": "card", "n_q": "n_q"}
WANTED = {  # key of xp.cfg: (what the engine computes, what audiocraft takes where the key is absent or null)
    "lm_model": ("transformer_lm", None),
    "interleave_stereo_codebooks.use": (False, False),
    "fuser.cross": (["description"], None),
    "fuser.sum": ([], []),
    "fuser.prepend": ([], []),
    "fuser.input_interpolate": ([], []),
    "fuser.cross_attention_pos_emb": (False, False),
    "conditioners.description.model": ("t5", None),
    "conditioners.description.t5.finetune": (False, False),
    "conditioners.description.t5.normalize_text": (False, False),
    "codebooks_pattern.modeling": ("delay", None),
    "codebooks_pattern.delay.flatten_first": (0, 0),
    "codebooks_pattern.delay.empty_initial": (0, 0),
    "transformer_lm.norm": ("layer_norm", "layer_norm"),
    "transformer_lm.norm_first": (True, False),
    "transformer_lm.activation": ("gelu", "relu"),
    "transformer_lm.bias_proj": (False, True),
    "transformer_lm.bias_ff": (False, True),
    "transformer_lm.bias_attn": (False, True),
    "transformer_lm.causal": (True, False),
    "transformer_lm.past_context": (None, None),
    "transformer_lm.layer_scale": (None, None),
    "transformer_lm.positional_embedding": ("sin", "sin"),
    "transformer_lm.positional_scale": (1, 1),
    "transformer_lm.max_period": (10000, 10000),
    "transformer_lm.qk_layer_norm": (False, False),
    "transformer_lm.qk_layer_norm_cross": (False, False),
    "transformer_lm.kv_repeat": (1, 1),
}
KINDS = {"interleave_stereo_codebooks.use": "a stereo package", "lm_model": "no autoregressive package"}


def load_released(package, hub=None, device="cpu"):
    """Read a released package (see `hub.find_package`) as a MusicGenLM in fp32, whatever precision it is stored in.

    Raises UserError, naming the file, where it is missing, damaged, of another kind, or where weights and config
    disagree.
    """
    path = find_package(package, hub) / MODEL_FILE
    stored = read_package(path)
    config, state = _model_config(path, stored), read_state(path, stored)
    try:
        return assemble(config, state, device)
    except ValueError as error:
        raise UserError(f"{path}: best_state does not fit xp.cfg beside it ({error}); {AGAIN}") from None


def text_encoder_name(package, hub=None):
    """The name of the T5 that a released package was trained with, such as `t5-base`, for `text.T5Encoder`."""
    path = find_package(package, hub) / MODEL_FILE
    return str(_value(path, read_config(path, read_package(path)), "conditioners.description.t5.name"))


def released_config(package, hub=None):
    """The ModelConfig of a released package. Raises UserError as `load_released` does."""
    path = find_package(package, hub) / MODEL_FILE
    return _model_config(path, read_package(path))


def save_released(model, base, directory):
    """Write `model` as a released package: the package in directory `base` with its `best_state` replaced.

    A tensor is stored in the precision that it has in `base` (fp16 in official packages) where this changes no bit of
    it, and in fp32 elsewhere: an edit smaller than fp16's step of about 1/1000 is kept. `xp.cfg` and all other keys
    stay as they are, the codec file is copied byte for byte, and the same model gives the same bytes.

    Returns a dict of counts: `weights` in all, `changed` of them against the base, and `undone_by_fp16`: those changed
    ones that a reader in fp16, such as audiocraft on a GPU, rounds back to where they were.
    Raises UserError where the base is no package of this size or `directory` is the base itself.
    """
    base, directory = find_package(base), Path(directory)
    if directory.resolve() == base.resolve():
        raise UserError(f"{directory}: is the package that is being edited; give another directory")
    if not (base / CODEC_FILE).exists():
        raise UserError(f"{base / CODEC_FILE}: missing; {AGAIN}")
    stored = read_package(base / MODEL_FILE)
    old, config = read_state(base / MODEL_FILE, stored), _model_config(base / MODEL_FILE, stored)
    new = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in model.state_dict().items()}
    if config != model.config or _shapes(old) != _shapes(new):
        raise UserError(f"{base}: holds a {config}, and the model is a {model.config}; give the package it came from")

    state = {name: _in_precision(new[name], tensor.dtype) for name, tensor in old.items()}
    with atomic(directory / CODEC_FILE) as temporary:
        shutil.copyfile(base / CODEC_FILE, temporary)
    # By file object: torch would put the name of a path, here a temporary one, into the file.
    with atomic(directory / MODEL_FILE) as temporary, temporary.open("wb") as file:
        torch.save({**stored, "best_state": state}, file)
    counts = {"weights": 0, "changed": 0, "undone_by_fp16": 0}
    for name, tensor in old.items():
        changed = new[name] != tensor
        counts["weights"] += changed.numel()
        counts["changed"] += int(changed.sum())
        counts["undone_by_fp16"] += int((changed & (new[name].half() == tensor.half())).sum())
    return counts


def _shapes(state):
    return {name: tensor.shape for name, tensor in state.items()}


def _in_precision(tensor, dtype):
    """A copy of an fp32 tensor in `dtype` where it goes there and back unchanged, else in fp32."""
    rounded = tensor.to(dtype, copy=True)
    return rounded if torch.equal(rounded.float(), tensor) else tensor.clone()


def _model_config(path, stored):
    """Sizes of a package's model. Raises UserError where the engine computes something else than its xp.cfg says."""
    config, state = read_config(path, stored), read_state(path, stored)
    sizes = {ours: _value(path, config, f"transformer_lm.{theirs}") for ours, theirs in SIZES.items()}
    K = sizes["n_q"] if isinstance(sizes["n_q"], int) else 0
    pattern = _value(path, config, "transformer_lm.q_modeling")  # the older name of codebooks_pattern.modeling
    wanted = WANTED | {
        "codebooks_pattern.modeling": ("delay", pattern),
        "codebooks_pattern.delay.delays": ([*range(K)], [*range(K)]),
        "compression_model_n_q": (K, K),
    }
    others = sorted({*_value(path, config, "conditioners", {})} - {"description", "args"})
    if others:
        raise _unknown(path, "a melody or style package", f"conditioned on {others[0]} besides text")
    for key, (known, absent) in wanted.items():
        found = _value(path, config, key, absent)
        if found != known:
            raise _unknown(path, KINDS.get(key, "not supported"), f"{key} is {found!r}, not {known!r}")
    if TEXT_PROJECTION not in state:
        raise UserError(f"{path}: best_state has no {TEXT_PROJECTION}; {AGAIN}")
    scale = _value(path, config, "transformer_lm.hidden_scale", 4)
    scale = int(scale) if isinstance(scale, float) and scale.is_integer() else scale
    try:
        return ModelConfig(**sizes, text_dim=state[TEXT_PROJECTION].shape[-1], hidden_scale=scale)
    except UserError as error:
        raise UserError(f"{path}: xp.cfg: {error}") from None


def _unknown(path, kind, reason):
    return UserError(f"{path}: {kind} ({reason}); take a mono text-to-music package, such as facebook/musicgen-small")


def _value(path, config, key, absent=None):
    """The plain value at a dotted key of xp.cfg, `absent` where it is missing or null."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        value = OmegaConf.select(config, key)
        value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException as error:
        raise UserError(f"{path}: xp.cfg: {key} cannot be read ({str(error).splitlines()[0]}); {AGAIN}") from None
    return absent if value is None else value
