"""What an experiment consists of, as pure functions of its config: models, and the slice of it that each job reads.

The workflow's rules take their wildcards and their `spec` params from here, so that a changed key reruns the jobs that
read it and no others.
"""

import json
from itertools import product
from pathlib import Path

from noencore.embeddings import LANDMARKS, TEXT_AUDIO_MODELS
from noencore.errors import UserError
from noencore.split import LEARNED
from noencore.unlearning.recipes import make_recipe, takes_steps, training_scope

SCRATCH = "scratch"  # the `model.init` of models that are made here from nothing
RELEASED_SAMPLE_RATE = 32000  # Hz, of the codecs of mono MusicGen packages
FRAME_RATE = 50  # tokens a second and codebook, of these codecs and of ours


def is_released(config):
    """Whether the models start from a released package."""
    return config.get("model", {}).get("init", SCRATCH) != SCRATCH


def imported_models(config):
    """The target, where it is the released model itself: no training, and no gold (the released track)."""
    return [] if config["target"]["train_seeds"] else ["target-0"]


def trained_models(config):
    """Names of the models that are trained: target-<seed> and gold-<seed>."""
    return [f"{kind}-{seed}" for kind in LEARNED for seed in sorted(config.get(kind, {}).get("train_seeds", []))]


def unlearned_models(config):
    """Names of the unlearned models, <recipe>-<unlearn_seed>; a recipe without steps has the first seed alone."""
    return [
        f"{recipe}-{seed}"
        for recipe in sorted(config["run"])
        for seed in sorted(config["unlearn_seeds"])[: None if takes_steps(config["recipes"][recipe]) else 1]
    ]


def models(config):
    """All models of the experiment, in the order of the tables."""
    return imported_models(config) + trained_models(config) + unlearned_models(config)


def target_model(config):
    return f"target-{[*config['target']['train_seeds'], 0][0]}"


def split_model_name(model):
    """`rl_caption-1` -> ("rl_caption", 1). Raises UserError for any other form."""
    recipe, _, seed = model.rpartition("-")
    if not recipe or not seed.isdigit():
        raise UserError(f"model {model!r}: the name is not <recipe>-<seed>; rename its directory")
    return recipe, int(seed)


def training_spec(config, model):
    kind, seed = split_model_name(model)
    sizes = None if is_released(config) else {key: size for key, size in config["model"].items() if key != "init"}
    training = {**config["training"], "scope": training_scope(config["training"]["scope"])}
    return {"model": sizes, "training": training, "sets": LEARNED[kind], "seed": seed}


def unlearn_spec(config, model):
    recipe, seed = split_model_name(model)
    return {
        "recipe": {"name": recipe, **config["recipes"][recipe]},
        "seed": seed,
        "checkpoint_activations": config["training"]["checkpoint_activations"],
    }


def reference_kinds(config, model):
    """Kinds of the target's reference values that an unlearned model is made with."""
    recipe, _ = split_model_name(model)
    return make_recipe(recipe, config["recipes"][recipe]).reads()


def all_reference_kinds(config):
    """Those that any model of the experiment is made with."""
    return sorted({kind for model in unlearned_models(config) for kind in reference_kinds(config, model)})


EMBEDDING_FAMILIES = ("quality", "text_audio", "copying")


def family_embeddings(config, family):
    """The embeddings that a family of metrics is computed from."""
    return {
        "quality": sorted(config["embeddings"]),
        "text_audio": [TEXT_AUDIO_MODELS[config["text_audio"]]],
        "copying": [config["copying"]["embedding"], LANDMARKS],
    }.get(family, [])


def all_embeddings(config, families=EMBEDDING_FAMILIES):
    """Those that any of some families of metrics is computed from, of those in `metrics` or not."""
    return sorted({name for family in families for name in family_embeddings(config, family)})


def released_models(config, family):
    """Names under which weights may have to be there for a family: its embeddings, and the text-audio model."""
    text_audio = [config["text_audio"]] if family == "text_audio" else []
    return sorted({*family_embeddings(config, family), *text_audio})


def measure_spec(config, family, missing):
    """The models, what the config says to a family of metrics, and why models of released weights are left out.

    missing: dict name of a model -> status, of the whole experiment.
    """
    settings = {"copying": {"alpha": config["copying"]["false_positive_rate"]}}
    absent = {name: missing[name] for name in released_models(config, family) if name in missing}
    return {"models": models(config), "settings": settings.get(family, {}), "missing": absent}


