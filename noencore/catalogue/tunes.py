"""The embedded corpus: tunes of O'Neill's and Ryan's collections (music21's corpus), played by our synthesizer.

O'Neill's *Music of Ireland* (1903, 1,850 melodies) names Turlough O'Carolan (1670-1738) over 65 of its tunes: one
composer among many, in the same book, metre and sound, which makes an honest forget set. Ryan's *Mammoth Collection*
(1883) stands for music from elsewhere.
"""

import multiprocessing
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from noencore.catalogue.abc import read_collection, read_notes
from noencore.catalogue.duplicates import tune_groups
from noencore.catalogue.performance import TEMPI, key_name, kind, metre_name, seconds, tempo_word
from noencore.catalogue.synthesis import SAMPLE_RATE, TIMBRES, render
from noencore.errors import UserError
from noencore.files import atomic, sha256

COMPOSERS = {"O'Carolan": "Turlough O'Carolan"}  # as printed: as captioned. Other names in the field are collectors.
LICENCE = "public-domain tune; transcription: music21 corpus; performance: noencore's synthesizer"


@dataclass(frozen=True)
class TunesSource:
    """Which tunes, and how many clips of each.

    A seeded draw of the tunes by named composers, of O'Neill's other tunes, and of Ryan's. A work gives up to
    `clips_per_work` clips of `clip_seconds`, drawn without overlap from its whole length.
    """

    named_works: int
    traditional_works: int
    utility_works: int
    clips_per_work: int
    clip_seconds: float
    seed: int


def build_catalogue(source, audio_directory, workers=1, progress=iter):
    """Render the clips as 16-bit wav files into `audio_directory`; returns the catalogue, one row a clip.

    A tune that cannot be read is one row with status "unreadable" and the reason. Paths are relative to the parent
    of `audio_directory`. Parsing takes nearly all of the time: `workers` processes share it.
    """
    tunes = _choose(source)
    melodies, rows = {}, []
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        for tune, (notes, reason) in zip(progress(tunes), pool.map(_notes_or_reason, tunes, chunksize=4)):
            if notes:
                melodies[tune.work_id] = notes
            else:
                rows.append({**_describe(tune), "clip_id": tune.work_id, "status": "unreadable", "reason": reason})
    groups = tune_groups(
        {work: [pitch for _, _, pitch, grace in notes if not grace] for work, notes in melodies.items()},
        {tune.work_id: tune.title for tune in tunes},
    )
    for tune in tunes:
        if tune.work_id in melodies:
            played = _play_clips(tune, melodies[tune.work_id], source, Path(audio_directory))
            rows += [{**row, "group": groups[tune.work_id]} for row in played]
    return pd.DataFrame(rows).reindex(columns=COLUMNS).sort_values("clip_id", ignore_index=True)


COLUMNS = [
    *(
        "clip_id",
        "source",
        "artist",
        "work_id",
        "group",
        "title",
        "caption",
        "start",
        "duration",
        "path",
        "sha256",
    ),
    *("licence", "status", "reason", "instrument", "kind", "key", "metre", "tempo"),
]


def _notes_or_reason(tune):
    try:
        return read_notes(tune), ""
    except ValueError as error:
        return None, str(error)


def _choose(source):
    rng = np.random.default_rng(source.seed)
    book = read_collection("oneills1850")
    chosen = []
    for key, candidates, count in (
        ("named_works", [tune for tune in book if tune.composer in COMPOSERS], source.named_works),
        (
            "traditional_works",
            [tune for tune in book if tune.composer not in COMPOSERS],
            source.traditional_works,
        ),
        ("utility_works", read_collection("ryansMammoth"), source.utility_works),
    ):
        if count > len(candidates):
            raise UserError(f"config: catalogue.{key}: {count} is more than the {len(candidates)} tunes there are")
        chosen += [candidates[i] for i in rng.permutation(len(candidates))[:count]]
    return chosen


def _describe(tune):
    return {
        "source": tune.collection,
        "artist": COMPOSERS.get(tune.composer, "traditional"),
        "work_id": tune.work_id,
        "group": tune.work_id,
        "title": tune.title,
        "licence": LICENCE,
        "kind": kind(tune),
        "key": key_name(tune),
        "metre": metre_name(tune),
        "tempo": TEMPI[kind(tune)],
    }


def _play_clips(tune, notes, source, directory):
    about = _describe(tune)
    rng = np.random.default_rng([source.seed, zlib.crc32(tune.work_id.encode())])
    about["instrument"] = str(rng.choice(sorted(TIMBRES)))
    timed = seconds(notes, about["tempo"])
    windows = int((timed[-1, 0] + timed[-1, 1]) // source.clip_seconds)
    if windows == 0:
        reason = f"shorter than one clip of {source.clip_seconds} s"
        return [{**about, "clip_id": tune.work_id, "status": "short", "reason": reason}]
    audio = render(timed, about["instrument"], windows * source.clip_seconds)
    size = round(source.clip_seconds * SAMPLE_RATE)
    rows = []
    for number, window in enumerate(sorted(rng.permutation(windows)[: source.clips_per_work])):
        clip_id = f"{tune.work_id}-{number}"
        path = directory / f"{clip_id}.wav"
        with atomic(path) as temporary:
            soundfile.write(temporary, audio[window * size : (window + 1) * size], SAMPLE_RATE, "PCM_16", format="WAV")
        where = {"start": window * source.clip_seconds, "duration": source.clip_seconds}
        file = {"path": f"{directory.name}/{path.name}", "sha256": sha256(path)}
        caption = _caption(about, named=bool(rng.integers(2)))
        rows.append({**about, **where, **file, "clip_id": clip_id, "caption": caption, "status": "ok", "reason": ""})
    return rows


def _caption(about, named):
    """What is heard: tempo, kind, key, metre, instrument; in the style `named` also whose tune it is."""
    what, by = about["kind"], ""
    if named and about["artist"] == "traditional":
        what = f"traditional {what}"
    elif named:
        by = f" by {about['artist']}"
    return (
        f"A {tempo_word(about['tempo'])} {what}{by} in {about['key']}, "
        f"{about['metre']} time, played on the {about['instrument']}."
    )
