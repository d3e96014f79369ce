"""The commands of the README, and what the rules and the tables promise."""

import re

import pandas as pd
import pytest
import yaml
from workflow_tree import EMBEDDINGS, FAMILIES, MODELS, ROOT, Tree, jobs

from noencore.comparison.names import COMPARED, name_of
from noencore.embeddings import MODELS as EMBEDDING_MODELS

METRICS_COLUMNS = [
    *("model", "recipe", "unlearn_seed", "set", "metric", "value", "ci_low", "ci_high", "ci_method", "n", "n_works"),
    *("d", "effective_rank", "seed", "gold_mean", "gap_to_gold"),
]


def table(finished, name):
    return pd.read_csv(finished.results / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""])


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A tree without results."""
    return Tree.of_repository(tmp_path_factory.mktemp("fresh") / "tree")


def rules():
    """name -> text of every rule of workflow/rules/."""
    found = {}
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        parts = re.split(r"^\s*rule (\w+):$", path.read_text(), flags=re.MULTILINE)
        found |= dict(zip(parts[1::2], parts[2::2]))
    return found


def test_every_command_that_is_written_down_says_how_many_cores():
    """Without --cores, or a profile that has a number, Snakemake runs nothing."""
    pages = [*ROOT.glob("docs/*.md"), *ROOT.glob("*.md"), *ROOT.glob("resources/*.md"), *ROOT.glob("presets/*.yaml")]
    found = []
    for page in [*pages, *ROOT.glob("profiles/*/config.yaml"), ROOT / "config.yaml", ROOT / "Snakefile"]:
        lines = re.findall(r"(?:`|^#? *)(snakemake [^`]*?--[^`\n]*(?:\n[^`\n]*(?=`))?)", page.read_text(), re.MULTILINE)
        found += [(page.name, " ".join(line.split())) for line in lines]
    assert len(found) > 20
    enough = r"--cores|--workflow-profile| -n\b|--report|--lint"
    assert [command for command in found if not re.search(enough, command[1])] == []


def test_every_rule_says_where_it_logs_and_what_it_depends_on():
    for name, text in rules().items():
        sent = [] if "localrule: True" in text else ["resources:", "mem_mb=", "runtime="]
        for directive in ("log:", "conda:", "params:", "script:", "spec=", "code=", *sent):
            assert directive in text, (name, directive)


def test_the_default_run_has_a_job_of_every_rule(fresh):
    planned = fresh.planned(configfiles=())
    of_other_configs = {
        "train_codec",
        "reference",
        "tune",
        "import_model",
        "export",
        "fetch",
        "preflight",
        "fetch_audio",
    }
    assert {job.split()[0] for job in planned} == set(rules()) - of_other_configs


def test_the_presets_plan(fresh):
    assert "unlearn rl_tokens-0" in fresh.planned(configfiles=("presets/smoke.yaml",))
    assert fresh.planned("train_codec", configfiles=("presets/codec.yaml",)) == ["train_codec"]
    for name, recipe in (("tuned", "npo_lora"), ("musicgen-small", "npo_kl_lora")):
        recipes = f"presets/{name}.yaml"
        assert f"unlearn {recipe}-0" in fresh.planned(configfiles=(recipes,))
        grid = fresh.planned("tune", configfiles=(recipes, f"presets/{name}-tune.yaml"))
        assert "tune" in grid
        assert f"unlearn {recipe}_1-0" in grid


def test_braces_in_the_config_are_no_wildcards(fresh):
    assert fresh.planned(config={"split": {"forget": {"artist": "{Ann}"}}}) == fresh.planned()


def test_the_slurm_profile_plans_what_the_default_plans(fresh):
    plain = fresh.planned()
    assert fresh.planned("--workflow-profile", "profiles/slurm") == plain
    assert len(plain) == 44


def test_the_slurm_profile_has_a_line_for_every_rule_that_is_sent():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    inherited = {
        name
        for path in (ROOT / "workflow/rules").glob("*.smk")
        for name in re.findall(r" as (\w+) with:", path.read_text())
    }
    local = {name for name, text in rules().items() if "localrule: True" in text}
    sent = (set(rules()) | inherited) - local
    assert set(profile["set-resources"]) == sent
    assert {pair.split("=")[0] for pair in profile["groups"]} <= sent
    for name, line in profile["set-resources"].items():
        assert str(line["mem_mb"]).startswith("attempt * "), name
    on_a_card = {name for name, text in rules().items() if "gpu=GPU" in text}
    assert {name for name, line in profile["set-resources"].items() if line.get("gpu")} == on_a_card


def test_a_second_run_has_nothing_to_do(finished):
    before = finished.files()
    again = finished.run("--rerun-incomplete")
    assert "Nothing to be done" in again.stdout + again.stderr
    assert finished.files() == before


def test_forcerun_runs_what_is_named_again_to_the_same_bytes(finished):
    assert "unlearn ga-1" in finished.planned("--forcerun", "unlearn")
    before = finished.files()
    done = finished.run("--forcerun", "compare")
    assert "recipe" in done.stdout
    assert "NLL forget" in done.stdout  # the summary, on the terminal
    assert finished.files() == before


def test_margins_may_name_the_metrics_that_models_are_compared_by_and_no_others(finished):
    """All that this run can have: its clips are too few for a rate of copies, and too short for KL."""
    names = [name for name in COMPARED if not re.match("kl_|copy_.*rate", name)]
    not_here = [*(set(EMBEDDING_MODELS) - set(EMBEDDINGS)), "laion_clap"]
    expected = {name for name in names if not name.endswith(tuple(not_here))}
    assert {name_of(metric) for metric in table(finished, "comparisons")["metric"]} == expected


def test_the_tables_have_their_columns(finished):
    metrics = table(finished, "metrics")
    assert list(metrics.columns[: len(METRICS_COLUMNS)]) == METRICS_COLUMNS
    assert set(metrics["model"]) == set(MODELS)
    assert {"version", "weights_sha256", "reference_sha256"} <= set(metrics.columns)
    good = metrics["status"] == "ok"
    assert good.any()
    assert metrics.loc[good, ["value", "n"]].notna().all(axis=None)
    assert (metrics["value"].notna() | (metrics["status"] != "ok")).all()
    unsure = metrics["status"].str.startswith(("no interval", "small sample", "left out"))
    assert metrics.loc[~good & ~unsure, "value"].isna().all()
    assert metrics.loc[metrics["status"].str.startswith("no interval"), ["ci_low", "ci_high"]].isna().all(axis=None)
    assert list(table(finished, "summary").columns[:2]) == ["recipe", "n_seeds"]
    assert set(table(finished, "summary")["recipe"]) == {"target", "gold", "none", "ga"}
    assert list(table(finished, "curves").columns) == ["model", "step", "set", "nll", "n"]
    assert set(table(finished, "cost")["model"]) == set(MODELS)
    assert len(table(finished, "findings"))


def test_every_family_is_in_the_metrics_table(finished):
    parts = [pd.read_parquet(finished.results / "metrics" / f"{family}.parquet") for family in FAMILIES]
    metrics = table(finished, "metrics")
    near_gold = metrics["metric"].str.contains("ks_gold|privleak|_similarity$")  # made where the models are compared
    near_gold &= metrics["metric"] != "copy_window_similarity"
    assert near_gold.sum() == len(MODELS) * (3 * 4 + 5 + 1)
    assert (~near_gold).sum() == sum(map(len, parts))
    assert set(metrics["metric"][~near_gold]) == {metric for part in parts for metric in part["metric"]}


def test_none_is_the_target(finished):
    metrics = table(finished, "metrics")
    numbers = ["set", "metric", "value", "ci_low", "ci_high", "n", "gold_mean", "gap_to_gold", "status"]
    of = {model: metrics.loc[metrics["model"] == model, numbers].reset_index(drop=True) for model in MODELS}
    pd.testing.assert_frame_equal(of["none-0"], of["target-0"])
    assert not of["ga-0"].equals(of["target-0"])
    weights = finished.files("models/*/model.safetensors")
    assert weights["models/ga-0/model.safetensors"] != weights["models/ga-1/model.safetensors"]


def test_one_stage_can_be_asked_for(fresh):
    expected = ["catalogue", *jobs("tokens", 0)]
    assert fresh.planned("results/tiny/tokens/shard-0.safetensors") == expected
