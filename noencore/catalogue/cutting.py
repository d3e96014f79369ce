"""From a listing to a catalogue: recordings read, windows drawn and written as wav, near-duplicates put in one group.

A file that cannot be used is a row with a status and a reason, also where a decoder crashes on it. Rows and bytes are
functions of each recording and the seed, whatever else is in the catalogue and however many processes read.
"""

import multiprocessing
import os
import zlib
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import soxr

from noencore import fingerprint
from noencore.catalogue import kept
from noencore.catalogue.audio import BadAudio, Span, read_spans
from noencore.catalogue.listing import LISTED, recordings
from noencore.catalogue.near_duplicates import PART, Sketch, duplicate_pairs, entries, merge_groups, sketch
from noencore.errors import UserError
from noencore.files import atomic, sha256

SILENCE = -60.0  # dBFS RMS: a window below it is silent
SLACK = 0.05  # s that a recording may lack of its last window; made up with silence
CHUNK = 16  # recordings a process takes at a time

UNUSED = "catalogue.unused.csv"  # beside the log: also there where too few recordings can be used
COLUMNS = [
    *("clip_id", "source", "artist", "work_id", "group", "title", "caption", "start", "duration", "path", "sha256"),
    *("licence", "status", "reason", "file", "rate", "channels", "loudness", "duplicate_of"),
]


@dataclass(frozen=True)
class Cut:
    """clips_per_work windows of clip_seconds from each recording, at sample_rate (Hz).

    The grid of windows has a drawn beginning, and the windows are drawn from it without overlap.
    """

    clips_per_work: int
    clip_seconds: float
    seed: int
    sample_rate: int


def build_catalogue(listing, cut, audio_directory, workers=1, progress=iter, store=None):
    """Cut the recordings of a listing into 16-bit wav files; returns the catalogue, one row a clip or unused recording.

    Paths are relative to the parent of `audio_directory`. store: a directory for this version of the code, where clips
    are kept for the next run.
    """
    rows, sketches, works = [], [], []
    todo = recordings(listing).to_dict("records")
    work = partial(_cut_recording, cut=cut, directory=Path(audio_directory), store=store and Path(store))
    for recording, (clips, heard) in zip(todo, _cut_all(todo, work, workers, progress)):
        rows += clips
        if heard is not None:
            sketches.append(heard)
            works.append(recording["work_id"])
    groups, twins = merge_groups(works, duplicate_pairs(sketches))
    catalogue = pd.DataFrame(rows)
    catalogue["group"] = [groups.get(work, work) for work in catalogue["work_id"]]
    catalogue["duplicate_of"] = [twins.get(work, "") for work in catalogue["work_id"]]
    extra = sorted(set(listing) - {*LISTED, *COLUMNS})
    return catalogue.reindex(columns=[*COLUMNS, *extra]).sort_values("clip_id", ignore_index=True)


def check_usable(catalogue, least):
    """Raise UserError where clips of less than a share `least` of a catalogue's recordings can be used."""
    of_clip = catalogue["clip_id"].str.rpartition("-")[0]
    recording = catalogue["clip_id"].where(catalogue["start"].isna(), of_clip)
    usable, there = recording[catalogue["status"] == "ok"].nunique(), recording.nunique()
    if usable < max(least * there, 1):
        why = ", ".join(f"{name} {count}" for name, count in catalogue["status"].value_counts().items())
        raise UserError(
            f"config: catalogue.min_usable: {usable} of {there} recordings can be used, and {least:.0%} are asked for "
            f"({why}); mend those that logs/{UNUSED} names, or lower the key"
        )


def describe(catalogue):
    """What the run says of a catalogue: a list of lines."""
    used = catalogue[catalogue["status"] == "ok"]
    lines = [f"{len(used)} clips of {used['work_id'].nunique()} works by {used['artist'].nunique()} artists"]
    for status, rows in catalogue[catalogue["status"] != "ok"].groupby("status"):
        first = rows.iloc[0]
        lines.append(f"not used, {status}: {len(rows)} (first: {first['file']}: {first['reason']})")
    twins = used[used["duplicate_of"] != ""]
    if len(twins):
        groups = used.groupby("group")[["artist", "work_id"]].nunique()
        lines.append(
            f"near-duplicates: {twins['work_id'].nunique()} works in {twins['group'].nunique()} groups "
            f"of up to {groups['work_id'].max()} works, {(groups['artist'] > 1).sum()} of them under several artists; "
            "a group is split as one work"
        )
    return lines


def _cut_all(todo, work, workers, progress):
    """(rows, sketch or None) of each recording, in order. A recording that kills its process is a row like others."""
    context = multiprocessing.get_context("fork")
    done = 0
    bar = iter(progress(todo))
    while done < len(todo):
        pool = ProcessPoolExecutor(workers, context)
        try:
            for result in pool.map(work, todo[done:], chunksize=CHUNK):
                yield result
                done += 1
                next(bar, None)
        except BrokenProcessPool:
            for recording in todo[done : done + CHUNK]:  # the chunk that was lost: one process for each
                yield _cut_alone(work, recording, context)
                done += 1
        finally:
            pool.shutdown(cancel_futures=True)


def _cut_alone(work, recording, context):
    with ProcessPoolExecutor(1, context) as pool:
        try:
            return pool.submit(work, recording).result()
        except BrokenProcessPool:
            return _unused(recording, BadAudio("unreadable", "the decoder crashed on it")), None


