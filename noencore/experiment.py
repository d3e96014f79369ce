"""What an experiment consists of, as pure functions of its config: models, and the slice of it that each job reads.

The workflow's rules take their wildcards and their `spec` params from here, so that a changed key reruns the jobs that
read it and no others.
"""

from pathlib import Path

from noencore.errors import UserError
from noencore.split import LEARNED


def trained_models(config):
    """Names of the models that are trained: target-<seed> and gold-<seed>."""
    return [f"{kind}-{seed}" for kind in LEARNED for seed in sorted(config.get(kind, {}).get("train_seeds", []))]


def unlearned_models(config):
    """Names of the unlearned models, <recipe>-<unlearn_seed>; a recipe without steps has the first seed alone."""
    return [
        f"{recipe}-{seed}"
        for recipe in sorted(config["run"])
        for seed in sorted(config["unlearn_seeds"])[: 1 if config["recipes"][recipe]["forget"] == "none" else None]
    ]


def models(config):
    """All models of the experiment, in the order of the tables."""
    return trained_models(config) + unlearned_models(config)


def target_model(config):
    return f"target-{config['target']['train_seeds'][0]}"


def split_model_name(model):
    """`rl_caption-1` -> ("rl_caption", 1). Raises UserError for any other form."""
    recipe, _, seed = model.rpartition("-")
    if not recipe or not seed.isdigit():
        raise UserError(f"model {model!r}: the name is not <recipe>-<seed>; rename its directory")
    return recipe, int(seed)


def training_spec(config, model):
    kind, seed = split_model_name(model)
    return {"model": config["model"], "training": config["training"], "sets": LEARNED[kind], "seed": seed}


def unlearn_spec(config, model):
    recipe, seed = split_model_name(model)
    return {
        "recipe": {"name": recipe, **config["recipes"][recipe]},
        "seed": seed,
        "checkpoint_activations": config["training"]["checkpoint_activations"],
    }


def split_spec(config):
    """The split rule, and how many test clips the later stages need of each set."""
    asked = (config["generate"]["prompts"], config["generate"]["continuations"])
    needed = {name: max(part.get(name, 0) for part in asked) for name in {*asked[0], *asked[1]}}
    return {"rule": config["split"], "needed": needed}


def codec_path(config):
    """The codec's weights. Raises UserError where the file is not there."""
    path = Path(config["codec"]["weights"])
    if not path.exists() and "codec_training" not in config:
        raise UserError(f"config: codec.weights: no file {path}; restore it (git checkout) or see presets/codec.yaml")
    return str(path)
