"""Released models end to end, by the presets at toy size: as they are (no gold), and fine-tuned by LoRA (with gold).

The presets themselves are given; what goes over them makes them small and says where the sites are. All recipes of
`run` and all families of metrics run. Weights are stand-ins of toy size, so no number means anything.
"""

import shutil

import pandas as pd
import pytest
import torch
from beside_audiocraft import conditions, get_pretrained, text_states
from hub_site import serve_hub
from own_audio import melody, write
from safetensors import safe_open
from standins import REVISION, offline_hub
from standins_audio import make_weights
from toy_paper import EVAL, FETCH, LOCAL, LOST, STOCK, TRAIN, write_tables
from websites import running_site
from workflow_tree import Tree

from noencore.musicgen.package import load_model
from noencore.musicgen.released import load_released
from noencore.text import T5Encoder
from noencore.tokens import load_clips

RATE = 32000
REPOSITORY = "models--facebook--musicgen-small"
ARTISTS = {"Ann": 21, "Bob": 10, "elsewhere": 7}
NO_ENCORE, OPT_OUT = ("presets/no-encore.yaml",), ("presets/opt-out.yaml",)
FEW = {"steps": 2, "batch": 4}
TOY = {
    "catalogue": {"clip_seconds": 1.0},
    "tokens": {"shards": 1},
    "training": {"steps": 4},
    "unlearn_seeds": [0],
    "recipes": {"ga": FEW, "rl_caption": FEW, "rl_tokens": FEW},
    "score": {"wrong_captions": 1},
    "generate": {
        **{"prompts": {"forget": 10, "remain": 10, "utility": 10}, "continuations": {"forget": 5, "holdout": 5}},
        **{"prompt_seconds": [0, 0.5], "batch": 32},
    },
}
OWN = TOY | {"recipes": {**TOY["recipes"], "npo_lora": FEW}}
FAMILIES = {  # family: a metric of it that has a value for every model
    "likelihood": "nll_caption",
    "association": "caption_gain",
    "membership": "membership_auc",
    "extraction": "extraction_strength_r1_100",
    "continuation": "continuation_match_0_0.5s",
    "collapse": "token_entropy",
    "quality": "fad_vggish",
    "text_audio": "text_audio_laion_clap",
    "copying": "copy_window_similarity",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory, released_home):
    """A tree with recordings and all weights: the stand-in of a package under its name in the hub cache."""
    tree = Tree.of_repository(tmp_path_factory.mktemp("released") / "tree")
    for number, (artist, count) in enumerate(ARTISTS.items()):
        for work in range(count):
            path = tree.root / "music" / artist / f"{work:02} Song {work}.flac"
            write(path, melody(3.4, 100 * number + work, RATE), RATE)
    make_weights(tree.root / "weights")
    shutil.copytree(released_home / "hub", tree.root / "weights/hub", symlinks=True)
    repository = tree.root / "weights/hub" / REPOSITORY
    shutil.copytree(released_home / "package", repository / "snapshots" / REVISION)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(REVISION)
    return tree


@pytest.fixture(scope="module")
def paper(tree):
    """The tree after a run of the paper's preset, whose audio was fetched; and the config that went over it."""
    pytest.importorskip("yt_dlp", reason="yt-dlp is not installed")
    with running_site() as site:
        videos = write_tables(tree.root, site)
        catalogue = TOY["catalogue"] | {"parts": {"musiccaps": {"url": videos}}}
        config = TOY | {"catalogue": catalogue, "fetch": FETCH}
        tree.run(config=config, configfiles=NO_ENCORE)
    return tree, config


@pytest.fixture(scope="module")
def own(tree):
    """The results of a run of the other preset, with one of its models as a package."""
    tree.run("all", "results/opt_out/models/ga-0/released", config=OWN, configfiles=OPT_OUT)
    return tree.root / "results/opt_out"


def read_metrics(results):
    return pd.read_csv(results / "tables/metrics.csv", keep_default_na=False, na_values=[""])


def with_values(metrics):
    """dict metric -> the models that have a value of it."""
    return metrics[metrics["value"].notna()].groupby("metric")["model"].agg(set).to_dict()


def test_the_paper_at_toy_size_uses_what_it_got_and_names_what_it_lost(paper):
    tree, _ = paper
    results = tree.root / "results/no_encore"
    catalogue = pd.read_parquet(results / "catalogue.parquet")
    lost = catalogue[catalogue["status"] != "ok"]
    for source, expected in LOST.items():
        rows = lost[lost["source"] == source].set_index("title")
        assert rows["status"].to_dict() == {title: status for title, (status, _) in expected.items()}
        for title, (_, word) in expected.items():
            assert word in rows.loc[title, "reason"]
    unused = pd.read_csv(results / "logs/catalogue.unused.csv")
    assert len(unused) == sum(map(len, LOST.values()))

    used = catalogue[catalogue["status"] == "ok"].set_index("clip_id")
    split = pd.read_parquet(results / "split.parquet").set_index("clip_id")
    assert set(split.index) == set(used.index)
    assert split["set"].value_counts()[["remain", "utility"]].to_list() == [TRAIN, EVAL]
    of_set = used["source"].groupby(split["set"].reindex(used.index)).agg(set).to_dict()
    assert of_set == {"forget": {"pond5"}, "holdout": {"pond5"}, "remain": {"musiccaps"}, "utility": {"musiccaps"}}
    assert (used["source"] == "pond5").sum() == LOCAL + STOCK
    with safe_open(results / "tokens/shard-0.safetensors", "np") as file:
        assert {key: file.metadata()[key] for key in ("card", "codebooks")} == {"card": "300", "codebooks": "4"}
        texts = [name for name in file.keys() if name.startswith("text/")]  # noqa: SIM118
        assert len(texts) == len(used)
        assert file.get_tensor(texts[0]).shape[1] == 768


