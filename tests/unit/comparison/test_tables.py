"""The tables of an experiment, from models with known numbers."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from noencore.comparison.tables import cost_table, diverged_models, metrics_table, summary_table
from noencore.errors import UserError
from noencore.experiment import split_model_name

NAMES = {"embedding": "musicnn", "text_audio": "tagtext", "prompt": "1s"}


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
    known = {"n_works": 5, "d": pd.NA, "effective_rank": np.nan, "seed": 0}
    return pd.DataFrame(rows).assign(
        **empty, **known, status=["ok" if v == v else "not finite" for v in values.values()]
    )


MODELS = {
    "ga-0": metrics(nll_caption=4.0, fad_musicnn=7.0),
    "ga-1": metrics(nll_caption=6.0, fad_musicnn=np.nan),
    "target-0": metrics(nll_caption=1.0, fad_musicnn=2.0),
    "gold-0": metrics(nll_caption=3.0, fad_musicnn=np.nan),
    "gold-1": metrics(nll_caption=3.5, fad_musicnn=5.0),
}


def test_metrics_table():
    table = metrics_table(MODELS).set_index(["model", "metric"])
    assert table.loc[("ga-0", "nll_caption"), "gold_mean"] == 3.25
    assert table.loc[("ga-0", "nll_caption"), "gap_to_gold"] == 0.75
    assert table.loc[("ga-0", "fad_musicnn"), "gap_to_gold"] == 2
    assert np.isnan(table.loc[("gold-0", "fad_musicnn"), "gap_to_gold"])
    assert table.loc[("gold-0", "fad_musicnn"), "status"] == "not finite"
    assert table.loc[("ga-1", "fad_musicnn"), "unlearn_seed"] == 1
    assert table.loc[("gold-1", "fad_musicnn"), "unlearn_seed"] is pd.NA
    columns = (
        "model recipe unlearn_seed set metric value ci_low ci_high ci_method n n_works d effective_rank seed gold_mean "
        "gap_to_gold in_gold_band status weights_sha256 reference_sha256"
    )
    assert list(metrics_table(MODELS).columns) == columns.split()
    assert metrics_table({"target-0": MODELS["target-0"]})["gap_to_gold"].isna().all()


def test_a_value_lies_in_the_band_of_gold_or_not():
    golds = {
        f"gold-{i}": metrics(nll_caption=3.0 + i, ks_gold=0.2 + i / 10, membership_auc_similarity=0.9) for i in (0, 1)
    }
    models = {
        "ga-0": metrics(nll_caption=3.5, ks_gold=0.1, membership_auc_similarity=1.0),
        "ga-1": metrics(nll_caption=2.9, ks_gold=0.31, membership_auc_similarity=0.89),
        "ga-2": metrics(nll_caption=np.nan, ks_gold=0.3, membership_auc_similarity=0.9),
    }
    inside = metrics_table(golds | models).pivot(index="model", columns="metric", values="in_gold_band")
    assert inside.loc["ga-0"].all()
    assert not inside.loc["ga-1"].any()
    assert inside.loc["ga-2"].isna().tolist() == [False, False, True]  # no value: neither in nor out
    assert inside.loc[list(golds)].isna().all(axis=None)
    one = metrics_table({"gold-0": golds["gold-0"], "ga-0": models["ga-0"]})
    assert one["in_gold_band"].isna().all()


def test_a_diverged_model_has_a_status_and_no_numbers():
    costs = [{"model": model, "status": "ok", "steps": 9} for model in ("ga-1", "none-0")]
    diverged = diverged_models([*costs, {"model": "ga-0", "status": "diverged", "steps": 7}])
    assert diverged == {"ga-0": 7}
    table = metrics_table(MODELS, diverged)
    of_model = table[table["model"] == "ga-0"]
    assert (of_model["status"] == "diverged at step 7").all()
    assert of_model[["value", "ci_low", "ci_high", "gap_to_gold"]].isna().all(axis=None)
    pd.testing.assert_frame_equal(table[table["model"] != "ga-0"], metrics_table(MODELS).query("model != 'ga-0'"))
    assert np.isnan(summary_table(table, NAMES).set_index("recipe").loc["ga", "nll_forget"])


def test_a_metric_measured_twice_is_refused():
    with pytest.raises(UserError, match="fad_musicnn of forget occurs twice"):
        metrics_table({"ga-0": pd.concat([metrics(fad_musicnn=1.0), metrics(fad_musicnn=2.0)])})


def test_summary_table():
    table = summary_table(metrics_table(MODELS), NAMES)
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
        "comparison.paired",
        "metrics.gold",
        "metrics.quality",
        "metrics.association",
        "metrics.membership",
        "metrics.continuation",
    ]
    code = f"import sys, {', '.join(f'noencore.{m}' for m in modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