def compare_spec(config):
    """The models, the target that recipes started from, and the margins of equivalence."""
    return {"models": models(config), "target": target_model(config), "margins": config["comparison"]["margins"]}


def tables_spec(config):
    """The models, and the names that stand in braces in the metrics of the summary: the first embedding, the
    text-audio model and the shortest prompt that is not empty, as metrics are named after it."""
    prompt = min([seconds for seconds in config["generate"]["prompt_seconds"] if seconds > 0], default=0)
    names = {"embedding": config["embeddings"][0], "text_audio": config["text_audio"], "prompt": f"{prompt:g}s"}
    return {"models": models(config), "names": names}


FIGURES = {  # in the order of the report: the family of metrics that each is drawn from, None for any
    "tradeoff": "likelihood",
    "curves": None,
    "codebooks": "likelihood",
    "association": "association",
    "distances": "quality",
    "cost": "likelihood",
}


def figures(config):
    """Names of the figures that can be drawn, by the families in `metrics`."""
    return [name for name, family in FIGURES.items() if family is None or family in config["metrics"]]


def figures_spec(config):
    """The figures, and how many wrong captions a clip was scored under."""
    return {"figures": figures(config), "wrong_captions": config["score"]["wrong_captions"]}


def listened_models(config):
    """Models that the report lets one hear: target, the first gold, and each recipe that takes steps with its first
    seed. Of recipes without steps none: they are the target."""
    gold = [model for model in trained_models(config) if split_model_name(model)[0] == "gold"]
    stepping = [recipe for recipe in sorted(config["run"]) if takes_steps(config["recipes"][recipe])]
    first_seed = min(config["unlearn_seeds"])
    return [target_model(config), *gold[:1], *(f"{recipe}-{first_seed}" for recipe in stepping)]


def listening_spec(config, models):
    """The models to be heard, how many clips of each set, and the eval seed of all takes."""
    return {
        "models": models,
        "clips": config["report"]["clips"],
        "eval_seed": min(config["generate"]["eval_seeds"]),
    }


def words_spec(config):
    """What the verdicts and the methods text say of the config: not where files are, nor how they were fetched."""
    keys = ("experiment", "catalogue", "split", "model", "training", "target", "score", "generate", "embeddings")
    keys += ("text_audio", "copying", "comparison")
    return {
        **{key: config[key] for key in keys},
        "models": models(config),
        "target_model": target_model(config),
        "recipes": {name: config["recipes"][name] for name in sorted(config["run"])},
        "metrics": sorted(config["metrics"]),
    }


def page_spec(config):
    """The figures that the report page shows."""
    return {"figures": figures(config)}


def tune_grid(config):
    """Points of the grids under `tune`: dict <recipe>_<i> -> {"recipe", "parameters" (dict key -> value)}.

    A grid is a dict key -> list of values; `forget.beta` is the parameter beta of the forget loss. Raises UserError
    where the recipe is not defined.
    """
    points = {}
    for recipe, grid in sorted(config.get("tune", {}).items()):
        if recipe not in config["recipes"]:
            raise UserError(f"config: tune: no recipe '{recipe}'; defined are {', '.join(sorted(config['recipes']))}")
        for number, values in enumerate(product(*(grid[key] for key in sorted(grid))), start=1):
            points[f"{recipe}_{number}"] = {"recipe": recipe, "parameters": dict(zip(sorted(grid), values))}
    return points


def expanded(config):
    """The config with the points of its `tune` grids as the recipes that are run; without `tune` as it is."""
    points = tune_grid(config)
    if not points:
        return config
    recipes = dict(config["recipes"])
    for name, point in points.items():
        entry = dict(config["recipes"][point["recipe"]])
        for key, value in point["parameters"].items():
            part, _, parameter = key.partition(".")
            if parameter:
                base = entry.get(part)
                value = {**(base if isinstance(base, dict) else {"name": base}), parameter: value}
            entry[part] = value
        recipes[name] = entry
    return {**config, "recipes": recipes, "run": list(points)}


def split_spec(config):
    """The split rule, and how many test clips the later stages need of each set."""
    asked = (config["generate"]["prompts"], config["generate"]["continuations"])
    needed = {name: max(part.get(name, 0) for part in asked) for name in {*asked[0], *asked[1]}}
    return {"rule": config["split"], "needed": needed}


