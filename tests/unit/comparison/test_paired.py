"""The table of paired tests: who is compared with whom, what is left out and said to be, and what may be claimed."""

import numpy as np
import pandas as pd
import pytest

from noencore.comparison.paired import judged, paired_rows, with_provenance
from noencore.errors import UserError

MODELS = ["target-0", "gold-0", "gold-1", "ga-0", "ga-1", "none-0"]
MEANS = {"target": 2.0, "gold": 3.0, "ga": 2.5, "none": 2.0}
WORKS = pd.Series({f"{name}-{i}": f"{name}-{i // 2}" for name in ("forget", "remain") for i in range(20)})
MARGINS = {"nll_caption": 0.05}


def values(models=MODELS, metric="nll_caption", eval_seeds=(-1,), noise=0.02):
    """Values of all models: a forget clip has its recipe's mean, a remain clip 2; clips spread over 1 nat."""
    rows = []
    for number, model in enumerate(models):
        rng = np.random.default_rng(number)
        for clip in WORKS.index:
            mean = MEANS[model.split("-")[0]] if clip.startswith("forget") else 2.0
            for seed in eval_seeds:
                value = mean + int(clip.split("-")[1]) / 20 + rng.normal(0, noise)
                rows.append((model, clip.split("-")[0], clip, seed, metric, value))
    return pd.DataFrame(rows, columns=["model", "set", "clip_id", "eval_seed", "metric", "value"])


def compared(frame, models=MODELS, margins=MARGINS, **known):
    rows, incomplete = paired_rows(frame, WORKS, models, "target-0", **known)
    return judged(rows, margins), incomplete


