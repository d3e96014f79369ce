"""Quality: the rows of every embedding, what is left out, and what is said where a sample is small."""

import json

import numpy as np
import pandas as pd
import pytest

from noencore.errors import UserError
from noencore.metrics import frechet_distance
from noencore.metrics.posteriors import NAMES, posterior_divergence
from noencore.metrics.quality import measure_quality, metrics_of
from noencore.metrics.rows import COLUMNS, VALUE_COLUMNS
from noencore.metrics.windows import stored_windows

D, CLASSES = 8, 5
IDS = [f"c{i:03}" for i in range(60)]
SHA = {"musicnn": "r"}


def stored(clip_ids, seed, shift=0.0, model="musicnn", eval_seeds=-1, classes=CLASSES):
    """Two windows a clip, alike to each other; -1 is an original."""
    rng, n = np.random.default_rng(seed), len(clip_ids)
    rows = np.repeat(rng.standard_normal((n, D)), 2, axis=0) + 0.5 * rng.standard_normal((2 * n, D)) + shift
    tensors = {"embeddings": rows.astype(np.float32), "clip": np.repeat(np.arange(n), 2), "padded": np.zeros(2 * n)}
    if classes:
        tensors["logits"] = rng.standard_normal((2 * n, classes)).astype(np.float32)
    lists = {
        "clip_ids": list(clip_ids),
        "eval_seeds": np.broadcast_to(eval_seeds, n).tolist(),
        "status": ["ok"] * n,
    }
    about = {"model": model, "weights_sha256": "w", "window_s": "3.0", "hop_s": "3.0"}
    return tensors, {key: json.dumps(value) for key, value in lists.items()} | about


def prompts(clip_ids, eval_seeds=0, set_name="forget"):
    return pd.DataFrame({"clip_id": clip_ids, "set": set_name, "kind": "prompt", "eval_seed": eval_seeds})


def split_of(clip_ids=IDS, clips_a_work=1):
    works = [f"w{i // clips_a_work}" for i in range(len(clip_ids))]
    return pd.DataFrame({"clip_id": clip_ids, "work_id": works, "set": "forget", "part": "test"})


def measure(n=20, split=None, generated=None, made=None, reference=None):
    return measure_quality(
        split_of() if split is None else split,
        prompts(IDS[:n]) if generated is None else generated,
        {"musicnn": stored(IDS[:n], 1, shift=0.5, eval_seeds=0) if made is None else made},
        {"musicnn": stored(IDS, 0) if reference is None else reference},
        SHA,
    )


def test_rows_and_values(pick):
    measured = measure()
    reference, made = stored(IDS, 0)[0], stored(IDS[:20], 1, shift=0.5)[0]
    fad = pick(measured.rows, "forget", "fad_musicnn")
    assert fad["value"] == frechet_distance(reference["embeddings"], made["embeddings"])
    assert fad["ci_low"] < fad["value"] < fad["ci_high"]
    assert (fad["n"], fad["n_works"], fad["d"], fad["seed"], fad["ci_method"]) == (20, 20, D, 0, "jackknife-t")
    assert (fad["status"], fad["weights_sha256"], fad["reference_sha256"]) == ("ok", "w", "r")
    assert 7 < fad["effective_rank"] <= D
    floor, corrected, kad = (
        pick(measured.rows, "forget", f"{name}_musicnn") for name in ("fad_floor", "fad_corrected", "kad")
    )
    assert 0 < floor["value"] < fad["value"]
    assert 0 < corrected["value"] < fad["value"]
    assert kad["ci_low"] < kad["value"] < kad["ci_high"]
    assert [list(measured.rows), list(measured.values)] == [COLUMNS, VALUE_COLUMNS]
    assert set(measured.values["metric"]) == {f"kl_{preset}_musicnn" for preset in NAMES}
    pd.testing.assert_frame_equal(measured.rows, measure().rows)


def test_kl_is_of_each_prompt_against_its_own_original(pick):
    measured = measure()
    logits, originals = stored(IDS[:20], 1)[0]["logits"], stored(IDS, 0)[0]["logits"]
    values = measured.values[measured.values["metric"] == "kl_audiocraft_musicnn"].set_index("clip_id")["value"]
    assert values["c003"] == posterior_divergence(logits[6:8], originals[6:8])
    row = pick(measured.rows, "forget", "kl_audiocraft_musicnn")
    assert row["value"] == pytest.approx(values.mean(), rel=1e-12)
    assert (row["n"], row["d"], row["ci_method"], row["status"]) == (20, CLASSES, "bootstrap-works", "ok")
    plain = stored(IDS, 0, classes=0)
    assert not measure(reference=plain).rows["metric"].str.startswith("kl").any()


