"""What is known of fetched files, and what counts as an address."""

from pathlib import Path

import pandas as pd
import pytest

from noencore.catalogue.wanted import Fetched, Wanted, is_address, store_of


@pytest.fixture
def fetched(tmp_path):
    """A file that is there, one that was cut off since, one that was removed, one that could not be had."""
    (tmp_path / "whole.wav").write_text("sound")
    (tmp_path / "cut.wav").write_text("sou")
    rows = [
        ("whole.wav", 5, "ok", ""),
        ("cut.wav", 5, "ok", ""),
        ("lost.wav", 5, "ok", ""),
        ("gone.wav", 0, "gone", "404"),
    ]
    return Fetched(tmp_path, pd.DataFrame(rows, columns=["file", "bytes", "status", "reason"]))


def test_places_follow_the_names_asked_for(fetched):
    places = fetched.places(["gone.wav", "whole.wav", "new.wav", "whole.wav"])
    assert places["file"].tolist() == ["gone.wav", "whole.wav", "new.wav", "whole.wav"]
    assert places["size"].tolist() == [-1, 5, -1, 5]
    assert places["status"].tolist() == ["gone", "", "missing", ""]
    assert places["reason"].tolist() == ["404", "", "was not fetched", ""]


@pytest.mark.parametrize("file", ["cut.wav", "lost.wav"])
def test_a_file_that_is_no_longer_as_it_was_is_missing_with_the_cure(fetched, file):
    place = fetched.places([file]).loc[0]
    assert place["status"] == "missing"
    assert "--forcerun fetch_audio" in place["reason"]


def test_before_anything_is_fetched_all_files_count_as_there():
    assert Fetched().places(["a.wav", "b.wav"])["status"].tolist() == ["", ""]


def test_all_experiments_share_what_was_fetched():
    stores = {store_of(f"results/{run}/fetched/caps.parquet", "musiccaps") for run in ("one", "two")}
    assert stores == {Path("results/store/fetched/musiccaps")}


def test_the_origin_of_a_whole_file_leaves_out_what_differs_each_time():
    assert Wanted("x", "https://a.example/x?ticket=1").origin == Wanted("x", "https://a.example/x?ticket=2").origin
    assert Wanted("x", "https://a.example/x?v=1", 0, 9).origin != Wanted("x", "https://a.example/x?v=2", 0, 9).origin


@pytest.mark.parametrize("url", ["http://a.example/x", "https://a.example:8443/x?y=%20#z", "https://user@[::1]/x"])
def test_an_address_is_http_with_a_host(url):
    assert is_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "-x",
        "//a.example/x",
        "http:x",
        "http://",
        "https:///x",
        "ftp://a/x",
        "file:///x",
        "http://[",
        "http://a/ x",
    ],
)
def test_anything_else_is_none(url):
    assert not is_address(url)
