"""A run with known losses: its tables are made by the library's own comparison, from values of single clips."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from noencore.comparison.findings import findings_table, memorisation_table
from noencore.comparison.paired import judged, paired_rows
from noencore.comparison.tables import metrics_table
from noencore.metrics.rows import mean_rows, metric_frame
from noencore.report.judgements import RunTables

TEST_CLIPS, CLIPS_PER_WORK = 20, 2
RECIPES = {
    "none": {"forget": "none"},
    "ga": {"forget": "gradient_ascent", "lr": 3e-5, "steps": 40, "batch": 16},
    "npo_kl": {"forget": {"name": "npo", "beta": 2.5}, "remain": "kl", "alpha": 2.0, "lr": 1e-4, "epochs": 2},
}


def make_split(works):
    """20 test and 4 dev clips of each set, two a work or all of so few `works`, and 4 remain clips to rehearse."""
    rows = []
    for name in ("forget", "remain", "holdout", "utility"):
        parts = ["test"] * TEST_CLIPS + ["dev"] * 4 + (["train"] * 4 if name == "remain" else [])
        rows += [
            {"clip_id": f"{name}-{i}", "work_id": f"{name}-w{i // CLIPS_PER_WORK % works}", "set": name, "part": part}
            for i, part in enumerate(parts)
        ]
    return pd.DataFrame(rows)


def clip_values(split, nll, noise, seed, metric="nll_caption"):
    """Values of one model: clips of a set are spread over 1 nat around its mean `nll[set]`, with noise a clip."""
    tested = split[split["part"] == "test"]
    spread = np.tile(np.linspace(-0.5, 0.5, TEST_CLIPS), len(tested) // TEST_CLIPS)
    value = tested["set"].map(nll).to_numpy() + spread + np.random.default_rng(seed).normal(0, noise, len(tested))
    known = tested[["set", "clip_id"]].reset_index(drop=True)
    return known.assign(eval_seed=-1, metric=metric, value=value)


@dataclass(frozen=True)
class Run:
    """What the report reads of a run: `spec` of `experiment.words_spec`, the tables as `evidence`, costs by model."""

    spec: dict
    split: pd.DataFrame
    evidence: RunTables
    costs: dict


def build_run(losses, margins=None, diverged=None, noise=0.01, metric="nll_caption", recipes=None, works=99):
    """A Run. losses: dict model -> dict set -> mean NLL; target and gold as given; diverged: dict model -> step."""
    split, diverged = make_split(works), diverged or {}
    works = split.set_index("clip_id")["work_id"]
    values = {
        model: clip_values(split, nll, noise, 0 if model in ("target-0", "none-0") else number, metric)
        for number, (model, nll) in enumerate(losses.items(), start=1)
    }
    tidy = pd.concat([frame.assign(model=model) for model, frame in values.items()], ignore_index=True)
    rows, _ = paired_rows(tidy, works, list(losses), "target-0", diverged=diverged)
    frames = {model: metric_frame(mean_rows(frame, works, 0, weights_sha256="", reference_sha256=""))
              for model, frame in values.items()}  # fmt: skip
    evidence = RunTables(
        metrics=metrics_table(frames, diverged),
        comparisons=judged(rows, {"nll_caption": 0.05} if margins is None else margins),
        memorisation=memorisation_table(tidy, works, diverged=diverged),
        findings=findings_table(tidy, works, diverged=diverged),
        diverged=diverged,
    )
    names = {model.rpartition("-")[0] for model in losses} - {"target", "gold"}
    return Run(make_spec(list(losses), {name: (recipes or RECIPES)[name] for name in sorted(names)}), split, evidence,
               {model: make_cost(model, diverged) for model in losses})  # fmt: skip


def make_spec(models, recipes):
    training = {"scope": "all", "steps": 1000, "batch": 4, "lr": 1.5e-3, "warmup": 0.05, "weight_decay": 0.01}
    return {
        "experiment": "demo",
        "catalogue": {"source": "tunes", "clips_per_work": 2, "clip_seconds": 4.0, "seed": 7},
        "split": {
            "forget": {"artist": "Ann"}, "remain": {"artist": {"not": "Ann"}, "source": "a"},
            "utility": {"source": "b"}, "holdout": 0.33, "dev": 0.25, "rehearse": 0.33, "seed": 5,
        },
        "model": {"init": "scratch", "dim": 160, "layers": 3, "heads": 5},
        "training": {**training, "p_uncond": 0.1, "checkpoint_activations": False},
        "target": {"train_seeds": [0]},
        "target_model": "target-0",
        "models": models,
        "recipes": recipes,
        "score": {"wrong_captions": 4, "seed": 0},
        "generate": {
            "prompts": {"forget": 20, "utility": 10}, "continuations": {"forget": 8}, "prompt_seconds": [0, 1],
            "eval_seeds": [0, 3], "cfg": 3.0, "temperature": 1.0, "top_k": 64, "batch": 32,
        },
        "embeddings": ["musicnn", "vggish"],
        "text_audio": "tagtext",
        "copying": {"embedding": "codec", "false_positive_rate": 0.05},
        "comparison": {"margins": {"nll_caption": 0.05}},
        "metrics": ["likelihood"],
        "codec": "c0dec" * 12,
    }  # fmt: skip


def make_cost(model, diverged):
    """The content of cost.json."""
    trained = model.startswith(("target", "gold"))
    steps = 1000 if trained else 0 if model.startswith("none") else diverged.get(model, 40)
    cost = {
        "model": model, "parameters": 1_610_000, "weights_sha256": f"{model}-" + "0" * 64, "seconds": 112.4,
        "steps": steps, "tokens": 3_178_400, "peak_memory_mb": 859.6, "device": "cpu",
        "device_name": "A Processor @ 2 GHz", "threads": 1, "version": "0.1.0", "python": "3.11.9", "numpy": "2.4.6",
        "torch": "2.9.0",
    }  # fmt: skip
    if trained:
        return cost
    return cost | {"status": "diverged" if model in diverged else "ok", "picked_step": steps}


TARGET = {"forget": 2.0, "remain": 2.0, "holdout": 3.0, "utility": 3.0}
GOLD = TARGET | {"forget": 3.0}


@pytest.fixture(scope="session")
def make_run():
    """`build_run`."""
    return build_run


@pytest.fixture(scope="session")
def trained():
    """Target and two golds: gold knows forget as little as holdout."""
    return {"target-0": TARGET, "gold-0": GOLD, "gold-1": GOLD}
