"""Checkpoints of a run in progress: weights, AdamW's moments and the step, as one safetensors file.

Everything else of a run (order of clips, learning rate, draws) is a function of its seed and the step, so that a
resumed run makes the same weights as one that nobody disturbed.
"""

import json
import time
from pathlib import Path

from noencore.files import read_tensors, write_tensors

SECONDS_BETWEEN = 20.0  # and as many for each second that writing takes: of a large model a file is tens of GB
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Checkpoint:
    """The checkpoint file of one run; `path` names the run (spec, code and inputs), so that no other run reads it."""

    def __init__(self, path, model, optimizer):
        self.path, self.model, self.optimizer = Path(path), model, optimizer
        self.saved, self.pause = time.monotonic(), SECONDS_BETWEEN
        self.extra = {}

    def resume(self):
        """Load the file where there is one, `extra` with it; returns (steps done, notes kept with it)."""
        if not self.path.exists():
            return 0, {}
        tensors, metadata = read_tensors(self.path)
        self.model.load_state_dict({k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")})
        for name, parameter in self.model.named_parameters():
            if f"step/{name}" in tensors:
                self.optimizer.state[parameter] = {
                    key: tensors[f"{key}/{name}"].to(parameter.device) for key in MOMENTS
                }
        self.extra = {k.removeprefix("extra/"): v for k, v in tensors.items() if k.startswith("extra/")}
        return int(metadata["steps_done"]), json.loads(metadata["notes"])

    def save(self, steps_done, notes=None, force=False, extra=None):
        """Write the file if the pause since the last time is over, or if forced.

        notes: kept as json; extra: dict of further tensors.
        """
        began = time.monotonic()
        if not force and began - self.saved < self.pause:
            return
        tensors = {f"model/{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"{key}/{name}"] = value
        tensors |= {f"extra/{name}": tensor for name, tensor in (extra or {}).items()}
        write_tensors(tensors, self.path, {"steps_done": str(steps_done), "notes": json.dumps(notes or {})})
        self.saved = time.monotonic()
        self.pause = SECONDS_BETWEEN * max(1.0, self.saved - began)

    def remove(self):
        """Delete the file, and what kills in the middle of writing have left of it: the run is done."""
        for path in (self.path, *self.path.parent.glob(f".{self.path.name}.*.tmp")):
            path.unlink(missing_ok=True)
