"""Ctrl-C and kill -9 in the middle of a stage, then the same command: the same bytes as a run that nobody disturbed."""

import os
import shutil
import signal
import subprocess
import time

from workflow_tree import Tree

SMALL = {"run": ["ga"], "unlearn_seeds": [0], "metrics": ["likelihood", "continuation"]}
PATIENCE = 900.0  # s for one stage to begin, on a busy machine

# files that appear, one after the other, when a stage is under way; files that are there when it is over; the signal
STOPS = [
    (["logs/tokens/*.log", "../store/tokens/*/*.safetensors"], "tokens/*.safetensors", signal.SIGKILL),
    (["logs/tokens/*.log"], "tokens/*.safetensors", signal.SIGINT),
    (["logs/train/*.log", "scratch/*.safetensors"], "models/*/cost.json", signal.SIGINT),
    (["logs/unlearn/*.log", "scratch/*.safetensors"], "models/ga-0/cost.json", signal.SIGKILL),
    (["logs/unlearn/*.log"], "models/ga-0/cost.json", signal.SIGINT),
    (["logs/generate/ga-0.log", "generated/ga-0/audio/*.wav"], "generated/ga-0/generated.parquet", signal.SIGKILL),
    (["logs/generate/ga-0.log"], "generated/ga-0/generated.parquet", signal.SIGINT),
]


def hear_interrupts():
    """A shell has what it runs in the background ignore Ctrl-C, and so would the driver of tests that run there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stop_within(tree, begun, over, how):
    """Run until files that match each of `begun` are new or written again, then signal the driver and its jobs."""

    def state(pattern):
        return {(path, path.stat().st_mtime_ns) for path in tree.results.glob(pattern) if path.exists()}

    deadline, said = time.monotonic() + PATIENCE, tree.root / "said.txt"
    before = state(begun[0])
    with said.open("w") as stderr:
        driver = subprocess.Popen(
            tree.command("--cores", "1", config=SMALL),
            cwd=tree.root, env=tree.environment(), start_new_session=True, stdout=subprocess.DEVNULL, stderr=stderr,
            preexec_fn=hear_interrupts,
        )  # fmt: skip
    try:
        for pattern in begun:
            while driver.poll() is None and not state(pattern) - before:
                assert time.monotonic() < deadline, f"{pattern} did not appear"
                time.sleep(0.01)
            before = state(begun[-1])
    finally:
        os.killpg(driver.pid, how)
    driver.wait(timeout=PATIENCE)
    assert driver.returncode != 0, said.read_text()
    assert not [*tree.results.glob(over)], f"{over} was there before the signal"
    if how == signal.SIGINT:
        assert "Traceback" not in said.read_text(), said.read_text()


def test_killed_at_every_stage_and_run_again(finished, tmp_path):
    calm = Tree.of_repository(tmp_path / "calm")
    for name in ("results", ".snakemake"):
        shutil.copytree(finished.root / name, calm.root / name)
    calm.run(config=SMALL)

    tree = Tree.of_repository(tmp_path / "killed")
    checkpoints = tree.root / "noencore/checkpoints.py"
    checkpoints.write_text(checkpoints.read_text().replace("SECONDS_BETWEEN = 20.0", "SECONDS_BETWEEN = 0.0"))
    for begun, over, how in STOPS:
        stop_within(tree, begun, over, how)
    tree.run("--cores", "1", config=SMALL)

    assert not [*(tree.results / "scratch").iterdir()]
    models = ("target-0", "gold-0", "ga-0")
    patterns = [
        "catalogue.parquet",
        "audio/*",
        "split.parquet",
        "tokens/*",
        "comparison/*",
        "metrics/likelihood*",
        "metrics/continuation*",
        "tables/*",
    ]
    patterns += [f"models/{model}/*" for model in models] + [f"scores/{model}.parquet" for model in models]
    patterns += [f"generated/{model}/**/*" for model in models]
    killed, undisturbed = tree.files(*patterns), calm.files(*patterns)
    assert killed.keys() == undisturbed.keys()
    timed = {name for name in killed if name.endswith("cost.json") or name.startswith("tables/cost.")}
    assert {name for name in killed if killed[name] != undisturbed[name]} <= timed
    assert len(killed) > 100
