"""Copying: thresholds with the false positive rate that they promise, and copies that are found."""

import json

import numpy as np
import pandas as pd
import pytest
from music import ALTERED, tune
from scipy.stats import beta

from noencore.errors import UserError
from noencore.metrics.copying import (
    conformal_threshold,
    least_clips,
    mcnemar,
    measure_copying,
    window_similarity,
)

D, HASHES = 16, 40
FORGET, HOLDOUT = [f"forget-{i:03}" for i in range(60)], [f"holdout-{i:03}" for i in range(50)]
SHA = {"musicnn": "m", "landmarks": "l"}


def windows_file(clip_ids, eval_seeds, seed, weights="w"):
    """Two random windows a clip."""
    n = len(clip_ids)
    tensors = {
        "embeddings": np.random.default_rng(seed).standard_normal((2 * n, D)).astype(np.float32) + 5,
        "clip": np.repeat(np.arange(n), 2),
        "padded": np.zeros(2 * n, np.float32),
    }
    return tensors, about(clip_ids, eval_seeds) | {"model": "musicnn", "weights_sha256": weights}


def landmarks_file(clip_ids, eval_seeds, seed):
    """40 random landmarks a clip."""
    n, rng = len(clip_ids), np.random.default_rng(seed)
    tensors = {
        "hash": rng.integers(0, 2**40, HASHES * n),
        "time": np.tile(np.arange(HASHES, dtype=np.int32), n),
        "clip": np.repeat(np.arange(n), HASHES),
    }
    return tensors, about(clip_ids, eval_seeds) | {"model": "landmarks", "fingerprint_version": "1"}


def about(clip_ids, eval_seeds):
    lists = {"clip_ids": list(clip_ids), "eval_seeds": list(eval_seeds), "status": ["ok"] * len(clip_ids)}
    return {key: json.dumps(values) for key, values in lists.items()}


def put(made, at, source, source_at, rows):
    """Put `rows` windows or landmarks of a clip of `source` in the place of a clip of `made`."""
    for name in {"embeddings", "hash"} & set(made[0]):
        made[0][name][at * rows : (at + 1) * rows] = source[0][name][source_at * rows : (source_at + 1) * rows]


@pytest.fixture
def inputs():
    """50 prompts under two eval seeds, each playing a holdout clip, note for note: by the rule none can be a hit."""
    clips = pd.DataFrame({"clip_id": FORGET + HOLDOUT, "set": ["forget"] * 60 + ["holdout"] * 50, "part": "test"})
    ids, seeds = FORGET[:50] * 2, [0] * 50 + [1] * 50
    originals = FORGET + HOLDOUT
    reference = {
        "musicnn": windows_file(originals, [-1] * 110, 0),
        "landmarks": landmarks_file(originals, [-1] * 110, 0),
    }
    made = {"musicnn": windows_file(ids, seeds, 1), "landmarks": landmarks_file(ids, seeds, 1)}
    for at in range(100):
        put(made["musicnn"], at, reference["musicnn"], 60 + at % 50, 2)
        put(made["landmarks"], at, reference["landmarks"], 60 + at % 50, HASHES)
    return {
        "split": clips.assign(work_id=clips["clip_id"]),
        "generated": pd.DataFrame({"clip_id": ids, "set": "forget", "kind": "prompt", "eval_seed": seeds}),
        "embeddings": made,
        "reference": reference,
        "reference_sha256": SHA,
        "alpha": 0.05,
    }


def test_no_copy_in_50_is_no_proof(inputs, pick):
    """No hit in 50 clips leaves room for 7.11 %: the rows say so."""
    rows = measure_copying(**inputs).rows
    for metric in ("copy_rate", "copy_window_rate", "copy_landmark_rate"):
        row = pick(rows, "forget", metric)
        assert (row["value"], row["ci_low"], row["n"], row["ci_method"]) == (0, 0, 50, "clopper-pearson")
        assert row["ci_high"] == pytest.approx(0.0711, abs=5e-5)
    threshold = pick(rows, "holdout", "copy_window_threshold")
    assert (threshold["n"], threshold["n_works"], threshold["status"], threshold["d"]) == (50, 50, "ok", D)
    assert (threshold["weights_sha256"], threshold["reference_sha256"]) == ("w", "m")
    assert pick(rows, "forget", "copy_landmark_score")["reference_sha256"] == "l"


def test_a_copy_counts_once_for_its_clip_under_any_seed_and_by_either_search(inputs, pick):
    made, reference = inputs["embeddings"], inputs["reference"]
    for at, source in ((0, 59), (50, 3), (1, 7)):  # clip 0 under both seeds, clip 1 under the first
        put(made["musicnn"], at, reference["musicnn"], source, 2)
    for at in (1, 52, 3):  # clips 1 and 3 under the first seed, clip 2 under the second
        put(made["landmarks"], at, reference["landmarks"], 11, HASHES)
    measured = measure_copying(**inputs)
    assert pick(measured.rows, "forget", "copy_window_rate")["value"] == 2 / 50
    assert pick(measured.rows, "forget", "copy_landmark_rate")["value"] == 3 / 50
    assert pick(measured.rows, "forget", "copy_rate")["value"] == 4 / 50
    hits = measured.values[(measured.values["metric"] == "copy_rate") & (measured.values["value"] == 1)]
    found = sorted(zip(hits["clip_id"], hits["eval_seed"], strict=True))
    assert found == [(FORGET[0], 0), (FORGET[0], 1), (FORGET[1], 0), (FORGET[2], 1), (FORGET[3], 0)]
    scores = measured.values[measured.values["metric"] == "copy_window_similarity"].set_index(["clip_id", "eval_seed"])
    assert scores.loc[(FORGET[1], 0), "value"] == pytest.approx(1)
    assert len(measured.values) == 5 * 100


