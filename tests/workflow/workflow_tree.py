"""A copy of the repository with its own results, Snakemake run in it, and what a dry run of it plans."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".venv", ".snakemake", ".hypothesis", ".*_cache", "__pycache__", "results", "weights", "*.tmp")
)
TINY = "tests/workflow/tiny.yaml"

MODELS = ("target-0", "gold-0", "ga-0", "ga-1", "none-0")
SCORED = ("likelihood", "association", "membership", "extraction")  # families of metrics, by what they are made from
HEARD = ("continuation", "collapse", "quality", "text_audio", "copying")
FAMILIES = (*SCORED, *HEARD)
EMBEDDINGS = ("musicnn", "codec")


class Tree:
    """The repository's files in a directory of their own."""

    def __init__(self, root):
        self.root = Path(root)
        self.results = self.root / "results" / "tiny"

    @classmethod
    def of_repository(cls, root):
        shutil.copytree(ROOT, root, ignore=LEFT_OUT)
        return cls(root)

    def command(self, *arguments, config=None, configfiles=(TINY,)):
        """The command line of `snakemake`; `config` is a dict that goes over the config files."""
        if config is not None:
            path = self.root / "case.yaml"
            path.write_text(yaml.safe_dump(config))
            configfiles = (*configfiles, path)
        files = ["--configfile", *map(str, configfiles)] if configfiles else []
        return [sys.executable, "-m", "snakemake", *arguments, *files]

    def environment(self, **extra):
        """As a user's shell has it: nothing that pytest set for itself."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHONPATH"))}
        return {**kept, **extra}

    def snakemake(self, *arguments, config=None, configfiles=(TINY,), environment=None):
        command = self.command(*arguments, config=config, configfiles=configfiles)
        environment = self.environment(**(environment or {}))
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    def run(self, *arguments, **options):
        """A run that has to end well."""
        done = self.snakemake("--cores", "2", *arguments, **options)
        assert done.returncode == 0, done.stderr[-5000:]
        return done

    def planned(self, *arguments, **options):
        """Jobs that a dry run plans, sorted: the rule and its wildcards' values, as in `score ga-0`; without `all`."""
        done = self.snakemake("-n", "--cores", "2", *arguments, **options)
        assert done.returncode == 0, done.stderr[-5000:]
        jobs = []
        for line in done.stdout.splitlines():
            if found := re.match(r" *(?:local)?rule (\w+):$", line):  # deeper in a group
                jobs.append(found[1])
            elif found := re.match(r" +wildcards: (.*)$", line):
                jobs[-1] += "".join(f" {pair.split('=')[1]}" for pair in found[1].split(", "))
        return sorted(job for job in jobs if job != "all")

    def files(self, *patterns):
        """Bytes of all results that match, by path; without logs and times."""
        paths = {path for pattern in patterns or ["**/*"] for path in self.results.glob(pattern) if path.is_file()}
        found = {str(path.relative_to(self.results)): path.read_bytes() for path in paths}
        return {name: held for name, held in found.items() if not name.startswith(("logs/", "benchmarks/"))}

    @contextmanager
    def changed(self, path, change):
        """`change(path)` for the length of a block; then the file is back, with its old time."""
        path = self.root / path
        kept = path.with_name(f"{path.name}.kept")
        shutil.copy2(path, kept)
        try:
            change(path)
            yield path
        finally:
            os.replace(kept, path)


def append(text):
    """A change for `Tree.changed`."""
    return lambda path: path.write_text(path.read_text() + text)


def jobs(rule, *wildcards):
    return [f"{rule} {value}" for value in wildcards]


def evaluation(*models):
    """What follows from new models: their own jobs, and all that compares models."""
    own = [job for rule in ("score", "generate", "embed") for job in jobs(rule, *models)]
    return [*own, *jobs("measure", *FAMILIES), *compared(), "curves", "listening"]


def compared():
    """What follows from other embeddings or metrics."""
    return [*jobs("compare_sets", *EMBEDDINGS), "compare", "tables", "figures", "words", "page"]
