"""Models and specs follow from what a job reads of the config, and not from the order of its lists."""

import copy

import pytest
import torch
from snakemake.utils import update_config

from noencore import experiment
from noencore.digest import canonical
from noencore.errors import UserError
from noencore.files import write_tensors

CONFIG = {
    "codec": {"weights": "nowhere.safetensors"},
    "split": {"forget": {"artist": "X"}, "dev": 0.25, "seed": 0},
    "model": {"init": "scratch", "dim": 32, "layers": 2, "heads": 2},
    "training": {"steps": 2, "lr": 1e-3, "checkpoint_activations": False, "scope": "all"},
    "target": {"train_seeds": [0]},
    "gold": {"train_seeds": [1, 0]},
    "run": ["rl_caption", "none", "ga"],
    "unlearn_seeds": [2, 1],
    "recipes": {
        "none": {"forget": "none"},
        "ga": {"forget": "gradient_ascent", "lr": 1e-4},
        "rl_caption": {"forget": "random_caption", "lr": 1e-4},
        "unused": {"forget": "random_tokens", "lr": 1e-4},
    },
    "generate": {"prompts": {"forget": 24, "utility": 8}, "continuations": {"forget": 48, "holdout": 16}, "cfg": 3.0},
    "metrics": ["likelihood"],
}


@pytest.fixture
def config():
    return copy.deepcopy(CONFIG)


def test_models_are_target_gold_and_each_recipe_of_the_run_once_a_seed(config):
    assert experiment.models(config) == [
        *("target-0", "gold-0", "gold-1"),
        *("ga-1", "ga-2", "none-1", "rl_caption-1", "rl_caption-2"),
    ]


def test_a_recipe_without_steps_has_one_seed(config):
    config["run"] = ["none"]
    assert experiment.unlearned_models(config) == ["none-1"]


@pytest.mark.parametrize("key", ["run", "unlearn_seeds"])
def test_the_order_of_a_list_does_not_matter(config, key):
    before = experiment.models(config)
    config[key].reverse()
    assert experiment.models(config) == before


def test_without_gold_the_rest_remains(config):
    with_gold = experiment.models(config)
    del config["gold"]
    assert experiment.models(config) == [model for model in with_gold if not model.startswith("gold")]


def test_unlearning_starts_from_the_one_target(config):
    assert experiment.target_model(config) in experiment.trained_models(config)


@pytest.mark.parametrize("model", ["target-0", "gold-12", "rl_caption-1"])
def test_a_model_name_is_recipe_and_seed(model):
    recipe, seed = experiment.split_model_name(model)
    assert f"{recipe}-{seed}" == model


@pytest.mark.parametrize("model", ["target", "target-", "-1", "ga-x", "ga-1.0", ""])
def test_another_form_of_name_is_refused(model):
    with pytest.raises(UserError, match="the name is not <recipe>-<seed>"):
        experiment.split_model_name(model)


def test_target_and_gold_differ_in_the_sets_that_they_learn_alone(config):
    target, gold = (experiment.training_spec(config, model) for model in ("target-0", "gold-0"))
    assert (target.pop("sets"), gold.pop("sets")) == (("forget", "remain"), ("remain",))
    assert target == gold


def test_a_new_model_has_sizes_and_a_released_one_its_own(config):
    assert experiment.training_spec(config, "gold-0")["model"] == {"dim": 32, "layers": 2, "heads": 2}
    config["model"] = {"init": "facebook/musicgen-small"}
    config["training"]["scope"] = {"name": "lora", "rank": 4}
    spec = experiment.training_spec(config, "gold-0")
    assert (spec["model"], spec["training"]["scope"]) == (None, {"name": "lora", "rank": 4, "alpha": 16.0})


def test_without_training_the_released_model_is_the_target(config):
    config["model"] = {"init": "facebook/musicgen-small"}
    for kind in ("target", "gold"):
        config[kind]["train_seeds"] = []
    assert experiment.target_model(config) == "target-0"
    assert experiment.models(config) == ["target-0", *experiment.unlearned_models(config)]
    assert (experiment.imported_models(config), experiment.trained_models(config)) == (["target-0"], [])
    config["target"]["train_seeds"] = [3]
    assert (experiment.imported_models(config), experiment.target_model(config)) == ([], "target-3")


