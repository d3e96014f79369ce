"""A folder of the user's own audio, by the workflow as far as tokens and split."""

import pandas as pd
import pytest
from own_audio import melody, write
from safetensors import safe_open
from workflow_tree import Tree

WORKS = {"Ann": (14, "flac"), "Bob": (12, "ogg"), "else": (8, "wav")}
CONFIG = {
    "catalogue": {"source": "folder", "path": "music", "clips_per_work": 2},
    "tokens": {"shards": 1},
    "split": {
        "forget": {"artist": "Ann"},
        "remain": {"artist": {"not": "Ann"}, "folder": {"not": "else"}},
        "utility": {"folder": "else"},
    },
}
WANTED = ["results/tiny/tokens/shard-0.safetensors", "results/tiny/split.parquet"]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A tree with a folder `music` of 34 works in three formats and rates, one of them broken, and its results."""
    tree = Tree.of_repository(tmp_path_factory.mktemp("own") / "tree")
    for number, (artist, (count, suffix)) in enumerate(WORKS.items()):
        rate = (22050, 44100, 16000)[number]
        for work in range(count):
            seed = 100 * number + work
            write(tree.root / "music" / artist / f"{work:02} Song {work}.{suffix}", melody(3.4, seed, rate), rate)
    (tree.root / "music/Bob/00 Song 0.ogg").write_bytes(b"no audio")
    tree.run(*WANTED, config=CONFIG)
    return tree


def test_a_folder_becomes_clips_tokens_and_sets(own):
    catalogue = pd.read_parquet(own.results / "catalogue.parquet")
    good = catalogue[catalogue["status"] == "ok"].set_index("clip_id")
    assert catalogue["status"].value_counts().to_dict() == {"ok": 33 * 2, "unreadable": 1}
    split = pd.read_parquet(own.results / "split.parquet").set_index("clip_id")
    assert set(split.index) == set(good.index)
    sets = split["set"].groupby(good["artist"].reindex(split.index)).agg(set).to_dict()
    assert sets == {"Ann": {"forget", "holdout"}, "Bob": {"remain"}, "else": {"utility"}}
    with safe_open(own.root / WANTED[0], "np") as file:
        codes = {name: file.get_tensor(name) for name in file.keys() if name.startswith("codes/")}  # noqa: SIM118
    assert sorted(codes) == [f"codes/{clip}" for clip in sorted(good.index)]
    assert {tokens.shape for tokens in codes.values()} == {(4, 50)}


def test_the_log_says_how_many_were_used_and_why_not_the_others(own):
    log = (own.results / "logs/catalogue.log").read_text()
    assert "66 clips of 33 works by 3 artists" in log
    assert "not used, unreadable: 1 (first: Bob/00 Song 0.ogg: " in log
    unused = pd.read_csv(own.results / "logs/catalogue.unused.csv")
    assert unused[["file", "status"]].to_numpy().tolist() == [["Bob/00 Song 0.ogg", "unreadable"]]


def test_what_is_the_same_runs_nothing_and_another_file_runs_the_catalogue(own):
    for path in (own.root / "music").rglob("*.*"):
        path.touch()
    assert own.planned(*WANTED, config=CONFIG) == []
    added = write(own.root / "music/Bob/new.wav", melody(2.0, 999))
    assert own.planned(*WANTED, config=CONFIG) == ["catalogue", "split", "tokens 0"]
    added.unlink()
    about = own.root / "music/metadata.csv"
    about.write_text("file,caption\nelse/01 Song 1.wav,A caption\n")
    assert own.planned(*WANTED, config=CONFIG) == ["catalogue", "split", "tokens 0"]
    about.unlink()


MISTAKES = {
    "no folder": ({"catalogue": {"path": "musik"}}, "musik: no such folder; correct catalogue.path"),
    "no manifest": (
        {"catalogue": {"source": "csv", "path": "list.csv", "columns": {"audio": "a", "caption": "b"}}},
        "list.csv: no such file",
    ),
    "no selector": ({"split": {"utility": {}}}, "config: split.utility: {}"),
    "a key of another source": ({"catalogue": {"columns": {"audio": "a"}}}, "catalogue: unknown key 'columns'"),
    "too few good files": ({"catalogue": {"min_usable": 0.99}}, "config: catalogue.min_usable: 33 of 34 recordings"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(own, name):
    change, message = MISTAKES[name]
    config = {
        "catalogue": {**CONFIG["catalogue"], **change.get("catalogue", {})},
        "split": {**CONFIG["split"], **change.get("split", {})},
        "experiment": "mistake",
    }
    done = own.snakemake("results/mistake/split.parquet", "--cores", "2", config=config)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: "), done.stderr[-2000:]
    assert message in last
    assert "Traceback" not in done.stdout + done.stderr