def _cut_recording(recording, cut, directory, store):
    if recording["status"]:
        return _unused(recording, BadAudio(recording["status"], recording["reason"])), None
    path = os.path.join(recording["root"], recording["file"])

    def wav_of(window):
        return directory / f"{recording['recording']}-{window:03d}.wav"

    try:
        key = kept.key_of(recording, path, cut) if store else ""
        measured = kept.find(store, key, wav_of) if store else None
        if measured is None:
            measured = _measure(recording, path, cut, wav_of)
            if store:
                kept.keep(store, key, measured, wav_of)
    except BadAudio as bad:
        return _unused(recording, bad), None
    except OSError as error:
        return _unused(recording, BadAudio("unreadable", f"cannot be read: {error.strerror}")), None
    keys, times, parts = measured["sketch"]
    heard = Sketch(np.array(keys, np.uint32), np.array(times, np.int32), parts)
    return _rows(recording, measured, cut, directory.name), heard


def _measure(recording, path, cut, wav_of):
    """What the audio of a recording says: rate, channels, its windows as `clips`, its `sketch`; wav files written."""
    windows = []

    def choose(frames, rate):
        windows.extend(_windows(recording, frames / rate, cut))
        size = round(cut.clip_seconds * rate)
        clips = [Span(round(start * rate), size) for _, start in windows]
        return [*clips, *_parts(recording, frames, rate)]

    rate, channels, results = read_spans(path, choose)
    clips = [
        {"window": window, "start": start, **_write(wav_of(window), wave, rate, cut)}
        for (window, start), wave in zip(windows, results)
    ]
    heard = sketch(results[len(windows) :])
    kept_sketch = [heard.keys.tolist(), heard.times.tolist(), heard.parts]
    return {"rate": rate, "channels": channels, "clips": clips, "sketch": kept_sketch}


def _rows(recording, measured, cut, folder):
    about = {**_about(recording), "rate": measured["rate"], "channels": measured["channels"]}
    captions, turn = recording["caption"], zlib.crc32(recording["recording"].encode())
    rows = []
    for number, clip in enumerate(measured["clips"]):
        row = {**about, **clip, "duration": cut.clip_seconds, "caption": captions[(number + turn) % len(captions)]}
        row["clip_id"] = f"{recording['recording']}-{row.pop('window'):03d}"
        if row["status"] == "ok":
            row["path"] = f"{folder}/{row['clip_id']}.wav"
        rows.append(row)
    return rows


def _about(recording):
    left_out = ("root", "size", "status", "reason", "caption", "start", "duration")
    return {name: value for name, value in recording.items() if name not in left_out}


def _unused(recording, bad):
    caption = recording["caption"][0]
    return [
        {**_about(recording), "clip_id": recording["recording"], "caption": caption}
        | {"status": bad.status, "reason": bad.reason}
    ]


def _windows(recording, seconds, cut):
    """(number, start in s) of the windows of a recording, in order of time. Raises BadAudio where none fits."""
    begin = 0.0 if np.isnan(recording["start"]) else recording["start"]
    end = seconds if np.isnan(recording["duration"]) else min(seconds, begin + recording["duration"])
    count = int((end - begin + SLACK) // cut.clip_seconds)
    if count < 1:
        span = f" from {begin:g} s on" if begin else ""
        raise BadAudio("short", f"{max(0.0, end - begin):.2f} s{span}, shorter than one clip of {cut.clip_seconds} s")
    rng = np.random.default_rng([cut.seed, zlib.crc32(recording["recording"].encode())])
    spare = max(0.0, end - begin - count * cut.clip_seconds)
    begin += np.floor(rng.uniform(0, spare) * 1000) / 1000
    chosen = np.sort(rng.permutation(count)[: cut.clips_per_work])
    return [(int(window), round(float(begin + window * cut.clip_seconds), 6)) for window in chosen]


def _parts(recording, frames, rate):
    """Spans of PART seconds that a recording is heard in, to the end of it or of the audio."""
    begin = 0 if np.isnan(recording["start"]) else round(recording["start"] * rate)
    end = frames if np.isnan(recording["duration"]) else min(frames, begin + round(recording["duration"] * rate))
    firsts = range(begin, end, PART * rate)
    return [Span(first, min(PART * rate, end - first), partial(_entries, rate=rate)) for first in firsts]


def _entries(wave, rate):
    if not np.isfinite(wave).all():
        wave = np.zeros(0, np.float32)
    return entries(soxr.resample(wave, rate, fingerprint.SAMPLE_RATE, quality="HQ"))


def _write(path, wave, rate, cut):
    """Columns of one clip: its file where it is good, else status and reason."""
    wanted = round(cut.clip_seconds * rate)
    if len(wave) < wanted - SLACK * rate - 1:
        return {"status": "truncated", "reason": "ends inside the window"}
    if not np.isfinite(wave).all():
        return {"status": "nonfinite", "reason": "samples that are no numbers"}
    size = round(cut.clip_seconds * cut.sample_rate)
    wave = soxr.resample(wave, rate, cut.sample_rate, quality="VHQ")[:size]
    wave = np.clip(np.pad(wave, (0, size - len(wave))), -1.0, 1.0)
    loudness = 10 * np.log10(max(float(np.mean(np.square(wave, dtype=np.float64))), 1e-12))
    if loudness < SILENCE:
        return {"status": "silent", "reason": f"{loudness:.0f} dBFS", "loudness": round(loudness, 2)}
    with atomic(path) as temporary:
        soundfile.write(temporary, wave, cut.sample_rate, "PCM_16", format="WAV")
    return {"status": "ok", "reason": "", "loudness": round(loudness, 2), "sha256": sha256(path)}
