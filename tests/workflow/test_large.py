"""The paper's run once at the size of musicgen-small, from audio to tables, with random weights: `pytest -m large`."""

import os

import pandas as pd
import pytest
import yaml
from own_audio import melody, write
from standins import REVISION, SMALL, make_home
from workflow_tree import ROOT, Tree

RATE = 32000
WORKS = {"Ann": 36, "Bob": 20, "else": 14}
CONFIG = {
    "experiment": "tiny",
    "catalogue": {"source": "folder", "path": "music", "clips_per_work": 2, "clip_seconds": 1.0, "seed": 0},
    "split": {"forget": {"artist": "Ann"}, "remain": {"artist": "Bob"}, "utility": {"folder": "else"}},
    "tokens": {"shards": 1},
    "training": {"checkpoint_activations": True},
    "run": ["ga"],
    "unlearn_seeds": [0],
    "score": {"wrong_captions": 1},
    "metrics": ["likelihood", "collapse"],
}
GENERATE = {
    **{"prompts": {"forget": 1, "remain": 1, "utility": 1}, "continuations": {"forget": 1, "holdout": 1}},
    **{"prompt_seconds": [0], "batch": 4},
}


@pytest.fixture
def tree(tmp_path):
    """A tree with recordings, and with a package, a codec and a text encoder as large as the released ones."""
    tree = Tree.of_repository(tmp_path / "tree")
    for number, (artist, count) in enumerate(WORKS.items()):
        for work in range(count):
            path = tree.root / "music" / artist / f"{work:02} Song {work}.flac"
            write(path, melody(1.2, 100 * number + work, RATE), RATE)
    package = make_home(tree.root / "weights", SMALL)
    repository = tree.root / "weights/hub/models--facebook--musicgen-small"
    (repository / "snapshots").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(REVISION)
    os.rename(package, repository / "snapshots" / REVISION)
    return tree


@pytest.mark.large
def test_the_paper_at_the_size_of_musicgen_small(tree):
    """Two steps of gradient ascent on two clips."""
    config = yaml.safe_load((ROOT / "presets/no-encore.yaml").read_text()) | CONFIG
    config["generate"] |= GENERATE
    config["recipes"]["ga"] |= {"steps": 2, "batch": 2}
    options = {"config": config, "configfiles": ()}
    done = tree.snakemake("--cores", "1", **options)
    assert done.returncode == 0, done.stderr[-5000:]

    summary = pd.read_csv(tree.results / "tables/summary.csv").set_index("recipe")
    assert set(summary.index) == {"target", "ga"}
    cost = pd.read_csv(tree.results / "tables/cost.csv").set_index("model")
    assert cost.loc["ga-0", "steps"] == 2
    metrics = pd.read_csv(tree.results / "tables/metrics.csv", keep_default_na=False, na_values=[""])
    nll = metrics[metrics["metric"] == "nll_caption"].set_index(["model", "set"])["value"]
    assert nll["ga-0"].notna().all()
    assert (nll["ga-0"] != nll["target-0"]).all()
