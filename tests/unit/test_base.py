"""A released package as the start of an experiment: found, complete or not, and known by the content of its files."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from standins import ENCODEC, REVISION, T5, point_to

from noencore.base import T5_FILES, check_base, content_sha256, find_base, needed_repositories
from noencore.errors import UserError
from noencore.files import sha256

NAME = "facebook/musicgen-small"


@pytest.fixture
def weights(released_home, tmp_path):
    """A directory `weights` whose hub cache holds the stand-in under the name of the real package."""
    shutil.copytree(released_home / "hub", tmp_path / "hub")
    snapshot = tmp_path / "hub/models--facebook--musicgen-small/snapshots" / REVISION
    shutil.copytree(released_home / "package", snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text(REVISION)
    return tmp_path


def config(weights, init=NAME):
    return {"model": {"init": init}, "weights": str(weights)}


def test_a_name_and_a_directory_are_the_same_package(weights, released_home):
    named, given = find_base(config(weights)), find_base(config(weights, str(released_home / "package")))
    check_base(NAME, named)
    check_base(str(released_home / "package"), given)
    assert named.encoders() == {**given.encoders(), "package": str(named.package)}
    assert named.codec_sha256() == given.codec_sha256() == sha256(given.codec)
    assert (named.t5, named.encoders()["codebooks"]) == (T5, 4)


def test_a_package_is_read_once_for_all_shards(weights, monkeypatch):
    """Snakemake asks for the params of every job: with a thousand shards a run took minutes to start."""
    read, load = [], torch.load
    monkeypatch.setattr(torch, "load", lambda *args, **options: read.append(args) or load(*args, **options))
    base = find_base(config(weights))
    base.encoders()
    once = len(read)
    assert once > 0
    base.encoders()
    find_base(config(weights)).encoders()
    assert len(read) == once


def test_from_scratch_there_is_no_base():
    assert find_base({"model": {"init": "scratch"}, "weights": "weights"}) is None


def test_a_base_that_is_not_there_can_be_named_but_not_used(tmp_path):
    base = find_base(config(tmp_path))
    assert base.codec_sha256() == ""
    with pytest.raises(UserError, match=r"facebook/musicgen-small: no state_dict\.bin in .*hub; run `snakemake fetch`"):
        check_base(NAME, base)
    with pytest.raises(UserError, match=r"model\.init: no directory musicgen; give that of a released package"):
        find_base(config(tmp_path, "musicgen"))


def test_what_the_package_names_must_be_there_too(weights):
    shutil.rmtree(weights / "hub/models--t5-base")
    with pytest.raises(UserError, match=r"t5-base: no config\.json in"):
        check_base(NAME, find_base(config(weights)))


def test_a_package_without_its_codec_is_not_whole(weights):
    base = find_base(config(weights))
    base.codec.unlink()
    with pytest.raises(UserError, match=r"compression_state_dict\.bin: missing; download or export the package again"):
        find_base(config(weights, str(base.package)))
    with pytest.raises(UserError, match=r"no compression_state_dict\.bin in .*hub; run `snakemake fetch`"):
        check_base(NAME, find_base(config(weights)))


def test_a_package_of_another_kind_is_refused_before_anything_runs(weights):
    base = find_base(config(weights))
    change = {"interleave_stereo_codebooks": {"use": True}}
    stored = torch.load(base.weights, weights_only=True)
    stored["xp.cfg"] = yaml.safe_dump(yaml.safe_load(stored["xp.cfg"]) | change)
    torch.save(stored, base.weights)
    with pytest.raises(UserError, match="a stereo package"):
        check_base(NAME, base)


def test_a_codec_that_is_a_pointer_is_known_by_what_it_points_to(weights):
    base = find_base(config(weights))
    assert needed_repositories(NAME, base).keys() == {NAME, T5}
    point_to(base.package, ENCODEC)
    pointing = find_base(config(weights, str(shutil.copytree(base.package, weights / "own"))))
    assert needed_repositories(str(pointing.package), pointing) == {T5: T5_FILES, ENCODEC: T5_FILES[:2]}
    before = pointing.codec_sha256()
    elsewhere = find_base(config(weights / "empty", str(pointing.package)))
    assert elsewhere.codec_sha256() == before.split()[0]  # it has yet to be fetched
    file = next(Path(weights / "hub").glob("models--facebook--encodec_32khz/snapshots/*/model.safetensors"))
    file.write_bytes(file.read_bytes() + b" ")
    content_sha256.cache_clear()
    assert pointing.codec_sha256() != before


def test_a_blob_of_the_hub_is_known_by_its_name(tmp_path):
    blob = tmp_path / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    blob.write_bytes(b"weights")
    (tmp_path / "state_dict.bin").symlink_to(blob)
    assert content_sha256(tmp_path / "state_dict.bin") == "ab" * 32
    other = tmp_path / "blobs" / ("ab" * 20)
    other.write_bytes(b"weights")
    assert content_sha256(other) == sha256(other)
