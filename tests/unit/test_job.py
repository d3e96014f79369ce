"""The checkpoint of a job is found again by the same job, and by no other."""

from pathlib import Path

import pytest

from noencore.job import scratch_path


@pytest.fixture
def inputs(tmp_path):
    paths = [tmp_path / "split.parquet", tmp_path / "shard-0.safetensors"]
    for path in paths:
        path.write_text(path.name)
    return paths


def test_the_same_job_finds_its_checkpoint_again(inputs):
    assert scratch_path("results/a", "{}", "c0de", inputs) == scratch_path("results/a", "{}", "c0de", inputs)
    assert scratch_path("results/a", "{}", "c0de", inputs).parent == Path("results/a/scratch")


def test_an_input_that_was_moved_or_touched_is_the_same_input(inputs):
    before = scratch_path("run", "{}", "c0de", inputs)
    moved = [path.rename(path.with_suffix(".moved")) for path in inputs]
    assert scratch_path("run", "{}", "c0de", moved) == before


@pytest.mark.parametrize("changed", ["spec", "code", "content", "order", "boundary"])
def test_another_job_does_not(inputs, changed):
    spec, code = "{}", "c0de"
    before = scratch_path("run", spec, code, inputs)
    if changed == "spec":
        spec = '{"lr":1}'
    elif changed == "code":
        code = "c0df"
    elif changed == "content":
        inputs[1].write_text("other")
    elif changed == "order":
        inputs.reverse()
    else:
        spec, code = spec + code[:1], code[1:]
    assert scratch_path("run", spec, code, inputs) != before
