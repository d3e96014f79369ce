"""The verdicts on the paper's findings, from models with known losses."""

import numpy as np
import pandas as pd
import pytest

from noencore.comparison.findings import findings_table, memorisation_table

WORKS = pd.Series({f"{name}-{i}": f"{name}-{i // 2}" for name in ("forget", "remain", "holdout") for i in range(20)})


def values(forget=2.0, remain=2.0, gain=0.5, seed=0, noise=0.02):
    """Values of one model with a mean NLL a set and one wrong-caption gain; the clips of a set spread over 1 nat."""
    rng = np.random.default_rng(seed)
    sets = WORKS.index.str.split("-").str[0]
    nll = sets.map({"forget": forget, "remain": remain, "holdout": 3.0}).to_numpy()
    caption = nll + np.tile(np.linspace(-0.5, 0.5, 20), 3) + rng.normal(0, noise, len(WORKS))
    known = pd.DataFrame({"set": sets, "clip_id": WORKS.index, "eval_seed": -1})
    return pd.concat(
        [
            known.assign(metric="nll_caption", value=caption),
            known.assign(metric="wrong_caption_gain", value=gain + rng.normal(0, noise, len(WORKS))),
        ]
    )


def findings(models, diverged=(), works=WORKS):
    """The table of a dict model -> values."""
    frames = [frame.assign(model=model) for model, frame in models.items()]
    return findings_table(pd.concat(frames, ignore_index=True), works, diverged=diverged)


def finding(table, number, recipe, set_name=None):
    rows = table[(table["finding"] == number) & (table["recipe"] == recipe)]
    rows = rows if set_name is None else rows[rows["set"] == set_name]
    assert len(rows) == 1
    return rows.iloc[0]


TRAINED = {
    "target-0": values(forget=2.0, seed=1),
    "gold-0": values(forget=3.0, seed=2),
    "gold-1": values(forget=3.0, seed=3),
}


def test_partial_unlearning():
    models = TRAINED | {
        "ga-0": values(forget=2.6, seed=4),
        "ga-1": values(forget=2.8, seed=5),
        "rl_caption-0": values(forget=3.5, seed=6),
        "rl_tokens-0": values(forget=2.0, seed=1),
    }
    table = findings(models)
    ga = finding(table, 1, "ga")
    assert ga["value"] == pytest.approx(0.3, abs=0.02)
    assert ga["ci_low"] < ga["value"] < ga["ci_high"]
    assert (ga["n"], ga["n_works"], ga["ci_method"], ga["verdict"]) == (20, 10, "bootstrap-works", "supported")
    overshot = finding(table, 1, "rl_caption")
    assert overshot["value"] == pytest.approx(-0.5, abs=0.02)
    assert overshot["verdict"] == "not supported"
    assert overshot["note"].startswith("overshoot")
    untouched = finding(table, 1, "rl_tokens")
    assert (untouched["value"], untouched["verdict"]) == (1, "not supported")
    assert untouched["note"] == "nothing was unlearned"
    pd.testing.assert_frame_equal(table, findings(models))


def test_partial_unlearning_needs_something_to_unlearn():
    models = {"target-0": values(3.0, seed=1), "gold-0": values(3.0, seed=2), "ga-0": values(3.2, seed=3)}
    row = finding(findings(models), 1, "ga")
    assert row["verdict"] == "undecided"
    assert "not shown to predict forget better than gold" in row["note"]


def test_remain_damage():
    models = TRAINED | {
        "ga-0": values(remain=2.2, seed=4),
        "rl_caption-0": values(remain=1.9, seed=5),
        "rl_tokens-0": values(remain=2.0, seed=6, noise=0.2),
    }
    table = findings(models)
    assert finding(table, 2, "ga")["value"] == pytest.approx(0.2, abs=0.02)
    verdicts = [finding(table, 2, recipe)["verdict"] for recipe in ("ga", "rl_caption", "rl_tokens")]
    assert verdicts == ["supported", "not supported", "undecided"]


def test_association_damage():
    models = TRAINED | {"ga-0": values(gain=0.4, seed=4), "rl_caption-0": values(gain=0.1, seed=5)}
    table = findings(models)
    for set_name in ("forget", "remain"):
        row = finding(table, 3, "rl_caption", set_name)
        assert row["value"] == pytest.approx(0.3, abs=0.02)
        assert row["verdict"] == "supported"
    models["rl_caption-0"] = values(gain=0.5, seed=5)
    assert finding(findings(models), 3, "rl_caption", "forget")["verdict"] == "not supported"
    assert not ((table["finding"] == 3) & (table["recipe"] == "ga")).any()