@pytest.mark.parametrize(
    ("given", "model"),
    [
        ({"model": {"init": "owner/name"}}, {"init": "owner/name"}),
        ({"model": {"init": "owner/name", "dim": 8}}, {"init": "owner/name", "dim": 8}),
        ({"model": {"dim": 8}}, {"init": "scratch", "dim": 8, "layers": 2, "heads": 2}),
    ],
)
def test_the_sizes_of_the_default_model_do_not_hold_for_a_released_one(config, given, model):
    default = copy.deepcopy(config)
    update_config(config, given)
    assert experiment.of_own_model(config, default, given)["model"] == model


SPECS = {
    "split": experiment.split_spec,
    "training": lambda config: experiment.training_spec(config, "gold-0"),
    "unlearning": lambda config: experiment.unlearn_spec(config, "ga-1"),
}


@pytest.mark.parametrize(
    ("path", "value", "readers"),
    [
        (("split", "dev"), 0.5, {"split"}),
        (("generate", "prompts", "utility"), 9, {"split"}),
        (("generate", "prompts", "forget"), 25, set()),  # the 48 continuations need more
        (("generate", "cfg"), 1.0, set()),
        (("model", "dim"), 64, {"training"}),
        (("training", "lr"), 1.0, {"training"}),
        (("training", "checkpoint_activations"), True, {"training", "unlearning"}),
        (("gold", "train_seeds"), [0, 1, 2], set()),
        (("recipes", "ga", "lr"), 1.0, {"unlearning"}),
        (("recipes", "rl_caption", "lr"), 1.0, set()),
        (("unlearn_seeds",), [1, 2, 3], set()),
        (("run",), ["ga"], set()),
        (("metrics",), ["quality"], set()),
    ],
)
def test_a_changed_key_changes_the_specs_of_its_readers_alone(config, path, value, readers):
    before = {name: copy.deepcopy(spec(config)) for name, spec in SPECS.items()}
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    assert inner[path[-1]] != value
    inner[path[-1]] = value
    assert {name for name, spec in SPECS.items() if spec(config) != before[name]} == readers


def test_a_spec_knows_its_recipe_and_seed(config):
    assert experiment.unlearn_spec(config, "ga-2") == {
        "recipe": {"name": "ga", "forget": "gradient_ascent", "lr": 1e-4},
        "seed": 2,
        "checkpoint_activations": False,
    }


def test_reference_values_are_those_that_the_recipe_of_the_model_reads(config):
    config["recipes"]["npo"] = {"forget": "npo", "remain": "kl", "lr": 1e-4, "steps": 3}
    assert experiment.reference_kinds(config, "npo-1") == ["forget_nll", "remain_caption"]
    assert experiment.reference_kinds(config, "none-1") == []
    assert experiment.all_reference_kinds({**config, "run": ["npo", "none"]}) == ["forget_nll", "remain_caption"]
    assert experiment.all_reference_kinds({**config, "run": ["none"]}) == []


def test_what_is_compared_and_with_what(config):
    config["comparison"] = {"margins": {"nll_caption": 0.05}}
    spec = experiment.compare_spec(config)
    assert (spec["target"], spec["margins"]) == ("target-0", {"nll_caption": 0.05})
    assert spec["models"] == experiment.models(config)


def test_one_hears_target_the_first_gold_and_the_first_seed_of_each_recipe_that_takes_steps(config):
    assert experiment.listened_models(config) == ["target-0", "gold-0", "ga-1", "rl_caption-1"]
    assert set(experiment.listened_models(config)) <= set(experiment.models(config))
    del config["gold"]
    config["run"] = ["none"]
    assert experiment.listened_models(config) == ["target-0"]


def test_all_takes_are_of_the_first_eval_seed_in_whatever_order_they_are_given(config):
    config["report"] = {"clips": {"forget": 3}}
    config["generate"]["eval_seeds"] = [4, 2]
    spec = experiment.listening_spec(config, ["target-0"])
    assert spec == {"models": ["target-0"], "clips": {"forget": 3}, "eval_seed": 2}


