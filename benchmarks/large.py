"""Large catalogues: seconds and memory of the rows of a csv, of the split and of a dry run, by their number.

`python -m benchmarks.large`
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from benchmarks import measure
from noencore.digest import canonical
from noencore.files import write_parquet

ROOT = Path(__file__).parents[1]
NEEDED = ("Snakefile", "config.yaml", "noencore", "profiles", "resources", "workflow")
CLIPS_PER_WORK = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--clips-per-shard", type=int, default=1_000)
    arguments = parser.parse_args()
    found = {str(clips): at_size(clips, max(1, clips // arguments.clips_per_shard)) for clips in arguments.clips}
    measure.save("large", found)


def at_size(clips, shards):
    """What a catalogue of so many clips costs before any job runs: dict of step -> {seconds, peak_mb}."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name in NEEDED:
            (root / name).symlink_to(ROOT / name)
        config = yaml.safe_load((root / "config.yaml").read_text())
        run, made = root / "results" / "large", root / "made"
        made.mkdir()
        make_run(run, clips, canonical({"catalogue": config["catalogue"]}))
        (root / "large.yaml").write_text(yaml.safe_dump({"experiment": "large", "tokens": {"shards": shards}}))
        snakemake = ["-m", "snakemake", "--dry-run", "--configfile", "large.yaml"]
        steps = {
            "catalogue without audio": ["-m", "benchmarks.rows", str(made), str(clips)],
            "split": ["-c", f"{SPLIT}split('{run}')"],
            "dry run": [*snakemake, "--cores", "2"],
            "dry run, profiles/slurm": [*snakemake, "--workflow-profile", "profiles/slurm"],
            "dry run: results looked at": ["-c", f"{CHECK}('{run}')"],
        }
        return {"shards": shards} | {name: cost(step, root) for name, step in steps.items()}


CHECK = "from noencore.preflight import check_results as check; check"
SPLIT = """
import yaml
from noencore.experiment import expanded, split_spec
from noencore.files import read_parquet
from noencore.split import SplitRule, make_split
def split(run):
    spec = split_spec(expanded(yaml.safe_load(open("config.yaml"))))
    make_split(read_parquet(run + "/catalogue.parquet"), SplitRule(**spec["rule"]), spec["needed"])
"""


def make_run(run, clips, spec):
    """A catalogue in three sources and artists, and a file for each clip, empty: nothing here reads audio."""
    draw = np.random.default_rng(0)
    ids = [f"clip-{number:07}" for number in range(clips)]
    works = [f"work-{number // CLIPS_PER_WORK:07}" for number in range(clips)]
    kinds = draw.integers(3, size=-(-clips // CLIPS_PER_WORK)).repeat(CLIPS_PER_WORK)[:clips]
    catalogue = pd.DataFrame(
        {
            "clip_id": ids,
            "work_id": works,
            "group": works,
            "source": np.array(["oneills1850", "oneills1850", "ryansMammoth"])[kinds],
            "artist": np.array(["Turlough O'Carolan", "traditional", "traditional"])[kinds],
            "caption": [f"a slow air number {number} for the fiddle in D major" for number in range(clips)],
            "path": [f"audio/{clip}.wav" for clip in ids],
            "sha256": [draw.bytes(32).hex() for _ in ids],
            "status": "ok",
        }
    )
    catalogue.attrs["spec"] = spec
    write_parquet(catalogue, run / "catalogue.parquet")
    (run / "audio").mkdir()
    for path in catalogue["path"]:
        (run / path).touch()


COST = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run([sys.executable, *sys.argv[1:]], capture_output=True, text=True)
if done.returncode:
    sys.exit(done.stderr)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"seconds": time.perf_counter() - started, "peak_mb": peak}))
"""


def cost(arguments, directory):
    """Seconds by the clock and most memory (MiB) of a Python process.

    A small process starts it: one that is started from here counts what we hold as its own.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", COST, *arguments]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
