"""A catalogue whose audio is fetched: from a site on this machine, before any other job, once."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
import soundfile
from websites import Answer, running_site
from workflow_tree import Tree

pytest.importorskip("yt_dlp", reason="yt-dlp is not installed")

RATE = 16000
CATALOGUE = "results/tiny/catalogue.parquet"
HEAD = ["ytid", "start_s", "end_s", "aspect_list", "caption", "is_balanced_subset", "is_audioset_eval"]
STOCK = 20  # tracks, of which the first has expired
VIDEOS = {  # id of eleven characters: what the site answers, sound where nothing is said
    **{f"good{n:02}abcde": None for n in range(16)},
    "gone-abcdef": Answer(status=404),
    "html-abcdef": Answer(b"<html>no sound here</html>", "text/html"),
}


def sound(seed, seconds):
    """The bytes of a flac file of coloured noise."""
    noise = np.random.default_rng(seed).standard_normal(RATE * seconds)
    wave = np.convolve(noise, np.hanning(64) * np.cos(np.arange(64) * (0.05 + 0.03 * seed)), "same")
    file = io.BytesIO()
    soundfile.write(file, 0.5 * wave / np.abs(wave).max(), RATE, "PCM_16", format="FLAC")
    return file.getvalue()


@pytest.fixture
def site():
    with running_site() as running:
        for number, (name, answer) in enumerate(VIDEOS.items()):
            running.serve(f"/watch/{name}", answer or Answer(sound(number, 16)))
        for number in range(STOCK):
            running.serve(f"/stock/{number}.flac", Answer(status=429), Answer(sound(20 + number, 8)))
        running.serve("/stock/0.flac", Answer(status=403))
        yield running


@pytest.fixture
def tree(tmp_path):
    return Tree.of_repository(tmp_path / "tree")


@pytest.fixture
def config(site, tree):
    """Both sources in one catalogue, as in the paper."""
    with (tree.root / "caps.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEAD)
        table.writerows([name, 5, 15, "['noise']", f"Noise {name}", "False", str(name < "good08")] for name in VIDEOS)
    stock = pd.DataFrame(
        {"OriginalFilename": [f"{n}.flac" for n in range(STOCK)], "Title": "Noise", "Artist": "A. Holder"}
    )
    stock["URL"] = [f"{site.url}/stock/{n}.flac?ticket=secret" for n in range(STOCK)]
    stock.to_csv(tree.root / "stock.csv", index=False)
    return {
        "catalogue": {
            **{"source": "several", "clips_per_work": 2, "clip_seconds": 4.0, "seed": 0},
            "parts": {
                "stock": {"source": "pond5", "path": "stock.csv"},
                "caps": {"source": "musiccaps", "path": "caps.csv", "url": site.url + "/watch/{ytid}"},
            },
        },
        "split": {
            **{"forget": {"source": "stock"}, "remain": {"source": "caps", "audioset": "train"}},
            "utility": {"source": "caps", "audioset": "eval"},
        },
        "generate": {
            "prompts": {"forget": 1, "remain": 1, "utility": 1},
            "continuations": {"forget": 1, "holdout": 1},
        },
        "fetch": {"pause": 0.0, "backoff": 0.01, "retries": 1, "timeout": 600, "min_share": 0.5},
    }


def test_audio_is_fetched_once_and_every_loss_has_its_reason(tree, site, config):
    assert tree.planned(CATALOGUE, config=config) == ["catalogue", "fetch_audio caps", "fetch_audio stock"]
    tree.run(CATALOGUE, config=config)
    rows = pd.read_parquet(tree.root / CATALOGUE)
    assert rows.groupby(["source", "status"]).size().to_dict() == {
        **{("caps", "gone"): 1, ("caps", "wrong_type"): 1, ("caps", "ok"): 32},
        **{("stock", "ok"): 38, ("stock", "forbidden"): 1},
    }
    assert (rows["reason"] != "").eq(rows["status"] != "ok").all()
    assert not any(b"secret" in path.read_bytes() for path in (tree.root / "results").rglob("*") if path.is_file())
    assert tree.planned(CATALOGUE, config=config) == []

    # What is there is not asked for again; and how the site is treated is no reason to make anything again.
    asked = len(site.requests)
    tree.run(CATALOGUE, "--forcerun", "fetch_audio", config=config)
    assert {path for path, _ in site.requests[asked:]} == {"/watch/gone-abcdef", "/watch/html-abcdef", "/stock/0.flac"}
    config["fetch"] |= {"workers": 1, "pause": 0.5}
    assert tree.planned(CATALOGUE, config=config) == []


def test_the_catalogue_itself_needs_no_site(tree, config, site):
    tree.run("results/tiny/fetched/caps.parquet", "results/tiny/fetched/stock.parquet", config=config)
    site.answers.clear()
    asked = len(site.requests)
    tree.run(CATALOGUE, config=config)
    assert len(site.requests) == asked
    assert (pd.read_parquet(tree.root / CATALOGUE)["status"] == "ok").sum() == 70


def test_too_few_files_stop_the_run_with_one_line(tree, config):
    config["fetch"]["min_share"] = 0.9
    done = tree.snakemake("--cores", "2", CATALOGUE, config=config)
    assert done.returncode != 0
    last = [line for line in done.stderr.splitlines() if line.startswith("error: ")][-1]
    assert "files cannot be had" in last
    assert "fetch.min_share (0.9)" in last
    assert not (tree.root / CATALOGUE).exists()


def test_a_table_that_is_wrong_is_named_before_anything_is_fetched(tree, config, site):
    path = tree.root / "caps.csv"
    path.write_text(path.read_text().replace("good01abcde,5,15", "good01abcde,soon,15"))
    done = tree.snakemake("-n", CATALOGUE, config=config)
    assert done.returncode != 0
    assert "error: caps.csv: row 2: start_s is 'soon', not a number; correct it" in done.stderr
    assert not site.requests
