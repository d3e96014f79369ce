"""How a tune is played: its kind, its tempo, the seconds of each note, and the words that say so."""

import re

import numpy as np

# Quarter notes a minute. A dance tune is recognised by its rhythm field, the rest by metre.
TEMPI = {
    "reel": 180,
    "hornpipe": 150,
    "jig": 168,
    "slip jig": 168,
    "polka": 130,
    "march": 110,
    "waltz": 126,
    "strathspey": 120,
    "air": 92,
}

MODES = {
    "": "major",
    "maj": "major",
    "m": "minor",
    "min": "minor",
    "dor": "dorian",
    "mix": "mixolydian",
    "aeo": "minor",
}


def kind(tune):
    """The tune type, a key of TEMPI. Airs and harp pieces, which carry no rhythm field, are airs."""
    rhythm = tune.rhythm.replace("slipjig", "slip jig")
    for name in sorted(TEMPI, key=len, reverse=True):
        if name in rhythm:
            return name
    return "air"


def key_name(tune):
    """The key in words ("D major", "A dorian"), or "an unnamed key" where the field cannot be read."""
    found = re.match(r"([A-G])([b#]?)\s*([A-Za-z]{0,3})", tune.key)
    if not found or found.group(3).lower() not in MODES:
        return "an unnamed key"
    accidental = {"": "", "b": " flat", "#": " sharp"}[found.group(2)]
    return f"{found.group(1)}{accidental} {MODES[found.group(3).lower()]}"


def metre_name(tune):
    """The metre as a fraction: common time is 4/4, cut time 2/2."""
    return {"C": "4/4", "C|": "2/2", "": "free"}.get(tune.metre.strip(), tune.metre.strip())


def tempo_word(quarters_a_minute):
    """Slow below 100 quarter notes a minute, moderate to 140, fast from there."""
    return "slow" if quarters_a_minute < 100 else "moderate" if quarters_a_minute < 140 else "fast"


def seconds(notes, quarters_a_minute):
    """(onset, length, pitch, is_grace) in quarters -> array [n, 3] of onset s, length s, MIDI pitch."""
    table = np.array([(onset, length, pitch) for onset, length, pitch, _ in notes], dtype=np.float64)
    table[:, :2] *= 60 / quarters_a_minute
    return table
