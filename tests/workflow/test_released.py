"""Released models end to end, by the presets at toy size: as they are (no gold), and fine-tuned by LoRA (with gold)."""

import shutil

import pandas as pd
import pytest
import torch
import yaml
from hub_site import serve_hub
from own_audio import melody, write
from safetensors import safe_open
from standins import REVISION
from standins_audio import make_weights
from websites import running_site
from workflow_tree import ROOT, Tree

from noencore.musicgen.package import load_model
from noencore.musicgen.released import load_released

RATE = 32000
REPOSITORY = "models--facebook--musicgen-small"
ARTISTS = {"Ann": 14, "Bob": 12, "else": 8}
TOY = {
    "experiment": "tiny",
    "catalogue": {"source": "folder", "path": "music", "clips_per_work": 2, "clip_seconds": 1.0, "seed": 0},
    "split": {
        "forget": {"artist": "Ann"},
        "remain": {"artist": {"not": "Ann"}, "folder": {"not": "else"}},
        "utility": {"folder": "else"},
    },
    "tokens": {"shards": 1},
    "unlearn_seeds": [0],
    "score": {"wrong_captions": 1},
    "generate": {
        **{"prompts": {"forget": 10, "remain": 10, "utility": 10}, "continuations": {"forget": 2, "holdout": 2}},
        **{"prompt_seconds": [0, 0.5], "batch": 16},
    },
}


def toy(preset):
    """A preset's config with the catalogue of `music`, at toy size: everything else is the preset's."""
    config = yaml.safe_load((ROOT / f"presets/{preset}.yaml").read_text())
    config |= {key: TOY[key] for key in ("experiment", "catalogue", "split", "tokens", "unlearn_seeds", "score")}
    config["generate"] |= TOY["generate"]
    config["training"] = config.get("training", {}) | {"steps": 4}
    for recipe in config["recipes"].values():
        recipe |= {"steps": 2, "batch": 4} if "lr" in recipe else {}
    return config


@pytest.fixture(scope="module")
def tree(tmp_path_factory, released_home):
    """A tree with recordings and all weights: the stand-in of a package under its name in the hub cache."""
    tree = Tree.of_repository(tmp_path_factory.mktemp("released") / "tree")
    for number, (artist, count) in enumerate(ARTISTS.items()):
        for work in range(count):
            write(
                tree.root / "music" / artist / f"{work:02} Song {work}.flac",
                melody(2.4, 100 * number + work, RATE),
                RATE,
            )
    make_weights(tree.root / "weights")
    shutil.copytree(released_home / "hub", tree.root / "weights/hub", symlinks=True)
    repository = tree.root / "weights/hub" / REPOSITORY
    shutil.copytree(released_home / "package", repository / "snapshots" / REVISION)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(REVISION)
    return tree


def test_the_paper_at_toy_size(tree):
    """Of the metrics those that the paper has, FAD, KL and CLAP, and one of likelihood; of the recipes one."""
    config = toy("no-encore") | {"run": ["ga"], "metrics": ["likelihood", "quality", "text_audio"]}
    tree.run(config=config, configfiles=())
    metrics = pd.read_csv(tree.results / "tables/metrics.csv", keep_default_na=False, na_values=[""])
    assert set(metrics["model"]) == {"target-0", "ga-0"}
    assert metrics["gold_mean"].isna().all()
    assert {"fad_vggish", "fad_passt", "text_audio_laion_clap"} <= set(metrics.loc[metrics["value"].notna(), "metric"])
    comparisons = pd.read_csv(tree.results / "tables/comparisons.csv")
    assert set(comparisons["reference"]) == {"target"}
    cost = pd.read_csv(tree.results / "tables/cost.csv").set_index("model")
    assert cost.loc["target-0", ["seconds", "steps", "tokens"]].tolist() == [0, 0, 0]

    target = load_model(tree.results / "models/target-0")
    released = load_released(tree.root / "weights/hub" / REPOSITORY)
    assert target.config == released.config
    assert all(torch.equal(one, other) for one, other in zip(target.parameters(), released.parameters(), strict=True))
    with safe_open(tree.results / "tokens/shard-0.safetensors", "np") as file:
        assert {key: file.metadata()[key] for key in ("card", "codebooks")} == {"card": "300", "codebooks": "4"}
        assert file.get_tensor(next(name for name in file.keys() if name.startswith("text/"))).shape[1] == 768  # noqa: SIM118
    assert tree.planned(config=config, configfiles=()) == []


def test_opt_out_at_toy_size_and_its_model_as_a_package(tree):
    config = toy("opt-out") | {"experiment": "own", "run": ["ga"], "metrics": ["likelihood"]}
    config["gold"] = {"train_seeds": [0]}
    results, exported = tree.root / "results/own", "results/own/models/ga-0/released"
    tree.run("all", exported, config=config, configfiles=())
    summary = pd.read_csv(results / "tables/summary.csv").set_index("recipe")
    assert set(summary.index) == {"target", "gold", "ga"}

    released = load_released(tree.root / "weights/hub" / REPOSITORY).state_dict()
    for name in ("target-0", "gold-0"):
        tuned = load_model(results / f"models/{name}").state_dict()
        for key, tensor in tuned.items():
            adapted = "layers" in key and tensor.ndim == 2
            assert torch.equal(tensor, released[key]) != adapted, (name, key)
    unlearned, package = load_model(results / "models/ga-0"), load_released(tree.root / exported)
    assert all(torch.equal(one, other) for one, other in zip(unlearned.parameters(), package.parameters(), strict=True))
    codec = "compression_state_dict.bin"
    base = tree.root / "weights/hub" / REPOSITORY / "snapshots" / REVISION
    assert (tree.root / exported / codec).read_bytes() == (base / codec).read_bytes()


def test_fetch_brings_what_is_missing_and_the_run_asks_for_it(tree, released_home):
    config = toy("opt-out") | {"experiment": "fetched", "weights": "empty", "metrics": ["likelihood"]}
    options = {"config": config, "configfiles": ()}
    done = tree.snakemake("-n", "--cores", "1", **options)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "error: config: model.init: facebook/musicgen-small: no state_dict.bin in empty/hub; run `snak"
    )
    said = tree.run("preflight", **options).stderr
    assert "missing: 5 files" in said
    assert "largest job: " in said

    t5 = released_home / "hub/models--t5-base/snapshots" / REVISION
    with running_site() as site:
        serve_hub(site, "facebook/musicgen-small", released_home / "package")
        serve_hub(site, "t5-base", t5)
        tree.run("fetch", environment={"HF_ENDPOINT": site.url}, **options)
        asked = len(site.requests)
        tree.run("fetch", environment={"HF_ENDPOINT": site.url}, **options)
        assert len(site.requests) == asked
    assert "train gold-0" in tree.planned(**options)
