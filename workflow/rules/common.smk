# Helpers of all rules: the checked config, the params that decide what is run again, and the wildcards.

import atexit
import os
import sys
import time
from functools import cache
from pathlib import Path

import yaml

STARTED = time.time()

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))

from noencore import base, experiment
from noencore.cluster import profile_of, show_stopped
from noencore.config import check_config, check_rates
from noencore.digest import canonical, code_digest
from noencore.embeddings import LANDMARKS
from noencore.embeddings.weights import WEIGHTS, expected_files
from noencore.errors import UserError
from noencore.files import sha256
from noencore.locks import hold_run_lock
from noencore.preflight import (
    check_fetching,
    check_results,
    check_split_rule,
    check_weights,
    check_whole,
    missing_status,
    missing_weights,
)
from noencore.terminal import show_error, show_results

# Scripts import noencore from here, offline, each on one thread: sums do not depend on how many cores a job got.
# The malloc settings keep large temporaries from being mapped and faulted in anew (measured: 10 % of a training step).
os.environ.update(
    PYTHONPATH=os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")])),
    HF_HUB_OFFLINE="1",
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    MALLOC_MMAP_THRESHOLD_="4000000000",
    MALLOC_TRIM_THRESHOLD_="8000000000",
)


# What these rules look for may be missing. Snakemake tells no Snakefile what it was asked for.
FETCHING = bool({"fetch", "preflight"} & set(sys.argv))


def spec(*keys):
    """The config's values at some top-level keys, as canonical JSON: of a function, as Snakemake takes what stands in
    braces in a text for a wildcard, and a config may hold such texts."""
    return lambda wildcards: canonical({key: config[key] for key in keys})


@cache
def catalogue_spec():
    """What the catalogue is made from. A listing of the user's own audio takes a while, so jobs that need none make none."""
    return canonical(experiment.catalogue_spec(config))


try:
    DEFAULTS = yaml.safe_load((ROOT / "config.yaml").read_text())
    # What the user's files and options say.
    GIVEN = workflow.config_settings.overwrite_config
    config.update(experiment.of_own_source(config, DEFAULTS, GIVEN))
    config.update(experiment.of_own_model(config, DEFAULTS, GIVEN))
    check_config(config, ROOT / "workflow/schemas/config.schema.yaml")
    check_rates(config, DEFAULTS, GIVEN)
    config.update(experiment.expanded(config))
    # The small codec of our own: also an embedding, whatever model is looked at.
    OWN_CODEC = experiment.codec_path(config)
    BASE = base.find_base(config)
    CODEC = str(BASE.codec) if BASE else OWN_CODEC
    if workflow.is_main_process:
        check_results(f"results/{config['experiment']}")
        if not FETCHING:
            check_split_rule(
                f"results/{config['experiment']}/catalogue.parquet",
                made_with=catalogue_spec(),
                split_spec=experiment.split_spec(config),
            )
        if Path(OWN_CODEC).exists():
            cure = "restore it (git checkout) or see presets/codec.yaml"
            check_whole(OWN_CODEC, cure)
        if BASE and not FETCHING:
            base.check_base(config["model"]["init"], BASE)
        if not workflow.deployment_settings.deployment_method:
            check_weights(config)
            check_fetching(config)
        if not workflow.dryrun:
            RUN_LOCK = hold_run_lock(".snakemake")
    MISSING = missing_weights(config)
    # The codec comes from outside: a param tells by its content whether it is another one, and rules take it as ancient().
    OWN_CODEC_SHA256 = sha256(OWN_CODEC) if Path(OWN_CODEC).exists() else ""
    CODEC_SHA256 = BASE.codec_sha256() if BASE else OWN_CODEC_SHA256
except UserError as error:
    sys.exit(f"error: {error}")

if workflow.is_main_process:
    for name, lines in MISSING.items():
        print(
            f"warning: no weights of {name}, its metrics stay empty:", file=sys.stderr
        )
        print(*(f"  {line}" for line in lines), sep="\n", file=sys.stderr)

# Where there is a card, its jobs take turns (profiles/default); without one they run side by side on the cores.
# On a cluster it is the profile that asks for cards (profiles/slurm), since the submitting host may have none.
GPU = int(Path(os.devnull).with_name("nvidia0").exists())


