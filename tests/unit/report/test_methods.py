"""The methods in words: all that the record holds is in the text, and nothing that was not run is."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from noencore.report.methods import FAMILIES, Record, methods_text

SIZES = {"n_q": 4, "card": 256, "layers": 3, "dim": 160, "heads": 5}


@pytest.fixture(scope="module")
def make(trained, make_run):
    """The Record of a run: dict model -> what differs from the target's losses."""

    def made(models, gold=True, spec=None, costs=None, **options):
        known = {name: nll for name, nll in trained.items() if gold or not name.startswith("gold")}
        run = make_run(known | {name: trained["target-0"] | nll for name, nll in models.items()}, **options)
        catalogue = run.split[["clip_id", "work_id"]].assign(status="ok", reason="", duration=4.0, licence="CC0")
        lost = catalogue[:1].assign(clip_id="x", status="unreadable", licence="secret")
        return Record(
            spec=run.spec | (spec or {}),
            costs={model: cost | (costs or {}).get(model, {}) for model, cost in run.costs.items()},
            model_config=SIZES,
            catalogue=pd.concat([catalogue, lost]),
            split=run.split,
            metrics=run.evidence.metrics,
            comparisons=run.evidence.comparisons,
            packages={"pandas": "3.1", "scipy": "1.17"},
        )

    return made


MODELS = {"ga-0": {"forget": 2.5}, "ga-1": {"forget": 2.5}, "none-0": {}, "npo_kl-0": {"forget": 2.9}}


@pytest.fixture(scope="module")
def record(make):
    """The Record of MODELS."""
    return make(MODELS)


def test_the_text_says_what_the_record_says(record):
    text = methods_text(record)
    for said in (
        "100 clips of 50 works",
        "a clip is 4 s long",
        "at most 2 clips (seed 7)",
        "Left out: 1 unreadable.",
        "Licence as the catalogue gives it: CC0.",
        "one piece stayed together (seed 5)",
        "Forget: artist Ann, 24 clips of 12 works",
        "Holdout: 33 % of the pieces",
        "Remain: artist other than Ann, and source a, 28 clips of 14 works",
        "20 (10) forget",
        "4 codebooks of 256 entries at 50 frames a second of a small EnCodec (sha256 c0decc0decc0)",
        "3 layers, width 160, 5 heads, 1.61 million parameters",
        "sha256 target-0-000",
        "The target (train seed 0) learned forget and remain, 52 clips",
        "1,000 steps of 4 clips",
        "Gold (train seeds 0 and 1) was trained in the same way for as many steps on remain alone, 28 clips",
        "- `none`: the target itself, as a control.",
        "40 steps of 16 forget clips, learning rate up to 3e-05 with a warm-up of 5 %",
        "unlearn seeds 0 and 1",
        "4 steps of 16 forget clips and 16 remain clips",  # two epochs of 24 clips
        "remain loss kl times 2",
        "beta 2.5",
        "4 captions of other clips (seed 0)",
        "0.05 for nll_caption",
        "(at most 4)",
        "noencore 0.1.0 (Python 3.11.9, PyTorch 2.9.0, NumPy 2.4.6)",
        "pandas 3.1 and scipy 1.17",
        "jobs held, on 1 thread of A Processor @ 2 GHz (the process's memory):",
        "- `gold`, 2 models: 112 s each, 860 MB\n",
    ):
        assert said in text, said
    assert "secret" not in text
    assert "nan" not in re.findall(r"\w+", text)
    titles = "Data, Codec and model, Target and gold, Unlearning, Measurements, Statistics, Software and hardware"
    assert re.findall("^## (.*)", text, re.M) == titles.split(", ")


def test_what_was_not_run_is_not_claimed(make, record):
    text = methods_text(record)
    for name, words in FAMILIES.items():
        assert (words in text) == (name == "likelihood")
    absent = "played guidance Fréchet DeLong Clopper distances lora diverged GPU bf16 random_caption Satterthwaite"
    for word in absent.split():
        assert (word in text) == (word == "Satterthwaite"), word
    alone = make({"npo_kl-0": {"forget": 2.9}}, gold=False)
    assert "Satterthwaite" not in methods_text(alone)
    played = methods_text(replace(record, spec=record.spec | {"metrics": ["quality"]}))
    assert "teacher forcing" not in played
    assert "captions of 20 forget and 10 utility test clips" in played
    assert "each eval seed (0 and 3)" in played
    assert "guidance 3, temperature 1 and top-k 64" in played
    assert "greedily" not in played
    both = methods_text(replace(record, spec=record.spec | {"metrics": ["continuation", "quality"]}))
    assert "went on with 8 forget test clips after their first 0 and 1 s, greedily" in both


def test_embeddings_have_their_weights_or_are_named_as_missing(record):
    rows = record.metrics[record.metrics["model"] == "target-0"]
    rows = pd.concat([
        rows[:1].assign(metric="fad_musicnn", weights_sha256="ab" * 32),
        rows[:1].assign(metric="fad_vggish", weights_sha256="", status="no weights: weights/vggish/x"),
    ])  # fmt: skip
    text = methods_text(replace(record, spec=record.spec | {"metrics": ["quality"]}, metrics=rows))
    assert "Distances are of embeddings of musicnn (sha256 abababababab)." in text
    assert "as their weights were missing: vggish." in text
    assert "compared by tagtext" not in text
    rows = pd.concat([rows, rows[:1].assign(metric="text_audio_tagtext"), rows[:1].assign(metric="copy_rate")])
    text = methods_text(replace(record, metrics=rows))
    assert "Music and captions were compared by tagtext." in text
    assert "let 5 % of holdout clips pass; its windows are those of codec" in text


def test_the_released_track_claims_no_training_and_no_gold(make):
    spec = {"model": {"init": "facebook/musicgen-small"}, "target": {"train_seeds": []}}
    text = methods_text(make({"ga-0": {"forget": 2.5}}, gold=False, spec=spec, costs={"target-0": {"steps": 0}}))
    assert "The target is facebook/musicgen-small itself: nothing was trained, and there is no gold" in text
    assert "betas 0.9 and 0.95" not in text
    assert "the package's T5" in text
    assert "started from the released weights of facebook/musicgen-small" in text
    assert "compared with target on" in text
    assert "- `target`" not in text


def test_how_a_job_ended_and_where_it_ran(make):
    gpu = {"device": "cuda", "device_name": "A GPU 80GB", "status": "stopped", "steps": 30, "picked_step": 24}
    record = make(MODELS, diverged={"npo_kl-0": 12}, costs={"ga-1": gpu})
    text = methods_text(record)
    assert "; ga-1 stopped at step 30, and kept the weights of step 24." in text
    assert "; npo_kl-0 diverged at step 12" in text
    assert "- `npo_kl`, 1 model: 112 s, 860 MB, on 1 thread of A Processor @ 2 GHz (the process's memory)" in text
    assert "on A GPU 80GB (the GPU's memory)" in text
    assert "in bf16" in text


def test_sources_of_several_parts_and_versions_of_several_machines(record):
    parts = {"parts": {"cc": {"source": "musiccaps"}, "mine": {"source": "folder", "path": "/home/ann/music"}}}
    costs = record.costs | {"ga-0": record.costs["ga-0"] | {"torch": "2.8.0"}}
    spec = record.spec | {"catalogue": {"source": "several", **parts}}
    text = methods_text(replace(record, spec=spec, costs=costs))
    assert "from MusicCaps and a folder of audio files" in text
    assert "/home/ann" not in text
    assert "PyTorch 2.8.0, NumPy 2.4.6) and noencore 0.1.0" in text
