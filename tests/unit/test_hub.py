"""A released package is found wherever it lies, and nothing of it is unpickled but tensors and plain values."""

import shutil
import tracemalloc
import zipfile

import pytest
import torch
from standins import REVISION, write_bin

from noencore.errors import UserError
from noencore.hub import find_in_hub, find_package, pickles_in, read_config, read_package, read_state

NAME, FOLDER = "someone/music", "models--someone--music"


@pytest.fixture
def cache(released_home, tmp_path):
    """A hub cache with a package in it, as links to blobs."""
    folder, package = tmp_path / "cache" / FOLDER, released_home / "package"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(REVISION)
    (folder / "snapshots" / REVISION).mkdir(parents=True)
    shutil.copytree(package, folder / "blobs")
    for path in package.iterdir():
        (folder / "snapshots" / REVISION / path.name).symlink_to(f"../../blobs/{path.name}")
    return tmp_path / "cache"


def test_a_package_is_found_by_folder_by_snapshot_and_by_name(cache, released_home):
    snapshot = cache / FOLDER / "snapshots" / REVISION
    assert find_package(released_home / "package") == released_home / "package"
    assert find_package(str(snapshot)) == snapshot
    assert find_package(cache / FOLDER) == snapshot
    assert find_package(NAME, cache) == snapshot


def test_the_default_cache_is_the_one_of_huggingface_hub(hub):
    assert find_in_hub("t5-base", "config.json") == hub / "models--t5-base" / "snapshots" / REVISION / "config.json"


@pytest.mark.parametrize("name", [NAME, "t5-base", "not/a/name", "not a name"])
def test_what_is_not_in_the_cache_is_named_with_the_cure(tmp_path, name):
    with pytest.raises(UserError, match=rf"{name}: no x.bin in the hub cache {tmp_path}; run `hf download {name}`"):
        find_in_hub(name, "x.bin", tmp_path)


def test_no_package_is_named(cache, tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such directory"):
        find_package(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"someone/other: no state_dict\.bin in the hub cache"):
        find_package("someone/other", cache)
    with pytest.raises(UserError, match=r"cache: holds no state_dict\.bin"):
        find_package(cache)


class Foreign:
    """Unpickling it would run code."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch_are_read(tmp_path, zipped):
    content = {"best_state": {"a": torch.arange(3.0)}, "xp.cfg": "a: 1\n", "exported": True}
    torch.save(content, tmp_path / "x.bin", _use_new_zipfile_serialization=zipped)
    package = read_package(tmp_path / "x.bin")
    assert package["xp.cfg"] == "a: 1\n"
    assert torch.equal(read_state("x.bin", package)["a"], torch.arange(3.0))
    assert read_config("x.bin", package).a == 1


@pytest.mark.parametrize("zipped", [True, False])
def test_foreign_objects_are_not_unpickled(tmp_path, zipped):
    torch.save({"best_state": Foreign()}, tmp_path / "x.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"x\.bin: not tensors and text"):
        read_package(tmp_path / "x.bin")


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.9, 0.999])
def test_a_cut_file_is_named(released_home, tmp_path, share):
    content = (released_home / "package" / "state_dict.bin").read_bytes()
    (tmp_path / "x.bin").write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"x\.bin: not tensors and text") as caught:
        read_package(tmp_path / "x.bin")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["state_dict/data.pkl", "state_dict/data/0"])
def test_a_packed_archive_is_not_unpacked(tmp_path, name):
    """A hundred megabytes in a hundred kilobytes; no released package packs anything."""
    with zipfile.ZipFile(tmp_path / "x.bin", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, bytes(100_000_000))
    tracemalloc.start()
    with pytest.raises(UserError, match=r"x\.bin: a packed archive, and no released package is one"):
        read_package(tmp_path / "x.bin")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("place", [b"PK\x01\x02", b"best_state"])
def test_a_damaged_package_is_named(tmp_path, place):
    """In its list of files, and in the pickle itself."""
    torch.save({"best_state": {"a": torch.ones(3)}}, tmp_path / "x.bin")
    content = (tmp_path / "x.bin").read_bytes()
    (tmp_path / "x.bin").write_bytes(content.replace(place, b"damaged!!!"[: len(place)], 1))
    with pytest.raises(UserError, match=r"x\.bin: not tensors and text") as caught:
        pickles_in(tmp_path / "x.bin")
    assert "\n" not in str(caught.value)


def test_what_else_is_no_package_is_named(tmp_path):
    with pytest.raises(UserError, match=r"x\.bin: missing"):
        read_package(tmp_path / "x.bin")
    write_bin(tmp_path / "x.bin", [torch.ones(2)])
    with pytest.raises(UserError, match=r"x\.bin: holds a list"):
        read_package(tmp_path / "x.bin")


@pytest.mark.parametrize("state", [None, {}, {"a": 1}, torch.ones(2), {"model": {"a": torch.ones(2)}}])
def test_weights_are_a_dict_of_tensors(state):
    with pytest.raises(UserError, match=r"x\.bin: its best_state is no dict of tensors"):
        read_state("x.bin", {"best_state": state})


ALIASES = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))


@pytest.mark.parametrize("text", [None, ALIASES, "a: &a [*a]\n", "- a\n", "a: [", "a: ${", {"a": 1}])
def test_a_config_is_a_mapping_in_yaml(text):
    with pytest.raises(UserError, match=r"x\.bin: its xp\.cfg is not the YAML text of a config") as caught:
        read_config("x.bin", {"xp.cfg": text})
    assert "\n" not in str(caught.value)