wildcard_constraints:
    trained="|".join(experiment.trained_models(config)) or "none",
    unlearned="|".join(f"{recipe}-[0-9]+" for recipe in sorted(config["recipes"])),
    model=r"[a-z][a-z0-9_]*-\d+",
    shard=r"\d+",
    kind=r"[a-z]+(_[a-z]+)?",
    metric=r"[a-z_]+",
    embedding=r"[a-z_]+",
    part=r"[a-z][a-z0-9_]*",


# What a family of metrics is computed from, besides the split and embeddings (experiment.family_embeddings).
SCORES = {"scores": "<run>/scores/{model}.parquet"}
TOKENS = {"tokens": "<run>/scores/{model}.safetensors"}
GENERATED = {"generated": "<run>/generated/{model}/generated.parquet"}
FAMILY_INPUTS = {
    "likelihood": SCORES | TOKENS,
    "association": SCORES,
    "membership": SCORES | TOKENS,
    "extraction": TOKENS,
    "continuation": GENERATED,
    "collapse": GENERATED,
    "quality": GENERATED,
    "text_audio": GENERATED,
    "copying": GENERATED,
}
EMBEDDINGS = "<run>/embeddings/{embedding}/{model}.safetensors"
REFERENCE = "<run>/embeddings/{embedding}/reference.safetensors"
CAPTIONS = "<run>/embeddings/{embedding}/captions.safetensors"


def there(names):
    """Those of some models whose weights are not missing."""
    return [name for name in names if name not in MISSING]


# Of packages, and our own: embedded together, so the list does not depend on `metrics`.
AT_HAND = [name for name in experiment.all_embeddings(config) if name not in WEIGHTS]


def code(script):
    """Digest of a script of workflow/scripts and of all library modules that it imports."""
    return code_digest(ROOT / "workflow/scripts" / script, ROOT)


def tokens_spec(wildcards):
    encoders = {"base": BASE.encoders()} if BASE else {}
    return canonical({"tokens": config["tokens"], "codec": CODEC_SHA256, **encoders})


def generate_spec(wildcards):
    place = {"base": BASE.place()} if BASE else {}
    return canonical({"generate": config["generate"], "codec": CODEC_SHA256, **place})


def fetch_spec(wildcards):
    return canonical(experiment.fetch_spec(config, wildcards.part))


def shards():
    return [
        f"<run>/tokens/shard-{shard}.safetensors"
        for shard in range(config["tokens"]["shards"])
    ]


def training_spec(wildcards):
    return canonical({**experiment.training_spec(config, wildcards.trained), **start()})


def start():
    """What the weights that training starts from are known by: nothing where they are drawn."""
    return {"start": base.content_sha256(BASE.weights)} if BASE else {}


def imports():
    """The rule that makes the target of the released track."""
    return [rules.import_model] if experiment.imported_models(config) else []


def unlearn_spec(wildcards):
    return canonical(experiment.unlearn_spec(config, wildcards.unlearned))


def reference_spec(wildcards):
    return canonical({"kind": wildcards.kind})


def unlearn_reference(wildcards):
    return every(
        rules.reference, kind=experiment.reference_kinds(config, wildcards.unlearned)
    )


def measure_inputs(wildcards):
    models = experiment.models(config)
    inputs = {
        name: expand(pattern, model=models)
        for name, pattern in FAMILY_INPUTS[wildcards.metric].items()
    }
    for embedding in there(experiment.family_embeddings(config, wildcards.metric)):
        inputs[f"embeddings_{embedding}"] = expand(
            EMBEDDINGS, embedding=embedding, model=models
        )
        inputs[f"reference_{embedding}"] = REFERENCE.format(embedding=embedding)
    if wildcards.metric == "text_audio" and there([config["text_audio"]]):
        inputs["captions"] = CAPTIONS.format(embedding=config["text_audio"])
    return inputs


def measure_spec(wildcards):
    missing = {name: missing_status(lines) for name, lines in MISSING.items()}
    return canonical(experiment.measure_spec(config, wildcards.metric, missing))


def embedded_by(wildcards):
    """What a job embeds: a released model of its own, or all that is at hand."""
    return [wildcards.embedding] if "embedding" in wildcards.keys() else AT_HAND


def embed_spec(wildcards, **more):
    names = embedded_by(wildcards)
    codec = OWN_CODEC_SHA256 if "codec" in names else ""
    return canonical(
        {"embeddings": names, "codec": codec, **weights_spec(*names), **more}
    )