def test_what_cannot_be_tested_is_said():
    released = {"target-0": TRAINED["target-0"], "rl_tokens-0": values(seed=4)}
    table = findings(released)
    assert finding(table, 1, "rl_tokens")["verdict"] == "not tested"
    assert "missing" in finding(table, 3, "rl_tokens", "forget")["note"]
    assert finding(table, 2, "rl_tokens")["verdict"] != "not tested"
    first_ten = {model: frame[frame["clip_id"].str[-2] == "-"] for model, frame in released.items()}
    row = finding(findings(first_ten), 2, "rl_tokens")
    assert (row["n"], row["n_works"]) == (10, 5)
    row = finding(findings(released, works=WORKS.str.split("-").str[0]), 2, "rl_tokens")
    assert (row["verdict"], row["note"]) == ("not tested", "too few: 20 clips of 1 works, at least 5 of each")
    broken = released["rl_tokens-0"].assign(value=np.inf)
    row = finding(findings(released | {"rl_tokens-0": broken}), 2, "rl_tokens")
    assert (row["verdict"], row["note"]) == ("not tested", "not finite")
    assert np.isnan(row["value"])


def test_a_recipe_with_a_diverged_seed_is_not_tested():
    models = TRAINED | {"ga-0": values(forget=2.6, seed=4), "ga-1": values(forget=2.8, seed=5)}
    row = finding(findings(models, diverged={"ga-1": 3}), 1, "ga")
    assert (row["verdict"], row["note"]) == (
        "not tested",
        "a model that the statistic needs is missing or has diverged",
    )


def test_clips_of_a_work_count_as_one():
    """Two clips each twice are not four: the interval stays as wide as that of the works."""
    alike = WORKS.index.str.replace(r"\d+", lambda found: str(int(found[0]) // 2 * 2), regex=True)
    models = {}
    for model, seed in (("target-0", 1), ("ga-0", 2)):
        of_model = values(seed=seed, noise=0.2)
        first = of_model.set_index(["clip_id", "metric"])["value"]
        again = [first[clip, metric] for clip, metric in zip(np.tile(alike, 2), of_model["metric"])]
        models[model] = of_model.assign(value=again)
    by_work = finding(findings(models), 2, "ga")
    half = {model: frame[frame["clip_id"].isin(set(alike))] for model, frame in models.items()}
    one_each = finding(findings(half), 2, "ga")
    assert by_work[["value", "ci_low", "ci_high"]].tolist() == pytest.approx(one_each[["value", "ci_low", "ci_high"]])
    by_clip = finding(findings(models, works=pd.Series(WORKS.index, WORKS.index)), 2, "ga")
    assert by_clip["ci_high"] - by_clip["ci_low"] < by_work["ci_high"] - by_work["ci_low"]


def memorisation(models, diverged=()):
    frames = [frame.assign(model=model) for model, frame in models.items()]
    return memorisation_table(pd.concat(frames, ignore_index=True), WORKS, diverged=diverged).set_index("recipe")


def test_the_share_left_is_that_of_finding_1_and_known_of_every_recipe():
    models = TRAINED | {
        "ga-0": values(forget=2.6, seed=4),
        "ga-1": values(forget=2.8, seed=5),
        "npo_kl-0": values(forget=2.5, seed=6),
        "none-0": TRAINED["target-0"],
    }
    table, ga = memorisation(models), finding(findings(models), 1, "ga")
    assert list(table.index) == ["ga", "none", "npo_kl"]
    numbers = ["value", "ci_low", "ci_high", "ci_method", "n", "n_works"]
    assert table.loc["ga", numbers].tolist() == ga[numbers].tolist()
    assert table.loc["ga", "seed_low"] == pytest.approx(0.2, abs=0.02)
    assert table.loc["ga", "seed_high"] == pytest.approx(0.4, abs=0.02)
    assert table.loc["ga", ["seed_low", "seed_high"]].mean() == pytest.approx(ga["value"], abs=1e-12)
    assert table.loc["none", ["value", "ci_low", "ci_high", "seed_low"]].tolist() == [1, 1, 1, 1]
    assert table.loc["npo_kl", "value"] == pytest.approx(0.5, abs=0.02)
    assert (table["memorised_low"] < table["memorised"]).all()
    assert table["memorised"].to_numpy() == pytest.approx(1.0, abs=0.02)
    assert (table["status"] == "ok").all()


def test_without_gold_there_is_no_share_and_of_a_diverged_recipe_none():
    models = {name: frame for name, frame in TRAINED.items() if name != "gold-1"} | {"ga-0": values(2.6, seed=4)}
    assert memorisation({name: frame for name, frame in models.items() if name != "gold-0"}).empty
    row = memorisation(models, diverged=["ga-0"]).loc["ga"]
    assert np.isnan(row["value"])
    assert "diverged" in row["status"]


def test_without_likelihoods_nothing_is_tested():
    models = {name: frame.assign(metric="fad_musicnn") for name, frame in TRAINED.items()}
    models |= {"ga-0": models["gold-0"], "npo-0": models["gold-0"]}
    assert set(findings(models)["verdict"]) == {"not tested"}
    table = memorisation(models)
    assert table[["value", "memorised"]].isna().all(axis=None)
    assert not table["status"].isin(["ok", ""]).any()