def test_what_holdout_prompts_play_has_no_part_in_thresholds_and_the_rates_of_others(inputs, pick):
    before = measure_copying(**inputs).rows
    for name, make in (("musicnn", windows_file), ("landmarks", landmarks_file)):
        tensors, metadata = inputs["embeddings"][name]
        more = make(HOLDOUT[:4], [0] * 4, 2)
        for at in range(4):
            put(more, at, inputs["reference"][name], 59, 2 if name == "musicnn" else HASHES)
        more[0]["clip"] += len(json.loads(metadata["clip_ids"]))
        lists = {key: json.dumps(json.loads(metadata[key]) + json.loads(more[1][key])) for key in about([], [])}
        joined = {key: np.concatenate([tensors[key], more[0][key]]) for key in tensors}
        inputs["embeddings"][name] = (joined, metadata | lists)
    prompts = pd.DataFrame({"clip_id": HOLDOUT[:4], "set": "holdout", "kind": "prompt", "eval_seed": 0})
    inputs["generated"] = pd.concat([inputs["generated"], prompts], ignore_index=True)
    after = measure_copying(**inputs).rows
    assert not after.duplicated(["set", "metric"]).any()
    both = before.merge(after, on=["set", "metric"])
    for column in ("value", "ci_low", "ci_high", "n", "status"):
        assert both[f"{column}_x"].equals(both[f"{column}_y"]), column
    assert len(both) == len(before)
    row = pick(after, "holdout", "copy_rate")
    assert (row["value"], row["n"]) == (1, 4)
    assert pick(after, "holdout", "copy_window_similarity")["status"] == "too few clips: 4 < 5"


def test_too_few_holdout_clips_give_no_rate(inputs, pick):
    measured = measure_copying(**inputs | {"alpha": 0.03})  # 0.015 a search needs 66
    for set_name, metric in (("holdout", "copy_window_threshold"), ("forget", "copy_rate")):
        row = pick(measured.rows, set_name, metric)
        assert np.isnan(row["value"])
        assert row["status"] == "too few holdout clips: 50 < 66"
    assert set(measured.values["metric"]) == {"copy_window_similarity", "copy_landmark_score"}
    assert pick(measured.rows, "forget", "copy_landmark_score")["status"] == "ok"


def test_clips_that_cannot_be_searched(inputs, pick):
    """A holdout clip is left out; a prompt's audio is not, since that would flatter the model."""
    for files, at in ((inputs["reference"], 109), (inputs["embeddings"], 4)):
        files["musicnn"][0]["padded"][2 * at : 2 * at + 2] = 0.6
        status = json.loads(files["landmarks"][1]["status"])
        files["landmarks"][1]["status"] = json.dumps([*status[:at], "unreadable", *status[at + 1 :]])
    rows = measure_copying(**inputs).rows
    for search in ("window", "landmark"):
        assert pick(rows, "holdout", f"copy_{search}_threshold")["n"] == 49
        assert pick(rows, "forget", f"copy_{search}_rate")["status"] == "not finite"


def test_inputs_that_do_not_belong_together_are_refused(inputs):
    with pytest.raises(UserError, match="not of the prompts"):
        measure_copying(**inputs | {"generated": inputs["generated"].assign(eval_seed=0)})
    extra = pd.DataFrame({"clip_id": ["forget-999"], "set": "forget", "work_id": "x"})
    with pytest.raises(UserError, match=r"1 forget or holdout clips are not in it \(first: forget-999\)"):
        measure_copying(**inputs | {"split": pd.concat([inputs["split"], extra])})
    inputs["embeddings"]["musicnn"][1]["weights_sha256"] = "other"
    with pytest.raises(UserError, match="weights_sha256 is other of the generated audio, w of the reference"):
        measure_copying(**inputs)


@pytest.mark.parametrize(("alpha", "least"), [(0.05, 19), (0.025, 39), (0.01, 99), (0.001, 999), (0.3, 3), (0.5, 1)])
def test_the_threshold_is_an_order_statistic(alpha, least):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 2001))
    assert least_clips(alpha) == least
    assert conformal_threshold(np.arange(float(least)), alpha) == least - 1  # the largest of the fewest
    assert np.isnan(conformal_threshold(np.arange(float(least - 1)), alpha))
    assert conformal_threshold(scores, alpha) == np.ceil(2001 * (1 - alpha))


