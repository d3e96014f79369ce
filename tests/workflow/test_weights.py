"""Released models: without their weights the run goes on and says what is missing; with them only their jobs run."""

import shutil

import pandas as pd
import pytest
from workflow_tree import MODELS, Tree, jobs

VGGISH = {"metrics": ["quality"], "embeddings": ["musicnn", "vggish"]}
FILE = "weights/vggish/vggish-10086976.pth"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A tree in which nothing has run."""
    return Tree.of_repository(tmp_path_factory.mktemp("weights") / "tree")


def embedding_jobs(planned):
    return [job for job in planned if job.startswith("embed")]


def test_missing_weights_are_named_and_left_out(tree):
    done = tree.snakemake("-n", "--cores", "2", config=VGGISH)
    assert done.returncode == 0
    assert "warning: no weights of vggish" in done.stderr
    assert f"{FILE}: missing; fetch it from https://" in done.stderr
    assert "sha256 10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b" in done.stderr
    assert embedding_jobs(tree.planned(config=VGGISH)) == sorted([*jobs("embed", *MODELS), "embed_reference"])


def test_weights_that_appear_add_the_jobs_of_their_model(tree):
    path = tree.root / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    planned = embedding_jobs(tree.planned(config=VGGISH))
    path.unlink()
    added = [*jobs("embed_released vggish", *MODELS), "embed_reference_released vggish"]
    assert planned == sorted([*jobs("embed", *MODELS), "embed_reference", *added])


def test_without_metrics_of_sound_nothing_is_embedded(tree):
    assert embedding_jobs(tree.planned(config={"metrics": ["association"]})) == []


def test_rows_without_weights_have_a_status_and_only_they_are_made_when_the_weights_come(finished, tmp_path):
    """In a copy of a finished run to which an embedding without weights is added, and then its weights."""
    tree = Tree.of_repository(tmp_path / "tree")
    for name in ("results", ".snakemake"):
        shutil.copytree(finished.root / name, tree.root / name, copy_function=shutil.copyfile)
    added = {"embeddings": ["musicnn", "codec", "vggish"]}
    tree.run("results/tiny/metrics/quality.parquet", config=added)
    rows = pd.read_parquet(tree.results / "metrics/quality.parquet")
    missing = rows[rows["metric"] == "fad_vggish"]
    assert len(missing) == len(MODELS) * 4  # sets
    assert set(missing["status"]) == {f"no weights: {FILE}"}
    assert missing[["value", "ci_low", "ci_high"]].isna().all(axis=None)
    assert (rows.loc[rows["metric"] == "fad_codec", "status"] != f"no weights: {FILE}").all()
    path = tree.root / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    planned = embedding_jobs(tree.planned(config=added))
    assert planned == sorted([*jobs("embed_released vggish", *MODELS), "embed_reference_released vggish"])
