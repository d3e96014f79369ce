"""Text and audio: scores by hand, the mismatched, the gate, and the rows of the family."""

import json

import numpy as np
import pandas as pd
import pytest

from noencore.errors import UserError
from noencore.metrics.text_audio import (
    clip_vector,
    measure_text_audio,
    standardised,
    text_audio_scores,
    unit,
)


def test_scores_by_hand():
    """Three clips in the plane; the third fits the caption of the first as well as its own."""
    audio = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    text = np.array([[5.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    scores = text_audio_scores(audio, text)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(scores.matched, [1, half, half])
    np.testing.assert_allclose(scores.mismatched, [half / 2, 0.5, (half + 1) / 2])
    np.testing.assert_allclose(scores.auc, [1, 0.5, 0.25])
    np.testing.assert_allclose(scores.rank, [1, 2, 2.5])


def test_captions_of_the_same_work_or_with_the_same_words_are_no_mismatch():
    rng = np.random.default_rng(0)
    audio, text = rng.standard_normal((2, 4, 5))
    text[3] = text[0]
    by_work = text_audio_scores(audio, text, works=["a", "a", "b", "c"])
    cosines = unit(audio) @ unit(text).T
    assert by_work.mismatched[0] == pytest.approx(cosines[0, 2])
    assert by_work.mismatched[3] == pytest.approx(cosines[3, 1:3].mean())
    alone = text_audio_scores(audio, text, works=["a"] * 4)
    assert np.isnan([alone.mismatched, alone.auc, alone.rank]).all()
    assert np.isfinite(alone.matched).all()


def test_a_clip_is_the_mean_direction_of_its_windows():
    loud = np.array([[100.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(clip_vector(loud), [np.sqrt(0.5)] * 2)
    np.testing.assert_allclose(clip_vector(np.repeat(loud[:1], 3, axis=0)), [1, 0])


def test_standardised():
    reference = np.array([[0.0, 7.0], [2.0, 7.0]])
    np.testing.assert_allclose(standardised([[3.0, 8.0]], reference), [[2, 0]])


IDS = [f"c{i:02}" for i in range(30)]
SPLIT = pd.DataFrame({"clip_id": IDS, "work_id": [f"w{i // 2}" for i in range(30)], "set": "forget", "part": "test"})
PLAYED = pd.DataFrame({"clip_id": IDS[:12], "set": "forget", "kind": "prompt", "eval_seed": 0})
TEXT = np.random.default_rng(0).standard_normal((30, 6)).astype(np.float32)


def stored(clip_ids, vectors, seed):
    """Two windows a clip, the second of them twice as loud."""
    rows = np.repeat(vectors, 2, axis=0) * np.tile([[1], [2]], (len(vectors), 1))
    n = len(clip_ids)
    tensors = {"embeddings": rows, "logits": rows, "clip": np.repeat(np.arange(n), 2), "padded": np.zeros(2 * n)}
    lists = {"clip_ids": list(clip_ids), "eval_seeds": [seed] * n, "status": ["ok"] * n}
    return tensors, {key: json.dumps(value) for key, value in lists.items()} | {"model": "m", "weights_sha256": "w"}


def captions(standardise, side="embeddings", ids=IDS):
    about = {"model": "clap", "audio": "m", "side": side, "standardise": json.dumps(standardise), "weights_sha256": "t"}
    return {"text": TEXT[: len(ids)]}, about | {"clip_ids": json.dumps(list(ids))}


def measure(made, reference, of_captions):
    return measure_text_audio(SPLIT, PLAYED, {"m": made}, {"m": reference}, {"m": "r"}, of_captions)


@pytest.mark.parametrize(("standardise", "side"), [(False, "embeddings"), (True, "logits")])
def test_music_that_is_its_caption_fits_it_best(pick, standardise, side):
    made, reference = stored(IDS[:12], TEXT[:12], 0), stored(IDS, TEXT, -1)
    measured = measure(made, reference, captions(standardise, side))
    row = pick(measured.rows, "forget", "text_audio_clap")
    assert row["value"] == pytest.approx(1, abs=1e-6)
    assert (row["n"], row["n_works"], row["d"], row["status"]) == (12, 6, 6, "ok")
    assert (row["ci_method"], row["weights_sha256"], row["reference_sha256"]) == ("bootstrap-works", "t", "r")
    assert pick(measured.rows, "forget", "text_audio_auc_clap")["value"] == 1
    assert pick(measured.rows, "forget", "text_audio_rank_clap")["value"] == 1
    assert abs(pick(measured.rows, "forget", "text_audio_mismatched_clap")["value"]) < 0.4
    values = measured.values[measured.values["metric"] == "text_audio_clap"]
    assert (list(values["clip_id"]), set(values["eval_seed"])) == (IDS[:12], {0})


def test_standardising_takes_away_what_all_clips_share():
    """A tag that every clip has, and every caption means: only with standardising do captions differ."""
    shared = np.array([50.0, 0, 0, 0, 0, 0], np.float32)
    made, reference = stored(IDS[:12], TEXT[11::-1] + shared, 0), stored(IDS, TEXT + shared, -1)
    tensors, about = captions(True)
    value = measure(made, reference, ({"text": tensors["text"] + shared}, about)).values
    plain = measure(made, reference, ({"text": TEXT + shared}, captions(False)[1])).values
    assert plain.loc[plain["metric"] == "text_audio_clap", "value"].min() > 0.98
    assert value.loc[value["metric"] == "text_audio_clap", "value"].mean() < 0.5


def test_a_clip_without_sound_is_not_left_out_and_one_without_caption_is_named(pick):
    tensors, about = stored(IDS[:12], TEXT[:12], 0)
    tensors = {name: tensor[2:] for name, tensor in tensors.items()}
    silent = tensors, about | {"status": json.dumps(["unreadable"] + ["ok"] * 11)}
    reference = stored(IDS, TEXT, -1)
    rows = measure(silent, reference, captions(False)).rows
    assert pick(rows, "forget", "text_audio_clap")["status"] == "not finite"
    made = stored(IDS[:12], TEXT[:12], 0)
    row = pick(measure(made, reference, captions(False, ids=IDS[:11])).rows,
               "forget", "text_audio_clap")  # fmt: skip
    assert (row["n"], row["status"]) == (11, "left out: 1 original (c11 no caption)")


def test_embeddings_of_other_prompts_are_refused():
    with pytest.raises(UserError, match="embeddings of m: not those of the prompts"):
        measure(stored(IDS[1:13], TEXT[:12], 0), stored(IDS, TEXT, -1), captions(False))