def test_the_paper_at_toy_size_has_its_tables_and_claims_no_gold(paper):
    tree, config = paper
    results = tree.root / "results/no_encore"
    metrics = read_metrics(results)
    models = {"target-0", "none-0", "ga-0", "rl_caption-0", "rl_tokens-0"}
    assert set(metrics["model"]) == models
    found = with_values(metrics)
    for metric in (*FAMILIES.values(), "fad_passt", "fad_laion_clap", "kl_audiocraft_passt"):
        assert found.get(metric) == models, metric
    assert not metrics["status"].str.contains("no weights").any()

    assert metrics[["gold_mean", "gap_to_gold"]].isna().all(axis=None)
    assert set(pd.read_csv(results / "tables/comparisons.csv")["reference"]) == {"target"}
    assert "gold" not in set(pd.read_csv(results / "tables/summary.csv")["recipe"])
    findings = pd.read_csv(results / "tables/findings.csv")
    assert set(findings.loc[findings["finding"] == 1, "verdict"]) == {"not tested"}
    cost = pd.read_csv(results / "tables/cost.csv").set_index("model")
    assert cost.loc["target-0", ["seconds", "steps", "tokens"]].tolist() == [0, 0, 0]

    target = load_model(results / "models/target-0")
    released = load_released(tree.root / "weights/hub" / REPOSITORY)
    assert target.config == released.config
    assert all(torch.equal(one, other) for one, other in zip(target.parameters(), released.parameters(), strict=True))
    assert tree.planned(config=config, configfiles=NO_ENCORE) == []  # and no site is asked: it is gone


def test_opt_out_at_toy_size_is_judged_by_gold(tree, own):
    metrics = read_metrics(own)
    models = {"target-0", "gold-0", "gold-1", "none-0", "ga-0", "rl_caption-0", "npo_lora-0"}
    assert set(metrics["model"]) == models
    found = with_values(metrics)
    for metric in (*FAMILIES.values(), "fad_passt", "fad_laion_clap", "kl_audiocraft_passt"):
        assert found.get(metric) == models, metric
    assert set(pd.read_csv(own / "tables/comparisons.csv")["reference"]) == {"target", "gold"}
    assert {"target", "gold", "ga"} <= set(pd.read_csv(own / "tables/summary.csv")["recipe"])

    catalogue = pd.read_parquet(own / "catalogue.parquet").set_index("clip_id")
    split = pd.read_parquet(own / "split.parquet").set_index("clip_id")["set"]
    sets = split.groupby(catalogue["artist"].reindex(split.index)).agg(set).to_dict()
    assert sets == {"Ann": {"forget", "holdout"}, "Bob": {"remain"}, "elsewhere": {"utility"}}

    released = load_released(tree.root / "weights/hub" / REPOSITORY).state_dict()
    for name in ("target-0", "gold-0", "gold-1"):
        tuned = load_model(own / f"models/{name}").state_dict()
        for key, tensor in tuned.items():
            adapted = "layers" in key and tensor.ndim == 2
            assert torch.equal(tensor, released[key]) != adapted, (name, key)


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_audiocraft_loads_the_package_of_an_unlearned_model_and_gives_its_logits(tree, own):
    """Of clips of the run under their captions. T5 is where docs/released.md says: in `weights`."""
    package, target = own / "models/ga-0/released", load_model(own / "models/target-0")
    unlearned, exported = load_model(own / "models/ga-0"), load_released(package)
    assert all(
        torch.equal(one, other) for one, other in zip(unlearned.parameters(), exported.parameters(), strict=True)
    )
    codec = "compression_state_dict.bin"
    base = tree.root / "weights/hub" / REPOSITORY / "snapshots" / REVISION
    assert (package / codec).read_bytes() == (base / codec).read_bytes()

    catalogue = pd.read_parquet(own / "catalogue.parquet").set_index("clip_id")
    with offline_hub(tree.root / "weights"):
        theirs, encoder = get_pretrained(package), T5Encoder("t5-base", dtype=torch.float32)
    for clip in catalogue.index[catalogue["status"] == "ok"][::30]:
        codes, caption = load_clips([own / "tokens/shard-0.safetensors"], [clip]).codes, catalogue.loc[clip, "caption"]
        expected = theirs.lm(codes, conditions([caption]))
        text = text_states(encoder, [caption])
        torch.testing.assert_close(unlearned(codes, *text), expected, rtol=1e-5, atol=1e-5)
        assert (target(codes, *text) - expected).abs().max() > 1e-4  # what was unlearned is in the package


def test_fetch_brings_what_is_missing_and_the_run_asks_for_it(tree, released_home):
    config = OWN | {"experiment": "fetched", "weights": "empty", "metrics": ["likelihood"]}
    options = {"config": config, "configfiles": OPT_OUT}
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
