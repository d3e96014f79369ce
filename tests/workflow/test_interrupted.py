"""Ctrl-C and kill -9 in the middle of a stage, then the same command: the same bytes as a run that nobody disturbed."""

import os
import shutil
import signal
import subprocess
import time

from workflow_tree import Tree, append

SMALL = {"run": ["ga"], "unlearn_seeds": [0], "metrics": ["likelihood", "continuation"]}
PATIENCE = 2700.0  # s for one stage to begin, on a busy machine

# the script that is stopped, after which call in it, with what among its arguments; files that are there when it is
# over; the signal
STOPS = [
    ("tokens _kept .", "tokens/*.safetensors", signal.SIGKILL),
    ("tokens start .", "tokens/*.safetensors", signal.SIGINT),
    ("train Checkpoint.save .", "models/*/cost.json", signal.SIGINT),
    ("unlearn Checkpoint.save .", "models/ga-0/cost.json", signal.SIGKILL),
    ("unlearn start .", "models/ga-0/cost.json", signal.SIGINT),
    ("generate write_wave ga-0", "generated/ga-0/generated.parquet", signal.SIGKILL),
    ("generate start ga-0", "generated/ga-0/generated.parquet", signal.SIGINT),
]
PLACES = {"tokens": "_kept", "logs": "start", "checkpoints": "Checkpoint.save", "generation": "write_wave"}
# At the end of a module: a job that is to be stopped there says that it has come, and waits for the signal.
UNTIL_STOPPED = """

def _until_stopped(function):
    import sys
    import time
    from pathlib import Path

    def is_stopped(arguments):
        script, place, among = Path("stop").read_text().split()
        return sys.argv[0].endswith(f".{script}.py") and place == "PLACE" and among in str(arguments)

    def call(*arguments, **options):
        done = function(*arguments, **options)
        while Path("stop").exists() and is_stopped(arguments):
            Path("stopped").touch()
            time.sleep(0.05)
        return done

    return call


PLACE = _until_stopped(PLACE)
"""


def hear_interrupts():
    """A shell has what it runs in the background ignore Ctrl-C, and so would the driver of tests that run there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stop_within(tree, where, over, how):
    """Run until a job has come to where it is stopped, then signal the driver and its jobs."""
    stop, stopped, said = (tree.root / name for name in ("stop", "stopped", "said.txt"))
    stop.write_text(where)
    with said.open("w") as stderr:
        driver = subprocess.Popen(
            tree.command("--cores", "1", config=SMALL),
            cwd=tree.root, env=tree.environment(), start_new_session=True, stdout=subprocess.DEVNULL, stderr=stderr,
            preexec_fn=hear_interrupts,
        )  # fmt: skip
    deadline = time.monotonic() + PATIENCE
    while driver.poll() is None and not stopped.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    reached = driver.poll() is None and stopped.exists()
    if driver.poll() is None:
        os.killpg(driver.pid, how if reached else signal.SIGKILL)
    driver.wait(timeout=PATIENCE)
    assert reached, f"no job came to {where}\n{said.read_text()}"
    assert driver.returncode != 0, said.read_text()
    assert not [*tree.results.glob(over)], f"{over} was there before the signal"
    if how == signal.SIGINT:
        assert "Traceback" not in said.read_text(), said.read_text()
    for path in (stop, stopped):
        path.unlink()


def test_killed_at_every_stage_and_run_again(finished, tmp_path):
    calm = Tree.of_repository(tmp_path / "calm")
    for name in ("results", ".snakemake"):
        shutil.copytree(finished.root / name, calm.root / name)
    calm.run(config=SMALL)

    tree = Tree.of_repository(tmp_path / "killed")
    checkpoints = tree.root / "noencore/checkpoints.py"
    checkpoints.write_text(checkpoints.read_text().replace("SECONDS_BETWEEN = 20.0", "SECONDS_BETWEEN = 0.0"))
    for module, place in PLACES.items():
        append(UNTIL_STOPPED.replace("PLACE", place))(tree.root / f"noencore/{module}.py")
    for stop in STOPS:
        stop_within(tree, *stop)
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
