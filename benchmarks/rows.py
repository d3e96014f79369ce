"""The catalogue of a csv of so many rows without its audio: what the rows and the search for near-duplicates cost.

`python -m benchmarks.rows DIRECTORY ROWS` makes one in a directory; benchmarks.large measures that.
"""

import sys
from pathlib import Path

import numpy as np

from noencore.catalogue import cutting
from noencore.catalogue.near_duplicates import PART, SKETCH
from noencore.catalogue.sources import list_source
from noencore.files import write_parquet
from noencore.fingerprint import HOP, SAMPLE_RATE

CUT = cutting.Cut(clips_per_work=3, clip_seconds=4.0, seed=0, sample_rate=16000)
COMMON = np.random.default_rng(0).integers(2**32, size=1000, dtype=np.uint32)  # entries that strangers share
PARTS = 3  # of each recording: three minutes
SIZE, FRAMES = PARTS * SKETCH, PARTS * PART * SAMPLE_RATE // HOP  # of its sketch, of its times
TWIN = 20  # each of so many recordings shares half of its sketch with the next


def make_manifest(root, rows):
    """A csv of so many rows, and an empty file for each."""
    (root / "music").mkdir()
    with open(root / "list.csv", "w") as file:
        file.write("file,artist,title,caption\n")
        for row in range(rows):
            file.write(f"music/{row:07}.wav,artist {row % 5000},{row},a slow air number {row} for the fiddle in D\n")
            (root / f"music/{row:07}.wav").touch()


def heard(recording, path, cut, wav_of):
    """What `cutting` would measure of a recording, drawn: an eighth of each sketch is COMMON."""
    row = int(recording["title"])
    draw = np.random.default_rng(row)
    keys, times = entries(row)
    if row % TWIN == 0:
        keys[: SIZE // 2], times[: SIZE // 2] = (half[: SIZE // 2] for half in entries(row + 1))
    order = np.argsort(keys)
    clips = [
        {"window": window, "start": 4.0 * window, "status": "ok", "reason": "", "loudness": -20.0}
        | {"sha256": draw.bytes(32).hex()}
        for window in range(cut.clips_per_work)
    ]
    sketch = [keys[order].tolist(), times[order].tolist(), PARTS]
    return {"rate": 44100, "channels": 2, "clips": clips, "sketch": sketch}


def entries(row):
    draw = np.random.default_rng([row, 1])
    keys, times = draw.integers(2**32, size=SIZE, dtype=np.uint32), draw.integers(FRAMES, size=SIZE)
    keys[-SIZE // 8 :] = draw.choice(COMMON, SIZE // 8)
    return keys, times


def main(root, rows):
    make_manifest(root, rows)
    columns = {"audio": "file", "artist": "artist", "title": "title", "caption": "caption"}
    listing = list_source({"source": "csv", "path": str(root / "list.csv"), "columns": columns})
    cutting._measure = heard  # the processes that cut are forks of this one
    catalogue = cutting.build_catalogue(listing, CUT, root / "audio", workers=2)
    write_parquet(catalogue, root / "catalogue.parquet")
    if (catalogue["duplicate_of"] != "").sum() != 2 * -(-rows // TWIN) * CUT.clips_per_work:
        sys.exit("error: the near-duplicates are not those that were made")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
