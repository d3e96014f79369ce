"""The verdicts in words, on runs whose losses are known: what is said follows from the tables."""

import json

import numpy as np
import pytest

from noencore.report.judgements import NOT_SHOWN, NOTHING_MEMORISED
from noencore.report.verdicts import NO_GOLD, ONE_SEED, RULE, RULE_WITHOUT_GOLD, target_words, verdicts

PARAMETERS = 1_610_000


@pytest.fixture
def make(trained, make_run):
    """Verdicts of a run of target, two golds and some models: dict model -> what differs from the target's losses."""

    def made(models, gold=True, **options):
        known = {name: nll for name, nll in trained.items() if gold or not name.startswith("gold")}
        run = make_run(known | {name: trained["target-0"] | nll for name, nll in models.items()}, **options)
        return verdicts(run.spec, run.evidence, run.split, PARAMETERS)

    return made


def of(made, recipe):
    return next(row for row in made["recipes"] if row["recipe"] == recipe)


HALF = {"forget": 2.5}


@pytest.mark.parametrize(
    ("forget", "verdict", "said"),
    [
        (3.0, "as gold", "within the margin of 0.05"),
        (2.5, "partly", "Partly forgotten: "),
        (2.0, "not", "100"),
        (1.8, "not", "known better than before"),
        (3.3, "beyond gold", "less likely than to a model that never learned it"),
    ],
)
def test_forgotten_as_by_gold_partly_not_or_beyond(make, forget, verdict, said):
    model = {"ga-0": {"forget": forget}}
    judged = of(make(model | {"none-0": {}}), "none" if forget == 2.0 else "ga")["forgotten"]
    assert judged["verdict"] == verdict
    assert said in judged["text"]
    assert judged["low"] <= judged["value"] <= judged["high"]
    assert judged["value"] == pytest.approx(100 * (3 - forget), abs=2)
    assert (judged["unit"], judged["n"], judged["n_works"]) == ("% of what was memorised", 20, 10)


def test_undecided_where_the_interval_of_the_share_holds_a_bound(make):
    judged = of(make({"ga-0": {"forget": 2.02}}, noise=0.1), "ga")["forgotten"]
    assert judged["verdict"] == "undecided"
    assert judged["low"] < 100 < judged["high"]
    assert "100 % (unchanged)" in judged["text"]


def test_undecided_where_seeds_disagree_though_their_mean_does_not(make):
    made = make({"ga-0": {"forget": 2.8}, "ga-1": {"forget": 1.9}})
    judged = of(made, "ga")["forgotten"]
    assert judged["low"] > 0
    assert judged["high"] < 100
    assert judged["verdict"] == "undecided"
    assert "seeds disagree (20 to 110 %)" in judged["text"]
    assert made["recommended"]["recipe"] is None


@pytest.mark.parametrize(("gold", "noise"), [(2.0, 0.01), (2.0, 0.0), (2.03, 0.01)])
def test_undecided_where_there_is_nothing_to_forget(trained, make_run, gold, noise):
    """Also where the models are the same, and where a difference that is there is smaller than the declared margin."""
    losses = {"target-0": trained["target-0"], "gold-0": trained["target-0"] | {"forget": gold}}
    losses |= {"ga-0": losses["gold-0"]}
    run = make_run(losses, noise=noise)
    made = verdicts(run.spec, run.evidence, run.split, PARAMETERS)
    judged = of(made, "ga")["forgotten"]
    assert judged["verdict"] == "undecided"
    assert judged["text"].startswith(NOTHING_MEMORISED.format(margin=0.05))
    assert made["recommended"]["recipe"] is None
    assert "nan" not in json.dumps(made)
    assert "not shown that there was something to forget" in made["recommended"]["reason"]


def test_what_is_not_shown_to_be_known_is_not_said_to_be_unknown(make):
    """The golds differ so much that the interval of what the target knows holds 0, and far more than the margin."""
    made = make({"gold-0": {"forget": 2.1}, "gold-1": {"forget": 2.9}, "ga-0": {"forget": 2.4}}, noise=2.0)
    assert made["memorised"]["low"] < 0 < 0.05 < made["memorised"]["high"]
    judged = of(made, "ga")["forgotten"]
    assert judged["verdict"] == "undecided"
    assert judged["text"].startswith(NOT_SHOWN)
    assert "nothing to forget" not in json.dumps(made)