def test_every_embedding_has_rows_of_its_own():
    made = {name: stored(IDS[:20], 1, model=name, eval_seeds=0) for name in ("musicnn", "codec")}
    reference = {name: stored(IDS, 0, model=name) for name in made}
    rows = measure_quality(split_of(), prompts(IDS[:20]), made, reference, {"musicnn": "r", "codec": "s"}).rows
    assert set(rows["reference_sha256"]) == {"r", "s"}
    assert {"fad_musicnn", "fad_codec", "kad_codec", "kl_symmetric_codec"} <= set(rows["metric"])


def test_works_are_counted_and_move_together(pick):
    alone, together = measure(30), measure(30, split=split_of(clips_a_work=3))
    for name in ("fad_musicnn", "kad_musicnn", "fad_corrected_musicnn"):
        row = pick(together.rows, "forget", name)
        assert (row["n"], row["n_works"]) == (30, 10)
        assert row["ci_low"] != pick(alone.rows, "forget", name)["ci_low"]


def test_a_small_sample_is_said_to_be_one(pick):
    """12 works at an effective rank of nearly 8; 20 are enough for it."""
    assert pick(measure(20).rows, "forget", "fad_corrected_musicnn")["status"] == "ok"
    rows = measure(12).rows
    assert pick(rows, "forget", "fad_corrected_musicnn")["status"].startswith("small sample: 12 works < 2 x effective")
    assert pick(rows, "forget", "fad_musicnn")["status"] == "ok"


def test_too_few_clips_or_works(pick):
    rows = measure(8).rows
    assert set(rows.loc[rows["metric"].str.contains("fad|kad"), "status"]) == {"too few clips: 8 < 10"}
    rows = measure(15, reference=stored(IDS[:15], 0)).rows
    assert pick(rows, "forget", "fad_musicnn")["status"] == "ok"
    assert pick(rows, "forget", "fad_corrected_musicnn")["status"] == "too few clips: 7 < 10"
    rows = measure(30, split=split_of(clips_a_work=10)).rows
    assert pick(rows, "forget", "fad_musicnn")["status"] == "no interval: 3 works < 5"
    assert np.isfinite(pick(rows, "forget", "kad_musicnn")["value"])
    assert pick(rows, "forget", "fad_corrected_musicnn")["status"] == "too few works: 3 < 5"
    rows = measure(30, split=split_of(clips_a_work=60)).rows
    assert pick(rows, "forget", "kad_musicnn")["status"] == "not finite"


def test_eval_seeds_of_a_prompt_are_one_clip(pick):
    generated, seeds = prompts(IDS[:12] * 2, [0] * 12 + [1] * 12), [0] * 12 + [1] * 12
    measured = measure(generated=generated, made=stored(IDS[:12] * 2, 1, eval_seeds=seeds))
    assert set(measured.rows["n"]) == {12}
    assert len(measured.values) == 24 * len(NAMES)


def without(stored_file, number, status):
    """The file with a clip that has no windows."""
    tensors, about = stored_file
    kept = tensors["clip"] != number
    statuses = json.loads(about["status"])
    statuses[number] = status
    return {name: tensor[kept] for name, tensor in tensors.items()}, about | {"status": json.dumps(statuses)}


def test_clips_without_windows_are_named(pick):
    rows = measure(made=without(stored(IDS[:20], 1, eval_seeds=0), 4, "nonfinite")).rows
    fad = pick(rows, "forget", "fad_musicnn")
    assert (fad["n"], fad["status"]) == (19, "left out: 1 generated (c004 nonfinite)")
    assert pick(rows, "forget", "kl_audiocraft_musicnn")["status"] == "not finite"
    rows = measure(reference=without(stored(IDS, 0), 4, "unreadable")).rows
    kl = pick(rows, "forget", "kl_audiocraft_musicnn")
    assert (kl["n"], kl["status"]) == (19, "left out: 1 original (c004 unreadable)")


def test_windows_that_are_mostly_padding_are_left_out(pick):
    tensors, about = stored(IDS[:20], 1, eval_seeds=0)
    tensors["padded"][:3] = [0.51, 0.9, 0.5]
    windows = stored_windows((tensors, about), IDS[:20], split_of().set_index("clip_id")["work_id"])
    assert windows.n == 19
    np.testing.assert_array_equal(windows.embeddings, tensors["embeddings"][2:])
    row = pick(measure(made=(tensors, about)).rows, "forget", "fad_musicnn")
    assert (row["n"], row["status"]) == (19, "left out: 1 generated (c000 mostly padding)")


def test_embeddings_that_do_not_belong_are_refused():
    with pytest.raises(UserError, match="embeddings of musicnn: not those of the prompts"):
        measure(made=stored(IDS[1:21], 1, eval_seeds=0))
    with pytest.raises(UserError, match="not those of the prompts"):
        measure(made=stored(IDS[:20], 1, eval_seeds=1))
    with pytest.raises(UserError, match="model is other"):
        measure(made=stored(IDS[:20], 1, model="other", eval_seeds=0))


def test_a_measured_embedding_and_a_missing_one_have_the_same_metrics():
    measured = set(measure().rows["metric"])
    assert measured == set(metrics_of("musicnn"))