def embed_reference_spec(wildcards):
    return embed_spec(wildcards, sets=sorted(config["generate"]["prompts"]))


def captions_spec(wildcards):
    name, sets = wildcards.embedding, sorted(config["generate"]["prompts"])
    return canonical({"text_audio": name, "sets": sets, **weights_spec(name)})


def weights_spec(*names):
    """Where the weights of released models lie, and the sha256 that they must have."""
    files = {
        name: expected_files(name, config["weights"])
        for name in names
        if name in WEIGHTS
    }
    sums = {
        name: [file.sha256 for file in of_model] for name, of_model in files.items()
    }
    return {"weights": config["weights"] if sums else None, "sums": sums}


def embed_code(script):
    """Digest of the script, and of each embedding's own module: the store keeps its values under the latter."""

    def digests(wildcards):
        files = {name: f"embeddings/{name}" for name in embedded_by(wildcards)}
        if LANDMARKS in files:
            files[LANDMARKS] = "fingerprint"
        own = {name: library_code(file) for name, file in files.items()}
        return canonical({"script": code(script), **own})

    return digests


def captions_code(wildcards):
    own = library_code(f"embeddings/{wildcards.embedding}")
    return canonical([code("embed_captions.py"), own])


def library_code(name):
    return code_digest(ROOT / f"noencore/{name}.py", ROOT)


def page_code():
    """Digest of the page's script and modules, and of the templates that it is made from."""
    templates = sorted((ROOT / "noencore/report/templates").iterdir())
    sums = {path.name: sha256(path) for path in templates}
    return canonical({"script": code("page.py"), "templates": sums})


def intermediate_results(wildcards):
    """What lies between split and tables. Snakemake misses a deleted file only where it is asked for by name."""
    made_by = {
        "scores": rules.score,
        "tokens": rules.score,
        "generated": rules.generate,
    }
    needed = {name for metric in config["metrics"] for name in FAMILY_INPUTS[metric]}
    makers = {made_by[name] for name in needed}
    embedded = there(experiment.all_embeddings(config, config["metrics"]))
    models = experiment.models(config)
    return [
        *every(rules.catalogue),
        *every(rules.tokens, shard=range(config["tokens"]["shards"])),
        *every(rules.train, trained=experiment.trained_models(config)),
        *(path for rule in imports() for path in rule.output),
        *every(rules.reference, kind=experiment.all_reference_kinds(config)),
        *every(rules.unlearn, unlearned=experiment.unlearned_models(config)),
        *(path for rule in makers for path in every(rule, model=models)),
        *expand(EMBEDDINGS, embedding=embedded, model=models),
        *expand(REFERENCE, embedding=embedded),
        *every(rules.measure, metric=config["metrics"]),
        *every(rules.compare_sets, embedding=compared_embeddings()),
        *every(rules.words),
        *every(rules.listening),
    ]


def compared_embeddings():
    """Those whose FAD and KAD are compared between models."""
    measured = "quality" in config["metrics"]
    return there(experiment.family_embeddings(config, "quality")) if measured else []


def listened():
    """The models that the report lets one hear: none where no family of metrics is made from what they play."""
    heard = any("generated" in FAMILY_INPUTS[metric] for metric in config["metrics"])
    return experiment.listened_models(config) if heard else []


def at_the_end_show_stopped(word):
    """On a cluster: which rules need more memory or time, below what Snakemake says last."""
    logs = getattr(workflow.executor_settings, "logdir", None)
    if logs is not None:
        profile = profile_of(sys.argv) or "your profile"
        atexit.register(show_stopped, word, logs, profile, STARTED)


def every(rule, **values):
    """All outputs of a rule for all values of its wildcard."""
    return expand([str(path) for path in rule.output], **values)


def family_code(wildcards):
    return canonical(
        [
            code("measure.py"),
            library_code(f"metrics/{wildcards.metric}"),
        ]
    )


def figure_files():
    """Output of the figures, dict <figure>_<kind> -> path; the svg is in Snakemake's own report."""
    files = {}
    for name in experiment.figures(config):
        path = f"<run>/figures/{name}"
        files[f"{name}_svg"] = report(
            f"{path}.svg",
            caption=f"../report/figures/{name}.rst",
            category="Figures",
            subcategory="Jobs" if name in ("curves", "cost") else "Results",
            labels={"figure": name},
        )
        files |= {f"{name}_{kind}": f"{path}.{kind}" for kind in ("pdf", "json")}
    return files