@pytest.mark.parametrize(
    ("remain", "verdict", "said"),
    [
        (2.0, "kept", "within the margin of 0.05"),
        (2.3, "harmed", "(Holm, 4 tests)"),
        (1.7, "improved", "-0.3"),
    ],
)
def test_the_rest_is_kept_harmed_or_improved(make, remain, verdict, said):
    judged = of(make({"ga-0": HALF | {"remain": remain}}), "ga")
    assert judged["remain"]["verdict"] == verdict
    assert said in judged["remain"]["text"]
    assert judged["remain"]["value"] == pytest.approx(remain - 2, abs=0.02)
    assert judged["remain"]["unit"] == "nats a token"
    assert judged["utility"]["verdict"] == "kept"
    for part in ("forgotten", "remain", "utility"):
        assert judged[part]["text"] in judged["text"]


def test_without_a_margin_nothing_is_shown_to_be_kept(make):
    judged = of(make({"ga-0": HALF}, margins={}), "ga")["remain"]
    assert judged["verdict"] == "undecided"
    assert "no margin is declared" in judged["text"]


def test_other_metrics_that_are_harmed_are_named(trained, make_run):
    run = make_run(trained | {"ga-0": trained["target-0"] | HALF})
    table = run.evidence.comparisons
    kept = table[(table["recipe"] == "ga") & (table["reference"] == "target") & (table["set"] == "remain")]
    for metric in ("fad_musicnn", "caption_gain", "kad_musicnn", "kad_codec"):
        table.loc[len(table)] = kept.iloc[0].to_dict() | {"metric": metric, "verdict": "harmed"}
    judged = of(verdicts(run.spec, run.evidence, run.split, PARAMETERS), "ga")
    assert "other metrics harmed there: fad_musicnn, caption_gain, kad_musicnn and 1 more" in judged["remain"]["text"]
    assert "other metrics" not in judged["utility"]["text"]


class TestRecommended:
    def test_the_least_share_left_of_those_that_keep_both(self, make):
        made = make({"ga-0": {"forget": 2.3}, "npo_kl-0": {"forget": 2.6}, "none-0": {}})["recommended"]
        assert made["recipe"] == "npo_kl"
        assert made["rule"] == RULE
        assert "40" in made["reason"]
        assert "2 recipes of 2 qualified" in made["reason"]

    def test_to_overshoot_is_no_smaller_share(self, make):
        """One seed of npo_kl went far beyond gold, the other did not: its mean share is below 0, and further off."""
        models = {"ga-0": {"forget": 2.98}, "npo_kl-0": {"forget": 3.9}, "npo_kl-1": {"forget": 2.98}}
        made = make(models)
        assert of(made, "npo_kl")["forgotten"]["value"] < 0
        assert of(made, "npo_kl")["forgotten"]["verdict"] == "undecided"
        assert made["recommended"]["recipe"] == "ga"
        assert "2 recipes of 2 qualified" in made["recommended"]["reason"]

    def test_to_keep_both_goes_before_the_share(self, make):
        """ga is undecided on utility: its noisy difference is no harm and no proof of none."""
        models = {"ga-0": {"forget": 2.9}, "npo_kl-0": {"forget": 2.3}}
        assert make(models)["recommended"]["recipe"] == "ga"
        seeds = {"ga-0": {"forget": 2.9, "utility": 2.8}, "ga-1": {"forget": 2.9, "utility": 3.2}}
        assert make(seeds | {"npo_kl-0": {"forget": 2.3}})["recommended"]["recipe"] == "npo_kl"
        assert make(seeds)["recommended"]["recipe"] == "ga"

    @pytest.mark.parametrize(
        ("nll", "why"),
        [
            (HALF | {"remain": 2.3}, "harms remain"),
            (HALF | {"utility": 3.3}, "harms utility"),
            ({"forget": 3.4}, "went beyond gold"),
            ({"forget": 1.9}, "is not shown to have moved forget towards gold"),
        ],
    )
    def test_none_with_the_reason(self, make, nll, why):
        made = make({"ga-0": nll, "none-0": {}})["recommended"]
        assert made["recipe"] is None
        assert made["reason"].startswith("No recipe qualifies: ga ")
        assert why in made["reason"]

    @pytest.mark.parametrize(("seeds", "low_above_0"), [((2.3, 2.325), True), ((2.06, 2.1), False)])
    def test_a_rise_counts_as_harm_though_the_corrected_test_misses_it(self, make, seeds, low_above_0):
        """Two seeds leave one degree of freedom: the interval is above 0, or holds it with a rise above the margin."""
        made = make({f"ga-{seed}": HALF | {"remain": remain} for seed, remain in enumerate(seeds)})
        judged = of(made, "ga")["remain"]
        assert judged["verdict"] == "undecided"
        assert judged["value"] > 0.05
        assert (judged["low"] > 0) == low_above_0
        assert made["recommended"]["recipe"] is None
        assert "seems to harm remain" in made["recommended"]["reason"]

    def test_a_set_that_was_not_tested_is_no_harm_and_not_kept(self, trained, make_run):
        run = make_run(
            trained | {"ga-0": trained["target-0"] | HALF, "npo_kl-0": trained["target-0"] | {"forget": 2.2}}
        )
        table = run.evidence.comparisons
        table.loc[(table["recipe"] == "ga") & (table["set"] == "remain"), ["status", "verdict"]] = [
            "too few",
            "not tested",
        ]
        made = verdicts(run.spec, run.evidence, run.split, PARAMETERS)["recommended"]
        assert made["recipe"] == "npo_kl"
        assert "2 recipes of 2 qualified" in made["reason"]

    def test_a_control_never(self, make):
        made = make({"none-0": {}})
        assert of(made, "none")["control"]
        assert made["recommended"]["recipe"] is None
        assert made["recommended"]["reason"] == "No recipe that takes steps was run."
        assert ONE_SEED not in made["notes"]


