"""Rerunning only what is invalidated: one change at a time, and the exact jobs that a dry run plans after it."""

import os
import shutil

import pytest
from safetensors import safe_open
from safetensors.torch import save_file
from workflow_tree import FAMILIES, HEARD, MODELS, Tree, append, compared, evaluation, jobs

ENCODED = jobs("tokens", 0, 1)
TRAINED = [*jobs("train", "target-0", "gold-0"), *jobs("unlearn", "ga-0", "ga-1", "none-0")]
TABLED = ["compare", "tables", "figures", "words", "page"]  # after a measure; curves have no part in it

CONFIGS = {
    "nothing": ({}, []),
    "recipes in another order": ({"run": ["ga", "none"]}, []),
    "a defined recipe that is not run": ({"recipes": {"rl_tokens": {"lr": 0.5}}}, []),
    "a recipe's learning rate": (
        {"recipes": {"ga": {"lr": 2.0e-4}}},
        [*jobs("unlearn", "ga-0", "ga-1"), *evaluation("ga-0", "ga-1")],
    ),
    "an added recipe": (
        {"run": ["none", "ga", "rl_tokens"]},
        [*jobs("unlearn", "rl_tokens-0", "rl_tokens-1"), *evaluation("rl_tokens-0", "rl_tokens-1")],
    ),
    "a removed seed": ({"unlearn_seeds": [0]}, evaluation()),
    "a removed metric family": ({"metrics": ["likelihood", "quality"]}, [*TABLED, "listening"]),
    "eval_seed": (
        {"generate": {"eval_seeds": [1]}},
        [*jobs("generate", *MODELS), *jobs("embed", *MODELS), *jobs("measure", *HEARD), *compared(), "listening"],
    ),
    "other clips to listen to": ({"report": {"clips": {"utility": 1}}}, ["listening", "page"]),
    "another margin": ({"comparison": {"margins": {"nll_caption": 0.1}}}, [*compared()]),
    "other false copies": ({"copying": {"false_positive_rate": 0.1}}, [*jobs("measure", "copying"), *TABLED]),
    "the split seed": (
        {"split": {"seed": 1}},
        ["split", "embed_reference", "embed_captions tagtext", *TRAINED, *evaluation(*MODELS)],
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_changed_key_reruns_what_reads_it(finished, name):
    config, expected = CONFIGS[name]
    assert finished.planned(config=config) == sorted(expected)


SOURCES = {
    "a metric family": ("noencore/metrics/membership.py", "UNUSED = 1\n", [*jobs("measure", "membership"), *TABLED]),
    "a helper two modules deep": (
        "noencore/metrics/intervals.py",  # likelihood -> rows -> intervals
        "UNUSED = 1\n",
        [*jobs("measure", *FAMILIES), *compared(), "listening"],
    ),
    "a comment": ("noencore/metrics/intervals.py", "# about nothing\n", []),
    "a script": ("workflow/scripts/figures.py", "UNUSED = 1\n", ["figures", "page"]),
    "a script's comment": ("workflow/scripts/figures.py", "# about nothing\n", []),
    "a template of the page": ("noencore/report/templates/report.css", "/* about nothing */\n", ["page"]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_changed_code_reruns_what_imports_it(finished, name):
    path, text, expected = SOURCES[name]
    with finished.changed(path, append(text)):
        assert finished.planned() == sorted(expected)


def test_another_codec_encodes_again_and_splits_as_before(finished):
    """Also if it is older than the tokens, as a file that was copied or downloaded may be."""

    def retrain(path):
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        save_file(tensors, path, {**metadata, "notes": '{"trained": "again"}'})
        os.utime(path, (0, 0))

    with finished.changed("resources/codec.safetensors", retrain):
        expected = [*ENCODED, *TRAINED, "embed_reference", *evaluation(*MODELS)]  # its encoder is an embedding
        assert finished.planned() == sorted(expected)


def test_a_deleted_result_is_made_again_with_what_follows(finished):
    with finished.changed("results/tiny/generated/ga-0/generated.parquet", lambda path: path.unlink()):
        expected = [*jobs("generate", "ga-0"), *jobs("embed", "ga-0"), *jobs("measure", *HEARD), *compared()]
        assert finished.planned() == sorted([*expected, "listening"])


def test_a_fresh_clone_with_the_results_copied_in_reruns_nothing(finished, tmp_path):
    """results/ with .snakemake/, by a copy that keeps no times; then every file touched, the inputs last."""
    clone = Tree.of_repository(tmp_path / "clone")
    for name in ("results", ".snakemake"):
        shutil.copytree(finished.root / name, clone.root / name, copy_function=shutil.copyfile)
    assert clone.planned() == []
    for path in sorted(clone.root.rglob("*"), reverse=True):
        path.touch()
    assert clone.planned() == []
    assert clone.planned(config={"recipes": {"ga": {"lr": 2.0e-4}}}) != []


def test_results_alone_need_their_times(finished, tmp_path):
    """Without .snakemake/ there is nothing but times to go by: `cp -a` keeps them."""
    clone = Tree.of_repository(tmp_path / "clone")
    shutil.copytree(finished.root / "results", clone.root / "results")
    assert clone.planned() == []
