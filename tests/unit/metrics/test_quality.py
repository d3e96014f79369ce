"""Quality: distances by clips, their floor and their intervals, and the rates of failure."""

import json

import numpy as np
import pandas as pd
import pytest

from noencore.errors import UserError
from noencore.metrics import frechet_distance
from noencore.metrics.quality import Windows, distance_rows, quality_rows, windows_of

D = 8


def embeddings(clip_ids, seed, shift=0.0, model="musicnn"):
    """Two windows a clip, alike to each other."""
    rng = np.random.default_rng(seed)
    n = len(clip_ids)
    windows = np.repeat(rng.standard_normal((n, D)), 2, axis=0) + 0.5 * rng.standard_normal((2 * n, D)) + shift
    tensors = {"embeddings": windows.astype(np.float32), "clip": np.repeat(np.arange(n), 2)}
    return tensors, {"clip_ids": json.dumps(list(clip_ids)), "model": model, "weights_sha256": "w"}


def prompts(clip_ids, set_name="forget", **columns):
    defaults = {"kind": "prompt", "eval_seed": 0, "silent": False, "token_entropy": 3.0, "repeated": 0.1}
    return pd.DataFrame({"clip_id": clip_ids, "set": set_name} | defaults | columns)


def split_of(clip_ids, set_name="forget"):
    return pd.DataFrame({"clip_id": clip_ids, "set": set_name, "part": "test"})


IDS = [f"c{i:03}" for i in range(60)]


def test_quality_rows(pick):
    generated = prompts(
        IDS[:20], silent=[True] + 19 * [False], repeated=[0.9] + 19 * [0.1], token_entropy=[2, 0.1] + 18 * [3]
    )
    reference = embeddings(IDS, 0)
    made = embeddings(IDS[:20], 1, shift=0.5)
    frame = quality_rows(generated, made, reference, split_of(IDS), reference_sha256="r")
    fad = pick(frame, "forget", "fad")
    assert fad["value"] == frechet_distance(reference[0]["embeddings"], made[0]["embeddings"])
    assert fad["ci_low"] < fad["value"] < fad["ci_high"]
    assert (fad["n"], fad["ci_method"], fad["weights_sha256"], fad["reference_sha256"]) == (
        20,
        "jackknife-t",
        "w",
        "r",
    )
    floor, corrected = pick(frame, "forget", "fad_floor"), pick(frame, "forget", "fad_corrected")
    assert 0 < floor["value"] < fad["value"]
    assert 0 < corrected["value"] < fad["value"]
    kad = pick(frame, "forget", "kad")
    assert kad["ci_low"] < kad["value"] < kad["ci_high"]
    assert pick(frame, "forget", "silence_rate")["value"] == 0.05
    assert pick(frame, "forget", "collapse_rate")["value"] == 0.1
    pd.testing.assert_frame_equal(frame, quality_rows(generated, made, reference, split_of(IDS), reference_sha256="r"))


def test_too_few_clips(pick):
    frame = quality_rows(prompts(IDS[:8]), embeddings(IDS[:8], 1), embeddings(IDS, 0), split_of(IDS))
    assert set(frame.loc[frame["metric"].str.contains("fad|kad"), "status"]) == {"too few clips: 8 < 10"}
    assert pick(frame, "forget", "silence_rate")["status"] == "ok"
    frame = quality_rows(prompts(IDS[:15]), embeddings(IDS[:15], 1), embeddings(IDS[:15], 0), split_of(IDS))
    assert pick(frame, "forget", "fad")["status"] == "ok"
    assert pick(frame, "forget", "fad_corrected")["status"] == "too few clips: 7 < 10"


def test_eval_seeds_of_a_prompt_are_one_clip():
    generated, made = prompts(IDS[:12] * 2), embeddings(IDS[:12] * 2, 1)
    assert windows_of(made, IDS).n == 12
    assert len(windows_of(made, IDS[:3]).embeddings) == 3 * 2 * 2
    frame = quality_rows(generated, made, embeddings(IDS, 0), split_of(IDS))
    assert set(frame["n"]) == {12}


def test_embeddings_that_do_not_belong_are_refused():
    reference, split = embeddings(IDS, 0), split_of(IDS)
    with pytest.raises(UserError, match="not those of the prompts"):
        quality_rows(prompts(IDS[:12]), embeddings(IDS[1:13], 1), reference, split)
    with pytest.raises(UserError, match="model is other"):
        quality_rows(prompts(IDS[:12]), embeddings(IDS[:12], 1, model="other"), reference, split)


def simulate(shift, repetitions=40):
    """Rows of fad_corrected and kad for 24 generated and 48 real clips of 2 windows."""
    rows = []
    for seed in range(repetitions):
        real, made = embeddings(IDS[:48], 2 * seed)[0], embeddings(IDS[:24], 2 * seed + 1, shift)[0]
        reference = Windows(real["embeddings"], real["clip"], 48)
        generated = Windows(made["embeddings"], made["clip"], 24)
        rows.append({row["metric"]: row for row in distance_rows("forget", reference, generated, ("", ""), seed)})
    return {metric: pd.DataFrame([row[metric] for row in rows]) for metric in ("fad", "fad_corrected", "kad")}


def test_corrected_fad_is_unbiased_and_its_interval_holds_the_truth():
    null, shifted = simulate(0.0), simulate(0.4)
    for metric in ("fad_corrected", "kad"):
        values = null[metric]["value"]
        assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
        assert ((null[metric]["ci_low"] <= 0) & (null[metric]["ci_high"] >= 0)).mean() >= 0.9
    assert null["fad"]["value"].min() > 0.5  # the plug-in estimate of a distance of zero
    truth, corrected = 0.4**2 * D, shifted["fad_corrected"]
    assert corrected["value"].mean() == pytest.approx(truth, rel=0.15)
    assert ((corrected["ci_low"] <= truth) & (corrected["ci_high"] >= truth)).mean() >= 0.9
