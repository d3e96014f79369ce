"""What was cut before, kept by content: a killed run goes on where it was, and ten added files cost ten files.

An entry is named by all that its clips depend on (bytes of the file, span, cut) and lies in a directory for one version
of the code. Its wav files are hard links to those of the run, where the file system has such, so they take no space.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict

from noencore.files import atomic, sha256, write_json


def key_of(recording, path, cut):
    """Name of the entry of a recording, a row of `listing.recordings`, whose file is `path`."""
    parts = [sha256(path), recording["recording"], str(recording["start"]), str(recording["duration"]), asdict(cut)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def find(store, key, wav_of):
    """What was measured of a recording, its wav files put at `wav_of(window)`; None where it is not there whole."""
    try:
        measured = json.loads((store / key[:2] / f"{key}.json").read_text())
    except (OSError, ValueError):
        return None
    good = [clip for clip in measured["clips"] if clip["status"] == "ok"]
    for clip in good:
        wav = _wav(store, key, clip["window"])
        if not wav.exists() or sha256(wav) != clip["sha256"]:
            return None
    for clip in good:
        _link(_wav(store, key, clip["window"]), wav_of(clip["window"]))
    return measured


def keep(store, key, measured, wav_of):
    """Keep what was measured, and the wav files at `wav_of(window)`; the json, which makes it an entry, comes last."""
    for clip in measured["clips"]:
        if clip["status"] == "ok":
            _link(wav_of(clip["window"]), _wav(store, key, clip["window"]))
    write_json(measured, store / key[:2] / f"{key}.json")


def _wav(store, key, window):
    return store / key[:2] / f"{key}-{window}.wav"


def _link(source, path):
    with atomic(path) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