def test_equal_scores_are_no_hits():
    assert conformal_threshold([0.0] * 19 + [1.0], 0.1) == 0
    assert conformal_threshold([1.0] * 19, 0.05) == 1
    assert not (np.ones(5) > conformal_threshold(np.ones(40), 0.05)).any()


@pytest.mark.parametrize(("null", "alpha"), [([0.1] * 50, 0), ([0.1] * 50, 1), ([np.nan] * 50, 0.1)])
def test_a_threshold_of_nothing_is_refused(null, alpha):
    with pytest.raises(ValueError, match="conformal threshold"):
        conformal_threshold(null, alpha)


def test_false_positives_are_as_many_as_promised():
    """The realised rate of a threshold from 63 clips, over 60 forget sets, is Beta(n0 + 1 - k, k) as it should be."""
    n0, alpha, fresh, repetitions = 63, 0.05, 1000, 60
    k = int(np.ceil((n0 + 1) * (1 - alpha)))
    rates = []
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        windows, forget = rng.standard_normal((2 * (n0 + fresh), D)), rng.standard_normal((200, D))
        scores = window_similarity(windows, np.repeat(np.arange(n0 + fresh), 2), n0 + fresh, forget)
        rates.append((scores[n0:] > conformal_threshold(scores[:n0], alpha)).mean())
    expected = beta(n0 + 1 - k, k)
    assert np.mean(rates) == pytest.approx(expected.mean(), abs=3 * expected.std() / np.sqrt(repetitions))
    inside = (rates > expected.ppf(0.025) - 0.01) & (rates < expected.ppf(0.975) + 0.01)  # 0.01: 1000 fresh clips
    assert inside.mean() >= 0.9


def test_window_similarity_by_hand():
    """Around the mean of the forget windows, (5, 5), directions count and lengths do not."""
    forget = np.array([[4.0, 5.0], [6.0, 5.0], [5.0, 4.0], [5.0, 6.0]])
    windows = np.array([[7.0, 5.0], [6.0, 6.0], [5.0, 5.0], [5.0, 5.0], [8.0, 5.1]])
    found = window_similarity(windows, np.array([0, 1, 2, 4, 4]), 5, forget)
    np.testing.assert_allclose(found, [1, np.sqrt(0.5), 0, np.nan, 3 / np.hypot(3, 0.1)], rtol=1e-6)


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    windows, clip, forget = rng.standard_normal((90, D)), rng.integers(0, 30, 90), rng.standard_normal((50, D))
    whole = window_similarity(windows, clip, 31, forget)
    monkeypatch.setattr("noencore.metrics.copying.BLOCK", 7 * 50)
    np.testing.assert_allclose(window_similarity(windows, clip, 31, forget), whole, rtol=1e-6)
    assert np.isnan(whole[30])


def spectra(wave):
    """A toy embedding: the shape of the spectrum of windows of 1 s, every 0.5 s, levels in dB about their mean."""
    starts = range(0, len(wave) - 16000 + 1, 8000)
    spectrum = np.array([np.abs(np.fft.rfft(wave[start : start + 16000])) for start in starts])
    levels = 20 * np.log10(np.add.reduceat(spectrum, np.unique(np.geomspace(100, 4000, 49).astype(int)), axis=1) + 1)
    return levels - levels.mean(axis=1, keepdims=True)


def spectral_windows(waves):
    found = [spectra(wave) for wave in waves]
    return np.concatenate(found), np.repeat(np.arange(len(found)), [len(of_clip) for of_clip in found]), len(found)


@pytest.mark.parametrize("change", sorted(set(ALTERED) - {"noise at 5 dB", "noise at 20 dB"}))
def test_windows_find_an_altered_copy(change):
    """12 altered forget tunes are found with the threshold of 19 tunes that nobody has learned.

    Noise is not among the changes: this embedding, like others, does not survive it, and the landmarks do.
    """
    forget, holdout = [tune(seed) for seed in range(12)], [tune(seed) for seed in range(100, 119)]
    altered = [ALTERED[change](wave, tune(200 + i)) for i, wave in enumerate(forget)]
    of_forget = spectral_windows(forget)[0]
    threshold = conformal_threshold(window_similarity(*spectral_windows(holdout), of_forget), 0.05)
    assert (window_similarity(*spectral_windows(altered), of_forget) > threshold).mean() == 1


@pytest.mark.parametrize(("lost", "gained", "p"), [(8, 1, 20 / 512), (5, 0, 1 / 16), (4, 4, 1.0), (0, 0, 1.0)])
def test_mcnemar_by_hand(lost, gained, p):
    before = np.array([1] * lost + [0] * gained + [1, 0, 0])
    after = np.array([0] * lost + [1] * gained + [1, 0, 0])
    assert mcnemar(before, after) == (lost, gained, pytest.approx(p))


def test_mcnemar_refuses_other_than_pairs_of_hits():
    for before, after in (([0, 1], [0]), ([0.5, 1], [0, 1]), ([np.nan, 1], [0, 1])):
        with pytest.raises(ValueError, match="two arrays"):
            mcnemar(before, after)
