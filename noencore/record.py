"""What is on record of a job that made a model: cost.json, which the table of costs and the methods text read."""

import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from noencore import __version__
from noencore.files import sha256, write_json


def write_record(path, name, model, cost, **outcome):
    """Write cost.json at `path`, beside the model's model.safetensors.

    name: of the model, `<recipe>-<seed>`; model: the torch module; cost: a `training.Cost`; outcome: what else the job
    has to say. Added are the number of parameters, the weights' sha256, the device's name, the threads of the CPU, and
    the versions of noencore (`version`), Python, NumPy and PyTorch.
    """
    import torch

    made = {
        "model": name,
        "parameters": sum(tensor.numel() for tensor in model.parameters()),
        "weights_sha256": sha256(Path(path).with_name("model.safetensors")),
    }
    place = {"device_name": device_name(cost.device), "threads": torch.get_num_threads()}
    versions = {"version": __version__, "python": platform.python_version()}
    versions |= {package: version(package) for package in ("numpy", "torch")}
    write_json({**made, **asdict(cost), **place, **versions, **outcome}, path)


def device_name(device):
    """The GPU's name where `device` is "cuda", else the processor's."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    return processor_name()


def processor_name(described="/proc/cpuinfo"):
    """The processor's name as Linux describes it in a file, elsewhere (or where that has none) what Python knows."""
    try:
        lines = Path(described).read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, [*names, platform.processor(), platform.machine()]), "unknown processor")
