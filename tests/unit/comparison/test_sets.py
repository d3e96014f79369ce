"""Differences of FAD and KAD: paired by play, with works drawn alike for all models."""

import json

import numpy as np
import pandas as pd
import pytest

from noencore.comparison.paired import judged
from noencore.comparison.sets import distance_differences
from noencore.metrics import frechet_distance

D, PLAYED, ORIGINAL = 4, 24, 60
SPLIT = pd.DataFrame(
    [
        {"clip_id": f"{name}-{i}", "work_id": f"{name}-{i // 2}", "set": name, "part": "test"}
        for name in ("forget", "remain")
        for i in range(ORIGINAL)
    ]
)
MODELS = {"target-0": 0.0, "gold-0": 0.0, "gold-1": 0.0, "ga-0": 2.0, "none-0": 0.0}


def stored(clips, seed, shift=0.0, eval_seeds=(0,), windows=2):
    """A file of embeddings: plays around the place of their clip, `shift` away, two windows each."""
    rng = np.random.default_rng(seed)
    places = {clip: np.random.default_rng(int(clip.split("-")[1])).normal(size=D) for clip in clips}
    plays = [(clip, eval_seed) for clip in clips for eval_seed in eval_seeds]
    rows = [places[clip] + shift + rng.normal(0, 0.3, (windows, D)) for clip, _ in plays]
    tensors = {
        "embeddings": np.concatenate(rows).astype(np.float32),
        "clip": np.repeat(np.arange(len(plays)), windows),
        "padded": np.zeros(len(plays) * windows, np.float32),
    }
    names = {
        "clip_ids": [clip for clip, _ in plays],
        "eval_seeds": [s for _, s in plays],
        "status": ["ok"] * len(plays),
    }
    return tensors, {key: json.dumps(value) for key, value in names.items()}


REFERENCE = stored(SPLIT["clip_id"], 99, eval_seeds=(-1,))
FORGET = [f"forget-{i}" for i in range(PLAYED)]


def generated(models=MODELS, **known):
    return {model: stored(FORGET, number, shift, **known) for number, (model, shift) in enumerate(models.items())}


def compared(made, **known):
    rows, left_out = distance_differences("musicnn", REFERENCE, made, SPLIT, "target-0", **known)
    return judged(rows, {"fad_musicnn": 0.5}), left_out


def one(table, recipe, reference, metric="fad_musicnn"):
    rows = table[(table["recipe"] == recipe) & (table["reference"] == reference) & (table["metric"] == metric)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_a_difference_is_that_of_the_distances():
    made = generated()
    table, left_out = compared(made)
    real = REFERENCE[0]["embeddings"][: 2 * ORIGINAL]
    fad = {model: frechet_distance(real, tensors["embeddings"]) for model, (tensors, _) in made.items()}
    row = one(table, "ga", "target")
    assert row["value"] == pytest.approx(fad["ga-0"] - fad["target-0"])
    assert row["reference_mean"] == pytest.approx(fad["target-0"])
    assert one(table, "ga", "gold")["value"] == pytest.approx(fad["ga-0"] - (fad["gold-0"] + fad["gold-1"]) / 2)
    assert row[["set", "n", "n_works", "n_eval_seeds", "n_incomplete"]].tolist() == ["forget", 24, 12, 1, 0]
    assert set(table["set"]) == {"forget"}  # nothing was played of remain
    assert left_out.empty


def test_what_has_moved_away_differs_and_what_has_not_does_not():
    table, _ = compared(generated())
    for metric in ("fad_musicnn", "kad_musicnn"):
        assert one(table, "ga", "target", metric)["verdict"] == "changed"
        assert one(table, "ga", "gold", metric)["verdict"] == "differs"
        assert one(table, "none", "gold", metric)["verdict"] in ("undecided", "as gold")
    assert one(table, "none", "target")["verdict"] == "unchanged"  # within the margin
    assert one(table, "none", "target", "kad_musicnn")["verdict"] == "undecided"  # has no margin


def test_a_model_does_not_differ_from_itself():
    made = generated({"target-0": 0.0, "gold-0": 0.0})
    table, _ = compared(made | {"none-0": made["gold-0"]})
    for metric in ("fad_musicnn", "kad_musicnn"):
        row = one(table, "none", "gold", metric)
        assert (row["value"], row["ci_low"], row["ci_high"], row["p"]) == (0, 0, 0, 1)


def test_the_interval_of_two_like_models_holds_zero():
    """Two models that play alike, whose distances are both biased upwards: the bias cancels."""
    held = 0
    for trial in range(60):
        made = {model: stored(FORGET, 2 * trial + i) for i, model in enumerate(("target-0", "ga-0"))}
        row = one(compared(made, seed=trial)[0], "ga", "target")
        held += row["ci_low"] <= 0 <= row["ci_high"]
    assert held >= 54


def test_a_play_without_windows_is_left_out_of_all_models_and_named():
    made = generated(eval_seeds=(0, 1))
    tensors, metadata = made["none-0"]
    silent = tensors["clip"] == 3  # forget-1 under seed 1
    made["none-0"] = ({name: tensor[~silent] for name, tensor in tensors.items()}, metadata)
    table, left_out = compared(made)
    assert left_out.to_dict("records") == [
        {"set": "forget", "clip_id": "forget-1", "eval_seed": 1, "missing": "none-0"}
    ]
    assert (table["n_incomplete"] == 1).all()
    assert (table["n"] == 24).all()
    without = {
        model: ({name: tensor[stored["clip"] != 3] for name, tensor in stored.items()}, metadata)
        for model, (stored, metadata) in generated(eval_seeds=(0, 1)).items()
    }
    assert one(table, "ga", "target")["value"] == one(compared(without)[0], "ga", "target")["value"]


def test_a_set_whose_windows_are_all_padding_has_a_status_too():
    made = generated()
    for tensors, _ in made.values():
        tensors["padded"][:] = 0.7
    table, left_out = compared(made)
    assert len(left_out) == PLAYED
    row = one(table, "ga", "target")
    assert (row["n"], row["n_incomplete"], row["verdict"]) == (0, PLAYED, "not tested")
    assert row["status"].startswith("too few: 0 clips of 0 works")


def test_diverged_models_and_small_sets_have_a_status():
    made = generated()
    made["ga-0"][0]["embeddings"][:] = np.nan
    table, _ = compared(made, diverged={"ga-0": 3})
    assert (one(table, "ga", "gold")["status"], one(table, "ga", "gold")["verdict"]) == ("diverged: ga-0", "not tested")
    assert one(table, "none", "gold")["status"] == "ok"
    few = {model: stored(FORGET[:8], 0) for model in MODELS}
    row = one(compared(few)[0], "none", "target")
    assert row["status"] == "too few: 8 clips of 4 works beside 60 of 30, at least 10 of 5"
    assert np.isnan(row["value"])
