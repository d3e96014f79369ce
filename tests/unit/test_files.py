"""Files are safe and whole: a reader sees the old file or the new one, and the same content is the same bytes."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import torch

from noencore import files
from noencore.errors import UserError

FRAME = pd.DataFrame({"clip_id": ["a", "b"], "nll": [1.5, np.nan], "n": [3, 4]})
TENSORS = {"a": torch.arange(6).reshape(2, 3).T, "b": torch.ones(2, dtype=torch.float16)}
METADATA = {"codebooks": "4", "card": "256", "frame_rate": "50.0", "title": 'Caisleán "uí" Néill\n', "z": ""}


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write_half():
        with files.atomic(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_succeeds_replaces_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "folder" / "table.csv"
    for text in ("old", "new"):
        with files.atomic(path) as temporary:
            assert temporary.parent == path.parent  # a rename across file systems is no rename
            temporary.write_text(text)
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_parquet_comes_back_as_it_was(tmp_path):
    files.write_parquet(FRAME, tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(files.read_parquet(tmp_path / "x.parquet"), FRAME)


def test_tensors_and_metadata_come_back_as_they_were(tmp_path):
    files.write_tensors(TENSORS, tmp_path / "x.safetensors", METADATA)
    tensors, metadata = files.read_tensors(tmp_path / "x.safetensors")
    assert metadata == METADATA
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert tensors["b"].dtype == torch.float16


def test_tensors_without_metadata_have_an_empty_one(tmp_path):
    files.write_tensors(TENSORS, tmp_path / "x.safetensors")
    assert files.read_tensors(tmp_path / "x.safetensors")[1] == {}


@pytest.mark.parametrize(
    "write",
    [
        lambda path: files.write_parquet(FRAME, path),
        lambda path: files.write_csv(FRAME, path),
        lambda path: files.write_json(METADATA, path),
        lambda path: files.write_tensors(TENSORS, path, METADATA),
    ],
)
def test_the_same_content_is_the_same_bytes(tmp_path, write):
    digests = set()
    for _ in range(8):  # safetensors alone writes five keys of metadata in a random order
        write(tmp_path / "x")
        digests.add(files.sha256(tmp_path / "x"))
    assert len(digests) == 1


def test_csv_has_empty_cells_and_ten_digits(tmp_path):
    files.write_csv(FRAME.assign(nll=[1 / 3, np.nan]), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "clip_id,nll,n\na,0.3333333333,3\nb,,4\n"


def test_json_does_not_depend_on_the_order_of_keys(tmp_path):
    files.write_json({"b": 1, "a": {"d": 2, "c": 3}}, tmp_path / "one.json")
    files.write_json({"a": {"c": 3, "d": 2}, "b": 1}, tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert json.loads((tmp_path / "one.json").read_text()) == {"a": {"c": 3, "d": 2}, "b": 1}


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other"])
@pytest.mark.parametrize("kind", ["parquet", "safetensors"])
def test_a_damaged_file_is_named_in_one_line(tmp_path, kind, damage):
    path = tmp_path / f"x.{kind}"
    if kind == "parquet":
        files.write_parquet(FRAME, path)
    else:
        files.write_tensors(TENSORS, path)
    whole = path.read_bytes()
    path.write_bytes({"missing": b"", "empty": b"", "cut": whole[: len(whole) * 2 // 3], "other": b"RIFF" * 99}[damage])
    if damage == "missing":
        path.unlink()
    read = files.read_parquet if kind == "parquet" else files.read_tensors
    with pytest.raises(
        UserError, match=rf"x\.{kind}: not a readable {kind} file .*; delete it and run again"
    ) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_sha256_is_hashlibs(tmp_path):
    (tmp_path / "x").write_bytes(b"encore" * 99999)
    assert files.sha256(tmp_path / "x") == hashlib.sha256(b"encore" * 99999).hexdigest()
