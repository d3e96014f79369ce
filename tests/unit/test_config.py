"""Every config that we ship passes; every mistake ends in one line that names its key."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from noencore.config import check_config, check_rates
from noencore.errors import UserError
from noencore.experiment import of_own_model, of_own_source

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


def changed(**values):
    """The default config with other values at dotted keys, `__` for a dot; ... leaves the key out."""
    config = copy.deepcopy(DEFAULT)
    for key, value in values.items():
        *path, last = key.split("__")
        inner = config
        for name in path:
            inner = inner[name]
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
    return config


def test_the_default_config_passes():
    check_config(DEFAULT, SCHEMA)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_every_preset_merged_onto_the_default_passes(preset):
    config = copy.deepcopy(DEFAULT)
    searched = preset.with_name(preset.name.replace("-tune", ""))  # a grid goes over the recipes that it searches for
    for path in dict.fromkeys((searched, preset)):
        before = copy.deepcopy(config)
        given = yaml.safe_load(path.read_text())
        update_config(config, given)
        config = of_own_model(of_own_source(config, DEFAULT, given), DEFAULT, given)
        assert config != before
    check_config(config, SCHEMA)
    check_rates(config, DEFAULT, given)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, "training"),
        ({"training": {"lr": 1e-4}}, "recipes.ga"),
        ({"training": {"lr": 1e-4}, "recipes": {"ga": {"lr": 1e-6}}}, "recipes.rl_caption"),
        ({"training": {"lr": 1e-4}, "tune": {"ga": {"batch": [1, 2]}}}, "recipes.ga"),
        ({"target": {"train_seeds": []}, "gold": {"train_seeds": []}}, "recipes.ga"),
    ],
)
def test_a_released_model_takes_no_rate_of_the_default_one(given, place):
    given = given | {"model": {"init": "facebook/musicgen-small"}}
    config = copy.deepcopy(DEFAULT)
    update_config(config, given)
    with pytest.raises(UserError, match=f"config: {place}.lr: config.yaml's is for its own small model"):
        check_rates(config, DEFAULT, given)


def test_rates_that_are_given_are_taken():
    given = {"training": {"lr": 1.5e-3}, "recipes": {"ga": {"lr": 1e-6}}, "run": ["none", "ga"]}
    config = copy.deepcopy(DEFAULT)
    check_rates(config, DEFAULT, {})  # of config.yaml's own model
    update_config(config, given | {"model": {"init": "facebook/musicgen-small"}})
    check_rates(config, DEFAULT, given)
    config["tune"] = {"rl_tokens": {"lr": [1e-6, 1e-5]}}
    check_rates(config, DEFAULT, given)


def test_rates_of_a_config_yaml_that_was_edited_are_taken():
    config = copy.deepcopy(DEFAULT)
    config["model"]["init"] = "facebook/musicgen-small"
    check_rates(config, default=config, given={})


def test_checking_does_not_change_the_config():
    config = copy.deepcopy(DEFAULT)
    check_config(config, SCHEMA)
    assert config == DEFAULT


def test_a_margin_of_a_metric_that_this_run_leaves_out_passes():
    """A preset that chooses fewer families merges over the margins of config.yaml."""
    margins = {"nll_q3": 0.1, "continuation_match_0_2.5s": 0.1, "kad_vggish": 1.0}
    check_config(changed(metrics=["likelihood"], comparison__margins=margins), SCHEMA)


def test_a_config_without_gold_passes():
    check_config(changed(gold=...), SCHEMA)


FOLDER = {"source": "folder", "path": "music", "clips_per_work": 1, "clip_seconds": 5.0, "seed": 0}
RELEASED = {"model": {"init": "facebook/musicgen-small"}, "catalogue": FOLDER}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"catalogue": DEFAULT["catalogue"]}, "catalogue.source: tunes are played at 16000 Hz"),
        ({"weights": "w{a}"}, "weights: 'w{a}' does not match"),  # all three are inputs of rules
        ({"codec": {"weights": "{a}.safetensors"}}, "codec.weights: '{a}.safetensors' does not match"),
        (RELEASED | {"model": {"init": "packages/{a}"}}, "model.init: 'packages/{a}' does not match"),
        ({"weights": "~/weights"}, "weights: ~ is a shell's; write the whole path"),
        ({"model": {"init": "facebook/musicgen-small", "dim": 64}}, "model: unknown key 'dim'; known are init"),
        ({"model": {}}, "model: 'init' is a required property"),
        ({"target__train_seeds": []}, "gold.train_seeds: gold is trained like target"),
        (
            {**{"model": DEFAULT["model"], "target__train_seeds": []}, "gold": ...},
            "target.train_seeds: a model from scra",
        ),
        ({"training__scope": "salun"}, "training.scope: 'salun' is not one of all, cross_attention, lora"),
        ({"training__scope": {"name": "lora", "rank": 0}}, "training.scope.rank: 0 is out of bounds"),
        ({"model": DEFAULT["model"], "training__scope": "lora"}, "training.scope: lora leaves most weights of a new"),
    ],
)
def test_a_mistake_about_a_released_model_is_one_line(change, message):
    with pytest.raises(UserError, match=re.escape(message)):
        check_config(changed(**{**RELEASED, **change}), SCHEMA)


@pytest.mark.parametrize(
    "change", [{}, {"target__train_seeds": [], "gold__train_seeds": []}, {"training__scope": "lora"}]
)
def test_a_released_model_passes_on_both_tracks(change):
    check_config(changed(**{**RELEASED, **change}), SCHEMA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipies": {}}, "top level: unknown key 'recipies'; known are catalogue, codec,"),
        ({"training__step": 3}, "training: unknown key 'step'; known are batch, checkpoint_activations, lr,"),
        (
            {"recipes__ga__learning_rate": 1e-4},
            "recipes.ga: unknown key 'learning_rate'; known are accumulate, alpha, batch,",
        ),
        ({"generate__prompts__dev": 3}, "generate.prompts: unknown key 'dev'; known are forget, holdout, remain,"),
        ({"report__clips__dev": 3}, "report.clips: unknown key 'dev'; known are forget, holdout, remain, utility"),
        ({"report__clips__forget": -1}, "report.clips.forget: -1 is less than the minimum of 0"),
        ({"report": ...}, "top level: 'report' is a required property"),
        ({"training": ...}, "top level: 'training' is a required property"),
        ({"recipes__ga__lr": ...}, "recipes.ga.lr: is missing; give a learning rate"),
        ({"run": ["none", "gaa"]}, "run: no recipe 'gaa'; defined are ga, none, rl_caption, rl_tokens"),
        ({"run": []}, "run: [] "),
        ({"run": ["ga", "ga"]}, "run: ['ga', 'ga'] has non-unique elements"),
        ({"training__lr": -1.0e-3}, "training.lr: -0.001 is less than or equal to the minimum of 0"),
        ({"recipes__ga__lr": 0}, "recipes.ga.lr: 0 is less than or equal to the minimum of 0"),
        ({"training__lr": "1e-5"}, "training.lr: '1e-5' is text, not a number (write small numbers as 1.0e-5)"),
        ({"recipes__gold": DEFAULT["recipes"]["ga"]}, "recipes.gold: every run has something of that name"),
        ({"recipes__target": DEFAULT["recipes"]["ga"]}, "recipes.target: every run has something of that name"),
        ({"recipes__original": DEFAULT["recipes"]["ga"]}, "recipes.original: every run has something of that name"),
        ({"recipes__none__lr": 1.0}, "recipes.none: a recipe with 'forget: none' takes no step; remove lr"),
        ({"recipes__ga__forget": "gradient_descent"}, "recipes.ga.forget: 'gradient_descent' is not one of none, grad"),
        ({"recipes__ga__scope": {"name": "lora", "rank": 0}}, "recipes.ga.scope.rank: 0 is out of bounds"),
        ({"recipes__ga__forget": 3}, "recipes.ga.forget: 3 is not of type 'string', 'object'"),
        ({"recipes__ga__stop": {"metric": "remain_rise"}}, "recipes.ga.stop: 'bound' is a required property"),
        ({"recipes__ga__p_uncond": 1.5}, "recipes.ga.p_uncond: 1.5 is greater than the maximum of 1"),
        ({"tune": {"ga": {"lr": [0.1, -1.0]}}}, "recipes.ga_2.lr: -1.0 is less than or equal to the minimum of 0"),
        ({"tune": {"ga": {"forget.beta": [1.0]}}}, "recipes.ga_1.forget: unknown parameter 'beta' of gradient_ascent"),
        ({"tune": {"gaa": {"lr": [1.0]}}}, "tune: no recipe 'gaa'"),
        ({"tune": {"ga": {"lr": 1.0}}}, "tune.ga.lr: 1.0 is not of type 'array'"),
        ({"recipes__Ga-1": DEFAULT["recipes"]["ga"]}, "recipes: 'Ga-1' does not match"),
        ({"gold__train_seeds": [0, 0]}, "gold.train_seeds: [0, 0] has non-unique elements"),
        ({"unlearn_seeds": [1, 2, 1]}, "unlearn_seeds: [1, 2, 1] has non-unique elements"),
        ({"generate__eval_seeds": [-1]}, "generate.eval_seeds.0: -1 is less than the minimum of 0"),
        ({"target__train_seeds": [0, 1]}, "target.train_seeds: [0, 1] is too long"),
        ({"training__lr": float("inf")}, "training.lr: inf is not a finite number"),
        ({"generate__cfg": float("nan")}, "generate.cfg: nan is not a finite number"),
        ({"training__steps": 3.0}, "training.steps: 3.0 is not of type 'integer'"),
        ({"training__steps": True}, "training.steps: True is not of type 'integer'"),
        ({"split__holdout": 1}, "split.holdout: 1 is greater than or equal to the maximum of 1"),
        ({"split__forget": {}}, "split.forget: {} "),
        ({"metrics": ["likelihod"]}, "metrics.0: 'likelihod' is not one of likelihood, association,"),
        ({"catalogue__source": "spotify"}, "catalogue.source: 'spotify' is not one of tunes"),
        ({"experiment": "../../etc"}, "experiment: '../../etc' does not match"),
        ({"model__dim": 130, "model__heads": 4}, "model.dim: 130 is not a multiple of 2 * heads (8)"),
        (
            {"comparison__margins": {"nll_captoin": 0.05}},
            "comparison.margins: models are compared by no metric 'nll_captoin'; did you mean 'nll_caption'?",
        ),
        (
            {"comparison__margins": {"membership_loss": 0.05}},
            "comparison.margins: models are compared by no metric 'membership_loss'; the names are in docs/metrics.md",
        ),
        ({"comparison__margins": {3: 0.05}}, "comparison.margins: models are compared by no metric '3'; the names are"),
        (
            {"generate__prompt_seconds": [0, 99.0]},
            "generate.prompt_seconds: must be shorter than catalogue.clip_seconds",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(change, message):
    with pytest.raises(UserError) as caught:
        check_config(changed(**change), SCHEMA)
    assert str(caught.value).startswith(f"config: {message}")
    assert "\n" not in str(caught.value)


OWN = {
    "folder": {"source": "folder", "path": "music", "licence": "ours"},
    "csv": {"source": "csv", "path": "a.csv", "root": "music", "columns": {"audio": "a", "caption": "b", "album": "c"}},
    "song_describer": {"source": "song_describer", "path": "sd"},
    "several": {
        "source": "several",
        "parts": {"mine": {"source": "folder", "path": "a"}, "sd": {"source": "song_describer", "path": "b"}},
    },
}
CUT = {"clips_per_work": 3, "clip_seconds": 4.0, "seed": 0}


@pytest.mark.parametrize("source", OWN)
def test_every_source_of_own_audio_passes(source):
    check_config(changed(catalogue={**OWN[source], **CUT}), SCHEMA)
    check_config(changed(catalogue={**OWN[source], **CUT, "min_usable": 0.9}), SCHEMA)


def test_a_selector_may_say_what_it_is_not():
    for value in ("Ann", ["Ann", "Bob"]):
        check_config(changed(split__remain={"artist": {"not": value}}), SCHEMA)


@pytest.mark.parametrize(
    ("source", "change", "message"),
    [
        ("folder", {"path": ...}, "catalogue: 'path' is a required property"),
        ("folder", {"path": "{Ann}"}, "catalogue.path: '{Ann}' does not match '^[^{}]*$'"),  # no WildcardError later on
        ("folder", {"paths": "x"}, "catalogue: unknown key 'paths'; known are clip_seconds, clips_per_work, licence,"),
        ("folder", {"named_works": 3}, "catalogue: unknown key 'named_works'"),
        ("folder", {"min_usable": 0}, "catalogue.min_usable: 0 is less than or equal to the minimum of 0"),
        ("folder", {"clip_seconds": 31}, "catalogue.clip_seconds: 31 is greater than the maximum of 30"),
        ("csv", {"columns": {"audio": "a"}}, "catalogue.columns: 'caption' is a required property"),
        ("csv", {"columns": ...}, "catalogue: 'columns' is a required property"),
        ("csv", {"columns": {"audio": "a", "caption": "b", "A b": "c"}}, "catalogue.columns: 'A b' does not match"),
        ("several", {"parts": {}}, "catalogue.parts: {} "),
        ("several", {"parts": {"x": {"source": "tunes"}}}, "catalogue.parts.x.source: 'tunes' is not one of folder,"),
        ("several", {"parts": {"x": {"source": "folder"}}}, "catalogue.parts.x: 'path' is a required property"),
        ("several", {"path": "x"}, "catalogue: unknown key 'path'; known are"),
    ],
)
def test_a_mistake_in_a_source_is_one_line_that_names_the_key(source, change, message):
    entry = {key: value for key, value in {**OWN[source], **CUT, **change}.items() if value is not ...}
    with pytest.raises(UserError) as caught:
        check_config(changed(catalogue=entry), SCHEMA)
    assert str(caught.value).startswith(f"config: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "selector", [{}, {"artist": {}}, {"artist": {"no": "x"}}, {"artist": {"not": []}}, {"artist": []}]
)
def test_a_selector_that_selects_nothing_is_refused(selector):
    with pytest.raises(UserError, match=r"config: split\.remain"):
        check_config(changed(split__remain=selector), SCHEMA)
