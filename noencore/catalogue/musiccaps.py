"""MusicCaps (Agostinelli et al., arXiv 2301.11325): captions of ten seconds of YouTube videos, by ten musicians.

The table is public (musiccaps-public.csv, 5,521 rows, CC BY-SA 4.0); neither it nor the audio is in this repository.
There is no artist in it: MusicCaps can be a remain or a utility set, and no forget set of one artist.
"""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd

from noencore.catalogue.listing import make_listing
from noencore.catalogue.tables import check_columns, read_table
from noencore.catalogue.wanted import Wanted, is_address
from noencore.errors import UserError

COLUMNS = ("ytid", "start_s", "end_s", "aspect_list", "caption", "is_balanced_subset", "is_audioset_eval")
YOUTUBE = "https://www.youtube.com/watch?v={ytid}"
LONGEST = 60.0  # s of a segment; all of the public table have ten
LICENCE = "caption: CC BY-SA 4.0; audio: its uploader's on YouTube"
TRUTH = {"True": True, "False": False}


def manifest_of(settings):
    """The table's path."""
    return Path(settings["path"])


def read_musiccaps(path):
    """The table, checked and in order of ytid and start: ytid, start, end (s), caption, aspects (tuple of text),
    balanced and eval (bool; the video's place in AudioSet).

    Raises UserError, naming the row (1 is the first below the head), where something is not as in the public table.
    """
    table = read_table(path)
    check_columns(table, COLUMNS, path)
    if table.empty:
        raise UserError(f"{path}: has no rows; give musiccaps-public.csv")
    rows = [_read_row(row, f"{path}: row {number}") for number, row in enumerate(table.to_dict("records"), start=1)]
    frame = pd.DataFrame(rows).sort_values(["ytid", "start", "end"], ignore_index=True)
    twice = frame[frame.duplicated(["ytid", "start"])]
    if len(twice):
        raise UserError(f"{path}: {twice['ytid'].iloc[0]} is there twice with one start; remove one row")
    return frame


def choose(frame, settings):
    """The rows that a config asks for: without those that mention a word of `without`, and of these a seeded draw.

    A draw of more rows has all rows of a draw of fewer.
    """
    for word in settings.get("without", []):
        text = frame["caption"] + "\n" + frame["aspects"].map("\n".join)
        frame = frame[~text.str.contains(word, case=False, regex=False)]
    draw = settings.get("draw")
    if draw:
        if draw["rows"] > len(frame):
            raise UserError(f"config: catalogue.draw.rows: {draw['rows']} is more than the {len(frame)} rows there are")
        frame = frame.iloc[np.sort(np.random.default_rng(draw["seed"]).permutation(len(frame))[: draw["rows"]])]
    if frame.empty:
        raise UserError(f"{settings['path']}: catalogue.without leaves no rows; name fewer words")
    return frame.reset_index(drop=True)


def wanted(settings):
    """The segments to be fetched, as Wanted. Raises UserError where the table or the address is not as it should be."""
    template = settings.get("url", YOUTUBE)
    if template.count("{ytid}") != 1 or not is_address(template.replace("{ytid}", "x")):
        raise UserError(f"config: catalogue.url: '{template}' is no http(s) address with {{ytid}} in it once")
    frame = choose(read_musiccaps(manifest_of(settings)), settings)
    return [
        Wanted(_file(row), template.replace("{ytid}", row.ytid), row.start, row.end)
        for row in frame.itertuples(index=False)
    ]


def list_musiccaps(settings, name, fetched):
    """The listing; columns of its own are `aspects` and `audioset`, the part of it that the video is in: train or eval.

    fetched: a `Fetched`, what is known of the files to be fetched.
    """
    frame = choose(read_musiccaps(manifest_of(settings)), settings)
    rows = pd.DataFrame(
        {
            "caption": frame["caption"],
            "title": frame["ytid"],
            "aspects": frame["aspects"].map("; ".join),
            "audioset": np.where(frame["eval"], "eval", "train"),
            "licence": LICENCE,
        },
        dtype=object,
    )
    places = fetched.places([_file(row) for row in frame.itertuples(index=False)])
    return make_listing(name, fetched.root, rows, places)


def _file(row):
    return f"yt_{row.ytid}-{round(row.start * 1000)}.flac"


def _read_row(row, where):
    if not re.fullmatch(r"[A-Za-z0-9_-]{11}", row["ytid"], re.ASCII):
        raise UserError(f"{where}: ytid {row['ytid'][:40]!r} is not the 11 characters of a video's id; correct it")
    start, end = (_number(row, name, where) for name in ("start_s", "end_s"))
    if not 0 <= start < end <= start + LONGEST:
        raise UserError(f"{where}: from {start:g} s to {end:g} s is no segment of up to {LONGEST:g} s; correct it")
    if not row["caption"].strip():
        raise UserError(f"{where}: no caption; give musiccaps-public.csv as it is")
    for name in ("is_balanced_subset", "is_audioset_eval"):
        if row[name] not in TRUTH:
            raise UserError(f"{where}: {name} is {row[name][:40]!r}, not True or False; correct it")
    return {
        **{"ytid": row["ytid"], "start": start, "end": end, "caption": row["caption"]},
        "aspects": _aspects(row["aspect_list"], where),
        **{"balanced": TRUTH[row["is_balanced_subset"]], "eval": TRUTH[row["is_audioset_eval"]]},
    }


def _number(row, name, where):
    try:
        return float(row[name])
    except ValueError:
        raise UserError(f"{where}: {name} is {row[name][:40]!r}, not a number; correct it") from None


def _aspects(text, where):
    """A Python list of texts, read as data: it is a literal, and nothing of it is run."""
    try:
        aspects = ast.literal_eval(text) if len(text) < 10_000 else None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        aspects = None
    if not isinstance(aspects, list) or not all(isinstance(aspect, str) for aspect in aspects):
        raise UserError(f"{where}: aspect_list is no Python list of texts; give musiccaps-public.csv as it is")
    return tuple(aspects)