def test_a_diverged_recipe_is_named_and_not_judged(make):
    made = make({"ga-0": HALF, "ga-1": HALF, "npo_kl-0": HALF}, diverged={"ga-1": 12})
    ga = of(made, "ga")
    assert ga["status"] == "diverged: ga-1 at step 12"
    assert {ga[part]["verdict"] for part in ("forgotten", "remain", "utility")} == {"not tested"}
    assert ga["forgotten"]["value"] is None
    assert made["recommended"]["recipe"] == "npo_kl"
    only = make({"ga-0": HALF}, diverged={"ga-0": 3})["recommended"]
    assert only["recipe"] is None
    assert "ga has diverged: ga-0 at step 3" in only["reason"]


def test_without_likelihood_nothing_is_tested(make):
    made = make({"ga-0": HALF, "none-0": {}}, metric="token_entropy")
    for row in made["recipes"]:
        assert {row[part]["verdict"] for part in ("forgotten", "remain", "utility")} == {"not tested"}
        assert "likelihood" in row["text"]
    assert made["memorised"] is None
    assert made["recommended"]["recipe"] is None


class TestWithoutGold:
    def test_what_changed_is_told_against_the_target_and_no_more(self, make):
        made = make({"ga-0": HALF, "npo_kl-0": {"forget": 1.5}, "none-0": {}}, gold=False)
        assert made["track"] == "released"
        assert made["notes"][0] == NO_GOLD
        verdict_of = {name: of(made, name)["forgotten"] for name in ("ga", "npo_kl", "none")}
        assert {name: row["verdict"] for name, row in verdict_of.items()} == {
            "ga": "changed", "npo_kl": "changed", "none": "unchanged"
        }  # fmt: skip
        assert "less likely" in verdict_of["ga"]["text"]
        assert "more likely" in verdict_of["npo_kl"]["text"]
        assert verdict_of["ga"]["value"] == pytest.approx(0.5, abs=0.02)
        assert "gold" not in json.dumps(made["recipes"])
        assert made["memorised"] is None
        assert not any(word in " ".join(made["notes"]) for word in ("share", "as gold"))

    def test_the_recipe_to_take_has_made_forget_less_likely_at_the_least_cost(self, make):
        models = {"ga-0": HALF | {"remain": 2.01}, "npo_kl-0": {"forget": 2.4, "remain": 1.99}}
        made = make(models, gold=False)["recommended"]
        assert (made["recipe"], made["rule"]) == ("npo_kl", RULE_WITHOUT_GOLD)
        made = make({"ga-0": {"forget": 1.5}}, gold=False)["recommended"]
        assert made["recipe"] is None
        assert "not shown to have made forget less likely" in made["reason"]

    def test_the_observer_is_told_beside_the_target(self, trained, make_run):
        run = make_run({"target-0": trained["target-0"], "ga-0": trained["target-0"] | HALF})
        metrics = run.evidence.metrics
        for model, auc in (("target-0", 0.9), ("ga-0", 0.6)):
            known = {"model": model, "recipe": model[:-2], "set": "forget_vs_holdout", "metric": "membership_auc"}
            metrics.loc[len(metrics)] = metrics.iloc[0].to_dict() | known | {
                "value": auc, "ci_low": auc - 0.05, "ci_high": auc + 0.05
            }  # fmt: skip
        text = of(verdicts(run.spec, run.evidence, run.split, PARAMETERS), "ga")["forgotten"]["text"]
        assert "AUC of telling forget from holdout: 0.60 [0.55, 0.65], of the target 0.90 [0.85, 0.95]" in text