def of_own_source(config, default, given):
    """The config where `catalogue.source` is another than in `default` (config.yaml), else as it is.

    Snakemake merges a user's config into config.yaml; what that says of its own source does not hold for another one.
    So the keys of config.yaml that the chosen source has not are left out, and each selector of `split` is the one in
    `given`, what the user's files and options say: none where they say nothing.
    """
    both = (config["catalogue"], config["split"])
    if not all(isinstance(part, dict) for part in both) or both[0].get("source") == default["catalogue"]["source"]:
        return config
    foreign = set(default["catalogue"]) - {"source", "clips_per_work", "clip_seconds", "seed"}
    catalogue = {key: value for key, value in config["catalogue"].items() if key not in foreign}
    selectors = {name: given.get("split", {}).get(name, {}) for name in ("forget", "remain", "utility")}
    return {**config, "catalogue": catalogue, "split": {**config["split"], **selectors}}


def of_own_model(config, default, given):
    """The config where `model.init` is another than in `default` (config.yaml), else as it is.

    The sizes that config.yaml gives its own model do not hold for a released one: those that the user's files and
    options (`given`) say nothing of are left out.
    """
    model = config["model"]
    if not isinstance(model, dict) or model.get("init") == default["model"]["init"]:
        return config
    said = given.get("model", {})
    return {**config, "model": {key: value for key, value in model.items() if key == "init" or key in said}}


def catalogue_spec(config):
    """What the catalogue is made from: for the user's own audio also its listing and the codec's sample rate.

    Raises UserError where the folder or the manifest is not there, or is not what the config says.
    """
    settings = config["catalogue"]
    if settings["source"] == "tunes":
        return {"catalogue": settings}
    from noencore.catalogue.sources import listing_digest

    return {
        "catalogue": settings,
        "listing": listing_digest(settings),
        "sample_rate": RELEASED_SAMPLE_RATE if is_released(config) else codec_sample_rate(codec_path(config)),
    }


def catalogue_minutes(spec, threads):
    """How long the job of a catalogue may take: half an hour, and a minute for 60 files a thread, half their speed."""
    rows = int(json.loads(spec).get("listing", "0-").split("-")[0])
    return 30 + rows // (60 * threads)


def tokens_minutes(config, megabytes):
    """Minutes that the job of a shard may take. megabytes: of catalogue.parquet, 130 bytes a clip.

    Twice what was measured on a core for a second of audio with its caption: 13 ms with our codec, 300 with EnCodec.
    """
    clips = megabytes * 2**20 / 130 / config["tokens"]["shards"]
    seconds = clips * config["catalogue"]["clip_seconds"] * (0.6 if is_released(config) else 0.026)
    return 10 + round(seconds / 60)


def catalogue_manifests(config):
    """Tables that the catalogue is read from."""
    if config["catalogue"]["source"] == "tunes":
        return []
    from noencore.catalogue.sources import manifests

    return manifests(config["catalogue"])


def fetching_parts(config):
    """The parts of the catalogue whose audio is fetched: dict name -> settings."""
    if config["catalogue"]["source"] == "tunes":
        return {}
    from noencore.catalogue.sources import fetching_parts

    return fetching_parts(config["catalogue"])


def fetch_spec(config, part):
    """What is fetched for a part of the catalogue; not how (`fetch` in the config), which changes no file."""
    from noencore.catalogue.fetching import fetch_digest

    settings = fetching_parts(config)[part]
    return {"part": settings, "wanted": fetch_digest(settings)}


def codec_sample_rate(path):
    """The codec's sample rate in Hz, from the head of its file; where it has yet to be trained, that of the trainer.

    Raises UserError where the file is no codec of ours.
    """
    from noencore.catalogue.synthesis import SAMPLE_RATE

    if not Path(path).exists():
        return SAMPLE_RATE
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return int(json.loads(file.metadata()["config"])["sample_rate"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        raise UserError(f"{path}: not a codec of ours; make one with `--configfile presets/codec.yaml`") from None


def codec_path(config):
    """The codec's weights. Raises UserError where the file is not there."""
    path = Path(config["codec"]["weights"])
    if not path.exists() and "codec_training" not in config:
        raise UserError(f"config: codec.weights: no file {path}; restore it (git checkout) or see presets/codec.yaml")
    return str(path)
