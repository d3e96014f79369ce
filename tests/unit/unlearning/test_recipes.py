"""What a recipe may say, and what is refused in one line before anything runs."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from noencore.errors import UserError
from noencore.unlearning.recipes import PARTS, Choice, make_recipe, takes_steps
from noencore.unlearning.reference import KINDS

GA = {"forget": "gradient_ascent", "lr": 1.0e-4, "steps": 10, "batch": 4}


def test_an_entry_of_old_is_the_paper_s_gradient_ascent():
    recipe = make_recipe("ga", GA)
    assert (recipe.forget, recipe.remain, recipe.scope) == (Choice("gradient_ascent", {"cap": False}), *PLAIN)
    assert (recipe.gamma, recipe.accumulate, recipe.warmup, recipe.clip, recipe.p_uncond) == (1.0, 1, 0.05, 1.0, 0.0)
    assert (recipe.stop, recipe.pick, recipe.points) == (None, "last", 5)


PLAIN = (Choice("none"), Choice("all"))


@pytest.mark.parametrize("before", ["config.yaml", "presets/no-encore.yaml", "presets/opt-out.yaml"])
def test_recipes_that_are_given_after_a_released_model_s_are_named_otherwise(before):
    """Snakemake merges recipes of one name key by key: one with steps and one with epochs made one with both."""
    root = Path(__file__).parents[3]
    other, own = (
        yaml.safe_load((root / path).read_text())["recipes"] for path in (before, "presets/musicgen-small.yaml")
    )
    assert not set(other) & set(own)


@pytest.mark.parametrize(("part", "name"), [(part, name) for part, table in PARTS.items() for name in table])
def test_a_bare_name_is_the_name_with_its_defaults(part, name):
    entry = {"forget": "gradient_ascent", "lr": 1.0, "steps": 1}
    if (part, name) == ("forget", "none"):
        entry |= {"remain": "cross_entropy"}
    bare, spelled = make_recipe("x", entry | {part: name}), make_recipe("x", entry | {part: {"name": name}})
    assert bare == spelled
    defaults = {key: parameter.default for key, parameter in PARTS[part][name].parameters.items()}
    assert getattr(bare, part) == Choice(name, defaults)
    assert make_recipe("x", entry | {part: {"name": name, **defaults}}) == bare


def test_null_is_the_caption_null_however_it_is_written():
    """docs/methods.md writes `caption: null`, which YAML reads as nothing at all."""
    for written in ("null", '"null"'):
        recipe = make_recipe(
            "x", yaml.safe_load(f"{{forget: {{name: anchor_caption, caption: {written}}}, lr: 1.0, steps: 1}}")
        )
        assert recipe.forget.parameters == {"caption": "null"}
        assert recipe.reads() == ["forget_null"]


def test_every_name_and_parameter_says_what_it_is():
    for table in PARTS.values():
        for part in table.values():
            assert part.says
            assert all(parameter.says for parameter in part.parameters.values())


def test_an_epoch_is_one_pass_over_the_forget_clips():
    recipe = make_recipe("x", {"forget": "npo", "lr": 1.0, "epochs": 3, "batch": 4})
    assert [recipe.total_steps(clips) for clips in (4, 5, 8, 9)] == [3, 6, 6, 9]
    assert make_recipe("ga", GA).total_steps(1000) == 10


@pytest.mark.parametrize(
    ("entry", "steps"),
    [
        ({"forget": "none"}, False),
        ({"forget": {"name": "none"}}, False),
        ({"forget": "none", "remain": "none"}, False),
        ({"forget": "none", "remain": "cross_entropy"}, True),
        ({"forget": "npo"}, True),
    ],
)
def test_a_recipe_without_a_loss_takes_no_step(entry, steps):
    assert takes_steps(entry) == steps


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({}, []),
        ({"forget": "npo"}, ["forget_nll"]),
        ({"forget": "npo", "p_uncond": 0.5}, ["forget_nll"]),
        ({"forget": "dpo"}, ["alternatives", "forget_nll"]),
        ({"forget": "undial"}, ["forget_caption"]),
        ({"forget": "undial", "p_uncond": 0.5}, ["forget_caption", "forget_null"]),
        ({"forget": "anchor_caption"}, ["forget_other"]),
        ({"forget": {"name": "anchor_caption", "caption": "null"}}, ["forget_null"]),
        ({"remain": "kl"}, ["remain_caption"]),
        ({"remain": "kl", "p_uncond": 0.5}, ["remain_caption", "remain_null"]),
        ({"forget": "npo", "remain": "constraint"}, ["forget_nll", "remain_nll"]),
        ({"remain": "cross_entropy", "scope": "lora"}, []),
    ],
)
def test_a_recipe_reads_the_reference_values_that_it_needs_and_no_others(change, kinds):
    assert make_recipe("x", GA | change).reads() == kinds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forget": "gradient_descent"}, "forget: 'gradient_descent' is not one of none, gradient_ascent"),
        ({"remain": "crossentropy"}, "remain: 'crossentropy' is not one of none, cross_entropy, kl, constraint"),
        ({"scope": "lorra"}, "scope: 'lorra' is not one of all, cross_attention, lora, salun"),
        ({"forget": {"beta": 1.0}}, "forget: 'name' is missing; give one of none,"),
        ({"forget": {"name": "npo", "beat": 1.0}}, "forget: unknown parameter 'beat' of npo; known are beta"),
        ({"forget": {"name": "bad_teacher", "t": 1}}, "forget: unknown parameter 't' of bad_teacher; it has none"),
        ({"forget": {"name": "npo", "beta": 0}}, "forget.beta: 0 is out of bounds; it must be above 0"),
        ({"forget": {"name": "npo", "beta": "1e-5"}}, "forget.beta: '1e-5' is not a number (write small"),
        ({"forget": {"name": "npo", "beta": True}}, "forget.beta: 'True' is not a number"),
        ({"forget": {"name": "gradient_ascent", "cap": 1}}, "forget.cap: '1' is not true or false"),
        ({"forget": {"name": "ce_u", "skip": 0.5}}, "forget.skip: '0.5' is not a whole number"),
        ({"forget": {"name": "anchor_caption", "caption": "x"}}, "forget.caption: 'x' is not one of other, null"),
        ({"scope": {"name": "lora", "rank": 0}}, "scope.rank: 0 is out of bounds; it must be at least 1"),
        ({"scope": {"name": "salun", "share": 1.5}}, "scope.share: 1.5 is out of bounds; it must be at most 1"),
        ({"epochs": 3}, "epochs: steps are given as well"),
        ({"forget": {"name": ["npo", "dpo"]}}, "forget: '['npo', 'dpo']' is not one of none, gradient_ascent"),
        ({"scope": {"name": {"lora": 8}}}, "scope: '{'lora': 8}' is not one of all, "),
        ({"forget": {"name": "npo", "beta": None}}, "forget.beta: 'None' is not a number"),
        ({"steps": None}, "steps: neither steps nor epochs are given"),
        ({"lr": 0.0}, "lr: is missing"),
        ({"alpha": 2.0}, "remain: alpha and remain_batch need a remain loss"),
        ({"remain_batch": 2}, "remain: alpha and remain_batch need a remain loss"),
        ({"forget": "none", "remain": "kl", "gamma": 1.0}, "gamma: there is no forget loss"),
        ({"forget": "none", "remain": "kl", "scope": "salun"}, "scope: salun ranks weights by a forget loss"),
        ({"forget": "task_vector", "remain": "kl"}, "remain: task_vector would be negated"),
        ({"forget": "anchor_caption", "p_uncond": 0.1}, "p_uncond: anchor_caption is about the caption"),
        ({"scope": "cross_attention", "p_uncond": 0.1}, "p_uncond: without a caption cross_attention is not used"),
        ({"forget": "rmu", "codebook_weights": [1, 0]}, "codebook_weights: rmu knows no codebooks"),
        ({"codebook_weights": [0, 0]}, "codebook_weights: all are 0"),
        ({"accumulate": 5}, "accumulate: is above batch (4)"),
        ({"stop": {"metric": "nll", "bound": 1}}, "stop.metric: 'nll' is not one of remain_rise, utility_rise"),
        ({"stop": {"metric": "remain_rise", "bound": 0}}, "stop.bound: the start itself has no rise"),
        ({"pick": "best"}, "pick: 'best' is not one of last, nearest_holdout"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_in_one_line(change, message):
    with pytest.raises(UserError) as caught:
        make_recipe("x", GA | change)
    assert str(caught.value).startswith(f"config: recipes.x.{message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["learning_rate", "name"])
def test_an_unknown_key_is_named_beside_the_known_ones(key):
    with pytest.raises(UserError, match=rf"recipes\.x: unknown key '{key}'; known are accumulate, alpha, batch,"):
        make_recipe("x", GA | {key: 1})


def test_a_control_takes_no_schedule():
    make_recipe("none", {"forget": "none"})
    with pytest.raises(UserError, match=r"recipes\.none: a recipe with 'forget: none' takes no step; remove lr"):
        make_recipe("none", {"forget": "none", "lr": 1.0})


def test_reading_recipes_imports_no_torch():
    """The workflow reads them at every start."""
    code = "import sys, noencore.config, noencore.experiment; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_documentation_has_every_name_and_reference_value():
    text = (Path(__file__).parents[3] / "docs" / "methods.md").read_text()
    for table in PARTS.values():
        for name, part in table.items():
            row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
            named = {kind for kind in KINDS if f"`{kind}`" in row}
            assert named == {kind.format(caption=caption) for kind in part.reads for caption in ("other", "null")}, name