@pytest.mark.parametrize(("seconds", "prompt"), [([0, 2, 1.0], "1s"), ([0.5, 0], "0.5s"), ([0], "0s")])
def test_the_summary_shows_the_first_embedding_and_the_shortest_prompt(config, seconds, prompt):
    config |= {"embeddings": ["vggish", "codec"], "text_audio": "tagtext"}
    config["generate"]["prompt_seconds"] = seconds
    names = experiment.tables_spec(config)["names"]
    assert names == {"embedding": "vggish", "text_audio": "tagtext", "prompt": prompt}


DEFAULT = {
    "catalogue": {"source": "tunes", "named_works": 65, "clips_per_work": 3, "clip_seconds": 4.0, "seed": 0},
    "split": {"forget": {"artist": "X"}, "remain": {"source": "book", "artist": "Y"}, "dev": 0.25},
}


def merged(given):
    config = copy.deepcopy(DEFAULT)
    update_config(config, given)
    return config


def test_with_another_source_what_the_default_says_of_its_own_does_not_count():
    given = {
        "catalogue": {"source": "folder", "path": "music", "seed": 1},
        "split": {"forget": {"artist": "Ann"}, "remain": {"artist": "Y"}, "dev": 0.5},
    }
    config = experiment.of_own_source(merged(given), DEFAULT, given)
    assert config["catalogue"] == {
        **{"source": "folder", "path": "music"},
        **{"clips_per_work": 3, "clip_seconds": 4.0, "seed": 1},
    }
    assert config["split"] == {"forget": {"artist": "Ann"}, "remain": {"artist": "Y"}, "utility": {}, "dev": 0.5}


def test_with_the_same_source_the_default_counts():
    given = {"split": {"forget": {"artist": "Z"}}}
    assert experiment.of_own_source(merged(given), DEFAULT, given) == merged(given)


@pytest.mark.parametrize("given", [{"catalogue": "folder"}, {"catalogue": {"source": "folder"}, "split": 3}])
def test_what_is_no_section_is_left_to_the_schema(given):
    assert experiment.of_own_source(merged(given), DEFAULT, given) == merged(given)


def test_the_catalogue_of_own_audio_follows_the_listing_and_the_codecs_rate(tmp_path):
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann/a.wav").write_bytes(b"1234")
    codec = tmp_path / "codec.safetensors"
    write_tensors({"x": torch.zeros(1)}, codec, {"config": '{"sample_rate": 24000}'})
    config = {"catalogue": {"source": "folder", "path": str(tmp_path)}, "codec": {"weights": str(codec)}}
    before = experiment.catalogue_spec(config)
    assert before["sample_rate"] == 24000
    (tmp_path / "Ann/b.wav").write_bytes(b"1234")
    after = experiment.catalogue_spec(config)
    assert after["listing"] != before["listing"]
    assert {**after, "listing": ""} == {**before, "listing": ""}
    assert experiment.catalogue_manifests(config) == []
    (tmp_path / "metadata.csv").write_text("file,artist\nAnn/a.wav,Bob\n")
    assert experiment.catalogue_manifests(config) == [str(tmp_path / "metadata.csv")]
    assert experiment.catalogue_spec(config)["listing"] not in (before["listing"], after["listing"])


def test_the_catalogue_of_tunes_follows_its_keys_alone():
    config = {"catalogue": DEFAULT["catalogue"]}
    assert experiment.catalogue_spec(config) == config
    assert experiment.catalogue_manifests(config) == []


def test_a_large_catalogue_is_given_more_time():
    assert experiment.catalogue_minutes('{"catalogue": {}}', threads=4) == 30
    assert experiment.catalogue_minutes('{"listing": "100000-0123"}', threads=4) == 30 + 416


def test_a_shard_may_take_as_long_as_its_clips(config):
    """Minutes: 534 clips of the default run have a catalogue of 69 kB; 6,000 of 10 s in 8 shards, one of 0.8 MB."""
    own = config | {"catalogue": {"clip_seconds": 4.0}, "tokens": {"shards": 2}}
    assert experiment.tokens_minutes(own, 0.066) == 10
    paper = config | {"model": {"init": "facebook/musicgen-small"}, "catalogue": {"clip_seconds": 10.0}}
    assert experiment.tokens_minutes(paper | {"tokens": {"shards": 8}}, 0.8) == 91
    assert experiment.tokens_minutes(paper | {"tokens": {"shards": 1}}, 0.8) == 655


