"""A checkpoint holds all that a run cannot compute anew: weights, moments, steps and notes."""

import pytest
import torch

from noencore import checkpoints
from noencore.checkpoints import Checkpoint
from noencore.errors import UserError


def make(seed):
    """A small network and its AdamW; the second weight takes no part, so that it has no moments."""
    generator = torch.Generator().manual_seed(seed)
    model = torch.nn.ModuleDict({"used": torch.nn.Linear(3, 2), "unused": torch.nn.Linear(2, 1)})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=generator)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)


def step(model, optimizer):
    optimizer.zero_grad()
    model["used"](torch.ones(1, 3)).square().sum().backward()
    optimizer.step()


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scratch" / "run.safetensors"


def test_without_a_file_a_run_starts_at_zero(path):
    assert Checkpoint(path, *make(0)).resume() == (0, {})


def test_a_resumed_optimizer_makes_the_next_steps_of_the_first(path):
    model, optimizer = make(0)
    for _ in range(3):
        step(model, optimizer)
    Checkpoint(path, model, optimizer).save(3, {"kept": [1, "x", None]}, force=True)
    resumed, its_optimizer = make(1)
    assert Checkpoint(path, resumed, its_optimizer).resume() == (3, {"kept": [1, "x", None]})
    assert same_weights(model, resumed)
    for _ in range(3):
        step(model, optimizer)
        step(resumed, its_optimizer)
        assert same_weights(model, resumed)


def test_further_tensors_come_back_with_it(path):
    model, optimizer = make(0)
    kept = {"used.weight": torch.arange(6.0)}
    Checkpoint(path, model, optimizer).save(1, extra=kept, force=True)
    again = Checkpoint(path, *make(1))
    assert again.extra == {}
    again.resume()
    assert again.extra.keys() == kept.keys()
    assert torch.equal(again.extra["used.weight"], kept["used.weight"])
    assert same_weights(again.model, model)


def test_files_are_written_now_and_then(path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    checkpoint = Checkpoint(path, *make(0))
    written = []
    for done in range(1, 100):
        now += 1.0
        checkpoint.save(done)
        if path.exists():
            written.append(done)
            path.unlink()
    assert written == [20, 40, 60, 80]


def test_a_file_that_takes_long_to_write_is_written_less_often(path, monkeypatch):
    """A run of an hour, to which writing for 40 s adds a twentieth; every 20 s it would have added two hours."""
    now, written = 100.0, []

    def slow(tensors, path, metadata):
        nonlocal now
        now += 40.0
        written.append(path)

    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    monkeypatch.setattr(checkpoints, "write_tensors", slow)
    checkpoint = Checkpoint(path, *make(0))
    for done in range(1, 3601):
        now += 1.0
        checkpoint.save(done)
    assert now < 100 + 1.06 * 3600
    assert len(written) == 5


def test_a_run_that_is_done_leaves_nothing(path):
    checkpoint = Checkpoint(path, *make(0))
    checkpoint.save(1, force=True)
    (path.parent / f".{path.name}.1234.tmp").write_bytes(b"half")  # of a job that was killed while it wrote
    checkpoint.remove()
    assert list(path.parent.iterdir()) == []
    checkpoint.remove()


def test_a_damaged_checkpoint_is_named(path):
    checkpoint = Checkpoint(path, *make(0))
    checkpoint.save(1, force=True)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"run\.safetensors: .* delete it and run again"):
        checkpoint.resume()