def one(table, recipe, reference, set_name):
    rows = table[(table["recipe"] == recipe) & (table["reference"] == reference) & (table["set"] == set_name)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_every_recipe_is_compared_with_target_and_gold():
    table, incomplete = compared(values())
    pairs = list(dict.fromkeys(zip(table["recipe"], table["reference"])))
    assert pairs == [("gold", "target"), ("ga", "target"), ("none", "target"), ("ga", "gold"), ("none", "gold")]
    assert len(table) == 2 * len(pairs)
    row = one(table, "ga", "gold", "forget")
    assert row["value"] == pytest.approx(-0.5, abs=0.02)
    assert row["value"] == pytest.approx(row["recipe_mean"] - row["reference_mean"])
    assert row["ci_low"] < row["equivalence_low"] < row["value"] < row["equivalence_high"] < row["ci_high"]
    assert row[["n", "n_works", "n_eval_seeds", "n_seeds", "n_reference_seeds"]].tolist() == [20, 10, 1, 2, 2]
    assert (row["models"], row["reference_models"]) == ("ga-0 ga-1", "gold-0 gold-1")
    assert incomplete.empty


def test_verdicts_in_the_words_of_the_claim():
    table, _ = compared(values())
    said = {(row.recipe, row.reference, row.set): row.verdict for row in table.itertuples()}
    assert said["ga", "target", "remain"] == said["none", "target", "remain"] == "kept"
    assert said["ga", "target", "forget"] == "changed"
    assert said["none", "target", "forget"] == "unchanged"
    assert said["none", "gold", "forget"] == "differs"
    assert said["ga", "gold", "remain"] == "as gold"
    worse = values()
    worse.loc[(worse["model"].str.startswith("ga")) & (worse["set"] == "remain"), "value"] += 0.3
    assert one(compared(worse)[0], "ga", "target", "remain")["verdict"] == "harmed"
    for metric, expected in (("caption_gain", "improved"), ("token_entropy", "differs")):
        table, _ = compared(worse.assign(metric=metric), margins={metric: 0.05})
        assert one(table, "ga", "target", "remain")["verdict"] == expected


def test_nothing_is_kept_without_a_margin_and_as_gold_is_as_near_as_gold_to_gold():
    table, _ = compared(values(), margins={})
    against_target = table[table["reference"] == "target"]
    assert (against_target["margin_source"] == "").all()
    assert not set(against_target["verdict"]) & {"kept", "unchanged"}
    row = one(table, "ga", "gold", "remain")
    golds = values().query("set == 'remain'").groupby("model")["value"].mean()
    assert row["margin_source"] == "gold band"
    assert row["margin"] == pytest.approx(abs(golds["gold-0"] - golds["gold-1"]))
    table, _ = compared(values(), models=[model for model in MODELS if model != "gold-1"], margins={})
    assert one(table, "ga", "gold", "remain")["margin_source"] == ""


def test_gold_against_gold_is_no_difference():
    """A recipe that makes gold models: it differs from gold in no more cases than the level says, and mostly is as
    gold within a margin that is wide for the noise."""
    as_gold = 0
    for trial in range(30):
        rng = np.random.default_rng(trial)
        frame = values(["target-0", "gold-0", "gold-1", "gold-2", "ga-0", "ga-1", "ga-2"], noise=0)
        shift = dict(zip(frame["model"].unique(), rng.normal(0, 0.005, 7)))
        frame["value"] += np.where(frame["model"].str.startswith("ga"), 0.5, 0) * (frame["set"] == "forget")
        frame["value"] += frame["model"].map(shift) + rng.normal(0, 0.02, len(frame))
        row = one(compared(frame, list(shift))[0], "ga", "gold", "forget")
        assert row["verdict"] != "differs"
        as_gold += row["verdict"] == "as gold"
    assert as_gold >= 25
    same = values(noise=0)
    row = one(compared(same[same["set"] == "remain"])[0], "ga", "gold", "remain")
    assert (row["value"], row["p"], row["verdict"]) == (pytest.approx(0, abs=1e-12), 1, "as gold")


def test_incomplete_pairs_are_counted_and_listed():
    frame = values(eval_seeds=(0, 1))
    lacks = (frame["model"] == "ga-1") & (frame["clip_id"] == "forget-3") & (frame["eval_seed"] == 1)
    lacks |= (frame["model"] == "target-0") & (frame["clip_id"] == "remain-4")
    table, incomplete = compared(frame[~lacks])
    forget, remain = (one(table, "ga", "target", name) for name in ("forget", "remain"))
    assert forget[["n", "n_incomplete", "n_eval_seeds"]].tolist() == [20, 1, 2]
    assert remain[["n", "n_incomplete"]].tolist() == [19, 2]
    listed = incomplete[(incomplete["recipe"] == "ga") & (incomplete["reference"] == "target")]
    assert list(zip(listed["clip_id"], listed["eval_seed"], listed["missing"])) == [
        ("forget-3", 1, "ga-1"),
        ("remain-4", 0, "target-0"),
        ("remain-4", 1, "target-0"),
    ]
    assert one(table, "none", "target", "forget")["n_incomplete"] == 0
    shared = frame[(frame["clip_id"] != "forget-3") | (frame["eval_seed"] == 0)]
    assert forget["value"] == pytest.approx(one(compared(shared)[0], "ga", "target", "forget")["value"])


def test_what_cannot_be_tested_has_a_status_and_no_numbers():
    numbers = ["value", "ci_low", "ci_high", "p", "p_holm", "recipe_mean"]
    frame = values()
    broken = frame.assign(value=frame["value"].where((frame["model"] != "ga-0") | (frame["clip_id"] != "forget-0")))
    row = one(compared(broken)[0], "ga", "target", "forget")
    assert (row["status"], row["verdict"]) == ("not finite", "not tested")
    assert row[numbers].isna().all()
    row = one(compared(frame, diverged={"ga-1": 7})[0], "ga", "target", "remain")
    assert (row["status"], row["verdict"]) == ("diverged: ga-1", "not tested")
    assert one(compared(frame, diverged={"ga-1": 7})[0], "none", "target", "remain")["status"] == "ok"
    few = frame[frame["clip_id"].isin([f"forget-{i}" for i in range(8)])]
    row = one(compared(few)[0], "ga", "target", "forget")
    assert row["status"] == "too few: 8 clips of 4 works, at least 5 of each"


def test_every_row_says_where_its_numbers_come_from():
    table, _ = compared(values())
    known = {"set": "forget", "metric": "nll_caption", "reference_sha256": "", "d": pd.NA, "effective_rank": np.nan}
    metrics = pd.DataFrame([known | {"model": model, "weights_sha256": f"sha of {model}"} for model in MODELS])
    row = one(with_provenance(table, metrics), "ga", "gold", "forget")
    assert row["weights_sha256"] == "sha of ga-0 sha of ga-1 sha of gold-0 sha of gold-1"
    one_embedding = metrics.assign(weights_sha256="e", reference_sha256="r", d=512, effective_rank=30.5)
    row = one(with_provenance(table, one_embedding), "ga", "gold", "forget")
    assert row[["weights_sha256", "reference_sha256", "d", "effective_rank"]].tolist() == ["e", "r", 512, 30.5]
    row = one(with_provenance(table, one_embedding), "ga", "gold", "remain")  # not measured
    assert (row["weights_sha256"], row["d"]) == ("", pd.NA)


def test_without_gold_there_are_rows_against_target_alone():
    released = ["target-0", "ga-0", "none-0"]
    table, _ = compared(values(released), released)
    assert set(table["reference"]) == {"target"}
    assert table["n_seeds"].tolist() == [1, 1, 1, 1]
    assert (table["status"] == "ok").all()


def test_holm_corrects_within_a_recipe_and_its_reference():
    frame = pd.concat([values(noise=0.5), values(metric="token_entropy", noise=0.5)])
    table, _ = compared(frame)
    assert (table["n_tests"] == 4).all()
    of_ga = table[(table["recipe"] == "ga") & (table["reference"] == "target")].sort_values("p")
    assert of_ga["p_holm"].iloc[0] == min(1, 4 * of_ga["p"].iloc[0])
    assert (table["p_holm"] >= table["p"]).all()


def test_hits_of_two_models_are_tested_by_mcnemar():
    """Of 20 clips, 6 hit before and 0 after: p = 2 / 2 ** 6. Two seeds, or works of two clips, are another matter."""
    frame = values(["target-0", "ga-0"], metric="copy_rate")
    number = frame["clip_id"].str.split("-").str[1].astype(int)
    frame["value"] = ((frame["model"] == "target-0") & (number < 6)).astype(float)
    alone = pd.Series(WORKS.index, WORKS.index)
    rows, _ = paired_rows(frame, alone, ["target-0", "ga-0"], "target-0")
    row = one(judged(rows, {}), "ga", "target", "forget")
    assert (row["p"], row["p_method"], row["value"]) == (pytest.approx(2 / 2**6), "mcnemar", pytest.approx(-0.3))
    assert (compared(frame, ["target-0", "ga-0"])[0]["p_method"] == "t").all()


def test_the_order_of_rows_means_nothing():
    frame = values(eval_seeds=(0, 1))
    table, _ = compared(frame)
    pd.testing.assert_frame_equal(table, compared(frame.sample(frac=1, random_state=0))[0])


def test_a_value_that_occurs_twice_is_refused():
    with pytest.raises(UserError, match="metrics of target-0: nll_caption of clip forget-0 occurs twice"):
        compared(pd.concat([values(), values().head(1)]))