def test_a_codec_that_is_none_of_ours_has_no_rate(tmp_path):
    codec = tmp_path / "codec.safetensors"
    assert experiment.codec_sample_rate(codec) == 16000  # to be trained
    write_tensors({"x": torch.zeros(1)}, codec)
    with pytest.raises(UserError, match="not a codec of ours"):
        experiment.codec_sample_rate(codec)
    codec.write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a codec of ours"):
        experiment.codec_sample_rate(codec)


@pytest.mark.parametrize(
    ("families", "names"),
    [
        (["likelihood"], ["tradeoff", "curves", "codebooks", "cost"]),
        (["quality", "association"], ["curves", "association", "distances"]),
        (["membership"], ["curves"]),
    ],
)
def test_figures_are_those_that_the_families_of_metrics_have_numbers_for(config, families, names):
    assert experiment.figures({**config, "metrics": families}) == names


def test_a_grid_is_all_points_of_its_values(config):
    config["tune"] = {"ga": {"lr": [1.0, 2.0], "forget.cap": [True, False]}, "none": {"steps": [5]}}
    assert experiment.tune_grid(config) == {
        "ga_1": {"recipe": "ga", "parameters": {"forget.cap": True, "lr": 1.0}},
        "ga_2": {"recipe": "ga", "parameters": {"forget.cap": True, "lr": 2.0}},
        "ga_3": {"recipe": "ga", "parameters": {"forget.cap": False, "lr": 1.0}},
        "ga_4": {"recipe": "ga", "parameters": {"forget.cap": False, "lr": 2.0}},
        "none_1": {"recipe": "none", "parameters": {"steps": 5}},
    }
    made = experiment.expanded(config)
    assert made["run"] == ["ga_1", "ga_2", "ga_3", "ga_4", "none_1"]
    assert made["recipes"]["ga_2"] == {"forget": {"name": "gradient_ascent", "cap": True}, "lr": 2.0}
    assert made["recipes"]["ga"] == config["recipes"]["ga"]
    assert experiment.expanded(made) == made


def test_a_grid_keeps_the_other_parameters_of_a_part(config):
    config["recipes"]["lora"] = {"forget": "npo", "scope": {"name": "lora", "rank": 4}, "lr": 1e-4, "steps": 3}
    config["tune"] = {"lora": {"scope.alpha": [8.0]}}
    assert experiment.expanded(config)["recipes"]["lora_1"]["scope"] == {"name": "lora", "rank": 4, "alpha": 8.0}
    assert config["recipes"]["lora"]["scope"] == {"name": "lora", "rank": 4}


def test_a_grid_of_no_recipe_is_refused(config):
    config["tune"] = {"npo": {"lr": [1.0]}}
    with pytest.raises(UserError, match="config: tune: no recipe 'npo'; defined are ga, none, rl_caption, unused"):
        experiment.expanded(config)


def test_without_a_grid_a_config_is_as_it_is(config):
    assert experiment.expanded(config) is config


def test_the_split_needs_the_most_that_any_stage_asks_of_a_set(config):
    assert experiment.split_spec(config)["needed"] == {"forget": 48, "utility": 8, "holdout": 16}


def test_a_codec_that_is_not_there_is_an_error_unless_it_will_be_trained(config, tmp_path):
    with pytest.raises(UserError, match=r"config: codec\.weights: no file nowhere\.safetensors"):
        experiment.codec_path(config)
    assert experiment.codec_path({**config, "codec_training": {}}) == "nowhere.safetensors"
    path = tmp_path / "codec.safetensors"
    path.touch()
    assert experiment.codec_path({"codec": {"weights": str(path)}}) == str(path)


def words_spec(config, **other):
    """As a rule keeps it: as text."""
    rest = {"experiment": "demo", "catalogue": {"source": "tunes"}, "score": {}, "embeddings": [], "copying": {}}
    rest |= {"text_audio": "tagtext", "comparison": {"margins": {}}, "weights": "w", "fetch": {"workers": 4}}
    return canonical(experiment.words_spec(config | rest | other))


def test_the_words_are_about_what_was_run_and_not_about_where_files_are(config):
    before = words_spec(config)
    config["recipes"]["unused"]["lr"] = 1e-3
    config["run"].reverse()
    assert words_spec(config, weights="elsewhere", fetch={"workers": 9}) == before
    config["recipes"]["ga"]["lr"] = 1e-3
    assert words_spec(config) != before
