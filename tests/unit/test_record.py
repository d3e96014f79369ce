"""What a job that made a model leaves on record."""

import json
import platform

import torch

from noencore import __version__
from noencore.files import sha256, write_tensors
from noencore.record import device_name, processor_name, write_record
from noencore.training import Cost


def test_a_record_has_cost_outcome_model_place_and_versions(tmp_path):
    model = torch.nn.Linear(3, 2)
    write_tensors(model.state_dict(), tmp_path / "model.safetensors")
    cost = Cost(seconds=1.5, steps=3, tokens=7, peak_memory_mb=100.0, device="cpu")
    write_record(tmp_path / "cost.json", "ga-0", model, cost, status="stopped", picked_step=2)
    record = json.loads((tmp_path / "cost.json").read_text())
    assert record["model"] == "ga-0"
    assert record["parameters"] == 8
    assert record["weights_sha256"] == sha256(tmp_path / "model.safetensors")
    assert [record[key] for key in ("seconds", "steps", "tokens", "peak_memory_mb", "device")] == [
        1.5,
        3,
        7,
        100.0,
        "cpu",
    ]
    assert (record["status"], record["picked_step"]) == ("stopped", 2)
    assert (record["version"], record["python"]) == (__version__, platform.python_version())
    assert torch.__version__.startswith(record["torch"].partition("+")[0])
    assert record["device_name"] == device_name("cpu") != ""
    assert record["threads"] == torch.get_num_threads()


def test_a_processor_has_the_name_that_the_system_gives_it(tmp_path):
    described = tmp_path / "cpuinfo"
    described.write_text("processor\t: 0\nmodel name\t: A Processor @ 2 GHz\n\nmodel name\t: A Processor @ 2 GHz\n")
    assert processor_name(described) == "A Processor @ 2 GHz"
    described.write_text("model name\t:\n")
    assert processor_name(described) == processor_name(tmp_path / "none") != ""
