"""Checking a config against its schema and against itself, in one line an error."""

import math
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from noencore.comparison.names import check_margins
from noencore.errors import UserError
from noencore.experiment import RELEASED_SAMPLE_RATE, expanded, is_released, trained_models
from noencore.unlearning.recipes import make_recipe, takes_steps, training_scope

# What no recipe may be called: models of every run, and the clip itself beside them on the page.
RESERVED = ("target", "gold", "original")

# JSON Schema calls 3.0 an integer; `range` does not.
WHOLE = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
Validator = extend(Draft202012Validator, type_checker=WHOLE)


def check_config(config, schema_path):
    """Raise UserError, naming the key, where a config (a dict) breaks the schema or contradicts itself."""
    schema = yaml.safe_load(Path(schema_path).read_text())
    _check_schema(config, schema)
    if "tune" in config:
        config = expanded(config)
        _check_schema(config, schema)
    for name in config["run"]:
        if name not in config["recipes"]:
            raise UserError(f"config: run: no recipe '{name}'; defined are {', '.join(sorted(config['recipes']))}")
    for name in set(config["recipes"]) & set(RESERVED):
        raise UserError(f"config: recipes.{name}: every run has something of that name; choose another")
    for name, entry in config["recipes"].items():
        make_recipe(name, entry)
    check_margins(config["comparison"]["margins"])
    model, clip = config["model"], config["catalogue"]["clip_seconds"]
    _check_base(config)
    if config["weights"].startswith("~"):  # fetch would make a folder of that name
        raise UserError("config: weights: ~ is a shell's; write the whole path")
    if not is_released(config) and model["dim"] % (2 * model["heads"]):
        raise UserError(f"config: model.dim: {model['dim']} is not a multiple of 2 * heads ({2 * model['heads']})")
    if max(config["generate"]["prompt_seconds"]) >= clip:
        raise UserError(f"config: generate.prompt_seconds: must be shorter than catalogue.clip_seconds ({clip})")


def check_rates(config, default, given):
    """Raise UserError where a released model would move at a learning rate that config.yaml has for its own small one.

    default: config.yaml; given: what the user's files and options say. At such a rate, a hundred times too large,
    nothing is left of the model. Where config.yaml itself names a released model its rates are for that.
    """
    if not is_released(config) or is_released(default):
        return
    tried = config.get("tune", {})
    places = {"training": given.get("training", {})} if trained_models(config) else {}
    for name in tried or config["run"]:
        if takes_steps(config["recipes"][name]):
            places[f"recipes.{name}"] = given.get("recipes", {}).get(name, {}) | tried.get(name, {})
    for place, said in places.items():
        if "lr" not in said:
            cure = "give one for a released model, such as 1.0e-5, or 2.0e-4 with scope lora (docs/methods.md)"
            raise UserError(f"config: {place}.lr: config.yaml's is for its own small model; {cure}")


def _check_base(config):
    """Refuse what no model can start from, or no codec can read."""
    seeds, gold = config["target"]["train_seeds"], config.get("gold", {}).get("train_seeds", [])
    if not seeds and not is_released(config):
        raise UserError("config: target.train_seeds: a model from scratch has to be trained; give one seed")
    if not seeds and gold:
        raise UserError(
            "config: gold.train_seeds: gold is trained like target, and target.train_seeds is empty; empty both"
        )
    scope = training_scope(config["training"]["scope"])["name"]
    if scope != "all" and not is_released(config):
        raise UserError(
            f"config: training.scope: {scope} leaves most weights of a new model as they were drawn; use all"
        )
    if is_released(config) and config["catalogue"]["source"] == "tunes":
        raise UserError(
            f"config: catalogue.source: tunes are played at 16000 Hz, and a released model hears "
            f"{RELEASED_SAMPLE_RATE}; take another source"
        )


def _check_schema(config, schema):
    error = best_match(Validator(schema).iter_errors(config))
    if error:
        raise UserError(f"config: {_where(error)}: {_what(error)}")
    _check_finite(config)


def _check_finite(value, where=()):
    """The schema lets .nan and .inf pass as numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"config: {'.'.join(map(str, where))}: {value} is not a finite number; write one")
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_finite(item, (*where, key))


def _where(error):
    return ".".join(str(part) for part in error.absolute_path) or "top level"


def _what(error):
    """The cause and the cure in one line; jsonschema's own words where they are good enough."""
    value = error.instance
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = sorted(set(value) - set(known))
        return f"unknown key '{unknown[0]}'; known are {', '.join(sorted(known))}"
    if error.validator == "enum":
        return f"'{value}' is not one of {', '.join(map(str, error.validator_value))}"
    if error.validator == "type" and isinstance(value, str):
        return f"'{value}' is text, not a {error.validator_value} (write small numbers as 1.0e-5)"
    return f"{error.message}; see workflow/schemas/config.schema.yaml".replace("\n", " ")
