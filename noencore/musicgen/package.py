"""A model as a directory: model.safetensors and config.json."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from textwrap import shorten

import torch

from noencore.errors import UserError
from noencore.files import read_tensors, write_json, write_tensors
from noencore.musicgen.model import ModelConfig, MusicGenLM


def save_model(model, directory, extra):
    """Write weights and config to `directory`; `extra` (JSON values) goes to config.json beside the sizes."""
    clash = extra.keys() & asdict(model.config).keys()
    if clash:
        raise ValueError(f"extra keys {sorted(clash)} are sizes of the model")
    directory = Path(directory)
    write_tensors(model.state_dict(), directory / "model.safetensors")
    write_json(asdict(model.config) | extra, directory / "config.json")


def load_model(directory, device="cpu"):
    """Read a directory of `save_model` as a MusicGenLM in fp32.

    Raises UserError, naming the file, where one is missing or damaged or the weights do not fit the config.
    """
    directory = Path(directory)
    config = _read_config(directory / "config.json")
    path = directory / "model.safetensors"
    tensors, _ = read_tensors(path)
    try:
        return assemble(config, tensors, device)
    except ValueError as error:
        raise UserError(f"{path}: does not fit config.json beside it ({error}); make the model again") from None


def assemble(config, tensors, device="cpu"):
    """A MusicGenLM in fp32 from the tensors of its state dict, in any precision.

    Raises ValueError, with one line of reason, where they do not fit the config.
    """
    with torch.device("meta"):
        model = MusicGenLM(config)
    # A copy of our own: the tensors that were read may lie in a mapped file, at any alignment.
    tensors = {name: tensor.to(device, torch.float32, copy=True) for name, tensor in tensors.items()}
    try:
        model.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise ValueError(shorten(str(error).splitlines()[-1], 200)) from None
    return model.to(device)


def _read_config(path):
    try:
        stored = json.loads(path.read_text())
        return ModelConfig(**{field.name: stored[field.name] for field in fields(ModelConfig)})
    except (OSError, ValueError, KeyError, TypeError, UserError) as error:
        raise UserError(f"{path}: not the config.json of a model ({error!r}); make the model again") from None
