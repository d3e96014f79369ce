"""The tables of an experiment, and the verdicts on the paper's findings, from models with known losses."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from noencore.comparison.findings import findings_table
from noencore.comparison.tables import cost_table, diverged_models, metrics_table, summary_table
from noencore.errors import UserError
from noencore.experiment import split_model_name

SPLIT = pd.DataFrame(
    [
        {"clip_id": f"{name}-{i}", "work_id": f"{name}-{i}", "set": name, "part": "test"}
        for name in ("forget", "remain", "holdout")
        for i in range(20)
    ]
)


def scores(forget=2.0, remain=2.0, gain=0.5, seed=0, noise=0.02):
    """Scores with a mean NLL a set and one wrong-caption gain; the clips of a set spread over 1 nat."""
    rng = np.random.default_rng(seed)
    nll = SPLIT["set"].map({"forget": forget, "remain": remain, "holdout": 3.0}).to_numpy()
    caption = nll + np.tile(np.linspace(-0.5, 0.5, 20), 3) + rng.normal(0, noise, len(SPLIT))
    wrong = caption + gain + rng.normal(0, noise, len(SPLIT))
    frames = [
        SPLIT[["clip_id"]].assign(condition=condition, codebook=q, nll=values, n_tokens=100)
        for condition, values in (("caption", caption), ("null", wrong), ("wrong", wrong))
        for q in range(4)
    ]
    return pd.concat(frames, ignore_index=True)


def finding(table, number, recipe, set_name=None):
    rows = table[(table["finding"] == number) & (table["recipe"] == recipe)]
    rows = rows if set_name is None else rows[rows["set"] == set_name]
    assert len(rows) == 1
    return rows.iloc[0]


TRAINED = {
    "target-0": scores(forget=2.0, seed=1),
    "gold-0": scores(forget=3.0, seed=2),
    "gold-1": scores(forget=3.0, seed=3),
}


def test_partial_unlearning():
    models = TRAINED | {
        "ga-0": scores(forget=2.6, seed=4),
        "ga-1": scores(forget=2.8, seed=5),
        "rl_caption-0": scores(forget=3.5, seed=6),
        "rl_tokens-0": scores(forget=2.0, seed=1),
    }
    table = findings_table(models, SPLIT)
    ga = finding(table, 1, "ga")
    assert ga["value"] == pytest.approx(0.3, abs=0.02)
    assert ga["ci_low"] < ga["value"] < ga["ci_high"]
    assert (ga["n"], ga["ci_method"], ga["verdict"], ga["note"]) == (20, "bootstrap-clips", "supported", "")
    overshot = finding(table, 1, "rl_caption")
    assert overshot["value"] == pytest.approx(-0.5, abs=0.02)
    assert overshot["verdict"] == "not supported"
    assert overshot["note"].startswith("overshoot")
    untouched = finding(table, 1, "rl_tokens")
    assert (untouched["value"], untouched["verdict"]) == (1, "not supported")
    assert untouched["note"] == "nothing was unlearned"
    pd.testing.assert_frame_equal(table, findings_table(models, SPLIT))


def test_partial_unlearning_needs_something_to_unlearn():
    models = {"target-0": scores(3.0, seed=1), "gold-0": scores(3.0, seed=2), "ga-0": scores(3.2, seed=3)}
    row = finding(findings_table(models, SPLIT), 1, "ga")
    assert row["verdict"] == "undecided"
    assert "nothing to be left" in row["note"]


def test_remain_damage():
    models = TRAINED | {
        "ga-0": scores(remain=2.2, seed=4),
        "rl_caption-0": scores(remain=1.9, seed=5),
        "rl_tokens-0": scores(remain=2.0, seed=6, noise=0.2),
    }
    table = findings_table(models, SPLIT)
    assert finding(table, 2, "ga")["value"] == pytest.approx(0.2, abs=0.02)
    verdicts = [finding(table, 2, recipe)["verdict"] for recipe in ("ga", "rl_caption", "rl_tokens")]
    assert verdicts == ["supported", "not supported", "undecided"]


def test_association_damage():
    models = TRAINED | {"ga-0": scores(gain=0.4, seed=4), "rl_caption-0": scores(gain=0.1, seed=5)}
    table = findings_table(models, SPLIT)
    for set_name in ("forget", "remain"):
        row = finding(table, 3, "rl_caption", set_name)
        assert row["value"] == pytest.approx(0.3, abs=0.02)
        assert row["verdict"] == "supported"
    models["rl_caption-0"] = scores(gain=0.5, seed=5)
    assert finding(findings_table(models, SPLIT), 3, "rl_caption", "forget")["verdict"] == "not supported"
    assert not ((table["finding"] == 3) & (table["recipe"] == "ga")).any()


def test_what_cannot_be_tested_is_said():
    released = {"target-0": TRAINED["target-0"], "rl_tokens-0": scores(seed=4)}
    table = findings_table(released, SPLIT)
    assert finding(table, 1, "rl_tokens")["verdict"] == "not tested"
    assert "missing" in finding(table, 3, "rl_tokens", "forget")["note"]
    assert finding(table, 2, "rl_tokens")["verdict"] != "not tested"
    few = findings_table(released, SPLIT[SPLIT["clip_id"].str.len() == len("remain-0")])
    assert finding(few, 2, "rl_tokens")["n"] == 10
    broken = released["rl_tokens-0"].assign(nll=np.inf)
    row = finding(findings_table(released | {"rl_tokens-0": broken}, SPLIT), 2, "rl_tokens")
    assert (row["verdict"], row["note"]) == ("not tested", "not finite")
    assert np.isnan(row["value"])


def metrics(**values):
    """A metrics frame with one value a metric, all on forget."""
    rows = [
        {
            "set": "forget",
            "metric": metric,
            "value": value,
            "ci_low": value,
            "ci_high": value,
            "ci_method": "t",
            "n": 9,
        }
        for metric, value in values.items()
    ]
    empty = {"weights_sha256": "", "reference_sha256": ""}
    return pd.DataFrame(rows).assign(**empty, status=["ok" if v == v else "not finite" for v in values.values()])


MODELS = {
    "ga-0": metrics(nll_caption=4.0, fad=7.0),
    "ga-1": metrics(nll_caption=6.0, fad=np.nan),
    "target-0": metrics(nll_caption=1.0, fad=2.0),
    "gold-0": metrics(nll_caption=3.0, fad=np.nan),
    "gold-1": metrics(nll_caption=3.5, fad=5.0),
}


def test_metrics_table():
    table = metrics_table(MODELS).set_index(["model", "metric"])
    assert table.loc[("ga-0", "nll_caption"), "gold_mean"] == 3.25
    assert table.loc[("ga-0", "nll_caption"), "gap_to_gold"] == 0.75
    assert table.loc[("ga-0", "fad"), "gap_to_gold"] == 2
    assert np.isnan(table.loc[("gold-0", "fad"), "gap_to_gold"])
    assert table.loc[("gold-0", "fad"), "status"] == "not finite"
    assert table.loc[("ga-1", "fad"), "unlearn_seed"] == 1
    assert table.loc[("gold-1", "fad"), "unlearn_seed"] is pd.NA
    columns = (
        "model recipe unlearn_seed set metric value ci_low ci_high ci_method n gold_mean gap_to_gold status "
        "weights_sha256 reference_sha256"
    )
    assert list(metrics_table(MODELS).columns) == columns.split()
    assert metrics_table({"target-0": MODELS["target-0"]})["gap_to_gold"].isna().all()


def test_a_diverged_model_has_a_status_and_no_numbers():
    costs = [{"model": model, "status": "ok", "steps": 9} for model in ("ga-1", "none-0")]
    diverged = diverged_models([*costs, {"model": "ga-0", "status": "diverged", "steps": 7}])
    assert diverged == {"ga-0": 7}
    table = metrics_table(MODELS, diverged)
    of_model = table[table["model"] == "ga-0"]
    assert (of_model["status"] == "diverged at step 7").all()
    assert of_model[["value", "ci_low", "ci_high", "gap_to_gold"]].isna().all(axis=None)
    pd.testing.assert_frame_equal(table[table["model"] != "ga-0"], metrics_table(MODELS).query("model != 'ga-0'"))
    assert np.isnan(summary_table(table).set_index("recipe").loc["ga", "nll_forget"])


def test_a_recipe_with_a_diverged_seed_is_not_tested():
    models = TRAINED | {"ga-0": scores(forget=2.6, seed=4), "ga-1": scores(forget=2.8, seed=5)}
    row = finding(findings_table(models, SPLIT, diverged={"ga-1": 3}), 1, "ga")
    assert (row["verdict"], row["note"]) == (
        "not tested",
        "a model that the statistic needs is missing or has diverged",
    )


def test_a_metric_measured_twice_is_refused():
    with pytest.raises(UserError, match="fad of forget occurs twice"):
        metrics_table({"ga-0": pd.concat([metrics(fad=1.0), metrics(fad=2.0)])})


def test_summary_table():
    table = summary_table(metrics_table(MODELS))
    assert table["recipe"].tolist() == ["target", "gold", "ga"]
    assert table["n_seeds"].tolist() == [1, 2, 2]
    assert table["nll_forget"].tolist() == [1, 3.25, 5]
    assert np.isnan(table["nll_forget_sd"][0])
    assert table["nll_forget_sd"][2] == pytest.approx(np.sqrt(2))
    np.testing.assert_array_equal(table["fad_forget"], [2, np.nan, np.nan])  # a seed without a value: no mean
    assert table["membership_auc"].isna().all()


def test_cost_table():
    costs = [
        {"model": "target-0", "seconds": 100.0, "steps": 500},
        {"model": "gold-0", "seconds": 80.0, "steps": 500},
        {"model": "rl_caption-1", "seconds": 4.0, "peak_bytes": 7},
    ]
    table = cost_table(costs)
    assert table["recipe"].tolist() == ["target", "gold", "rl_caption"]
    assert table["seconds_over_gold"].tolist() == [1.25, 1, 0.05]
    assert table["unlearn_seed"].isna().tolist() == [True, True, False]
    assert np.isnan(table["steps"][2])
    assert "seconds_over_gold" not in cost_table(costs[2:])


def test_model_names():
    assert split_model_name("rl_caption-12") == ("rl_caption", 12)
    for bad in ("ga", "-1", "ga-x"):
        with pytest.raises(UserError, match="<recipe>-<seed>"):
            split_model_name(bad)


def test_measuring_and_comparing_need_no_torch():
    modules = [
        "comparison.tables",
        "comparison.findings",
        "metrics.quality",
        "metrics.association",
        "metrics.membership",
        "metrics.continuation",
    ]
    code = f"import sys, {', '.join(f'noencore.{m}' for m in modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
