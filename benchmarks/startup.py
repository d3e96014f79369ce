"""Start-up: seconds until a process has imported our engine, torch alone, and audiocraft, in turn.

`python -m benchmarks.startup`
"""

import argparse
import subprocess
import sys
import time

from benchmarks import measure

IMPORTS = {
    "python": "pass",
    "torch": "import torch",
    "noencore.musicgen": "import noencore.musicgen",
    "all of noencore.musicgen": "from noencore.musicgen import decode, loss, model, package",
    "audiocraft": "import audiocraft.models",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds

    def start(line):
        return lambda: subprocess.run([sys.executable, "-c", line], check=True, capture_output=True)

    runs = {name: start(line) for name, line in IMPORTS.items()}
    measure.alternate(runs, 1, time.perf_counter)  # files come into memory
    seconds = measure.alternate(runs, rounds, time.perf_counter)
    measure.save(
        "startup",
        {
            "seconds": {name: measure.spread(values) for name, values in seconds.items()},
            "of_torch": {name: measure.ratios(values, seconds["torch"]) for name, values in seconds.items()},
        },
    )


if __name__ == "__main__":
    main()