def test_too_few_works_are_no_verdict(trained, make_run):
    run = make_run(trained | {"ga-0": trained["target-0"] | HALF}, works=3)
    row = of(verdicts(run.spec, run.evidence, run.split, PARAMETERS), "ga")
    assert row["forgotten"]["verdict"] == row["remain"]["verdict"] == "not tested"
    assert "too few" in row["forgotten"]["text"]
    assert row["remain"]["n_works"] == 3


def test_the_first_screen_says_what_and_how_many(make):
    made = make({"ga-0": HALF})
    assert made["forgotten_what"] == "artist Ann"
    assert made["counts"]["forget"] == {"clips": 24, "works": 12, "test_clips": 20, "test_works": 10}
    assert made["counts"]["remain"]["clips"] == 28
    assert "24 clips of 12 works" in made["intro"]
    assert made["memorised"]["value"] == pytest.approx(1.0, abs=0.02)
    assert ONE_SEED in made["notes"]
    assert ONE_SEED not in make({"ga-0": HALF, "ga-1": HALF})["notes"]


def test_the_findings_are_told_in_words(make):
    made = make({"ga-0": HALF, "rl_caption-0": HALF | {"remain": 2.2}}, recipes={
        "ga": {"forget": "gradient_ascent"}, "rl_caption": {"forget": "random_caption"}
    })  # fmt: skip
    assert [(row["finding"], row["recipe"]) for row in made["findings"]][:2] == [(1, "ga"), (1, "rl_caption")]
    first = made["findings"][0]
    assert first["verdict"] == "supported"
    assert first["text"].endswith("(20 clips of 10 works), supported.")
    untested = [row for row in made["findings"] if row["verdict"] == "not tested"]
    assert untested[0]["value"] is None
    assert untested[0]["note"] in untested[0]["text"]


def test_the_target_in_words(make_run, trained):
    spec = make_run(trained).spec
    size = "a MusicGen of 3 layers, width 160 and 5 heads (1.61 million parameters)"
    assert target_words(spec, PARAMETERS) == f"{size}, trained from scratch on forget and remain"
    released = spec | {"model": {"init": "facebook/musicgen-small"}}
    assert target_words(released, 420_000_000).endswith("parameters), fine-tuned on forget and remain")
    untrained = released | {"target": {"train_seeds": []}}
    assert target_words(untrained, 420_000_000) == "facebook/musicgen-small (420 million parameters) as it was released"


def test_what_is_written_is_json_without_nan(make):
    for options in ({}, {"gold": False}, {"diverged": {"ga-0": 3}}, {"metric": "token_entropy"}):
        made = make({"ga-0": HALF, "none-0": {}}, **options)
        assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_forty_recipes_are_judged_in_the_order_of_the_tables(make):
    names = [f"r{number}" for number in range(40)]
    models = {f"{name}-0": {"forget": 2.0 + 0.02 * number} for number, name in enumerate(names)}
    made = make(models, recipes={name: {"forget": "gradient_ascent"} for name in names})
    assert [row["recipe"] for row in made["recipes"]] == names
    shares = [row["forgotten"]["value"] for row in made["recipes"]]
    assert (np.diff(shares) < 0).all()
    assert made["recommended"]["recipe"] == "r39"


def test_of_many_objections_the_first_ten_are_told(make):
    names = [f"r{number}" for number in range(12)]
    recipes = {name: {"forget": "gradient_ascent"} for name in names}
    made = make({f"{name}-0": {"remain": 2.5} for name in names}, recipes=recipes)["recommended"]
    assert made["recipe"] is None
    assert made["reason"].count("harms remain") + made["reason"].count("is not shown") == 10
    assert made["reason"].endswith("; and 2 more.")
