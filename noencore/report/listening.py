"""Listening: for a few prompts the original and what each model plays, at one level, with spectrogram pictures.

Nobody chooses clips by ear: of each set they are the first prompts, in the order in which generate chose them, that
every model shown has played.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from noencore.errors import UserError
from noencore.experiment import split_model_name
from noencore.files import atomic, sha256, write_json
from noencore.report.spectrogram import IN_WORDS, draw_spectrograms
from noencore.split import SETS
from noencore.waves import check_audio, describe_audio

LEVEL_DB = -20.0  # RMS below full scale that the takes of a clip are brought to
# No sample of any take is louder. MP3 makes some peaks higher: by 0.1 dB in music, by over 2 dB in bursts of noise.
PEAK_DB = -3.0
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz that MP3 knows
COMPRESSION = 0.2  # of LAME's variable bitrate, 0 the best: 28 to 70 kbit/s for mono at 16 kHz
ORIGINAL = "original"
MATCH = "continuation_match_0_"
CHOSEN = (
    "The clips are not chosen by ear: of each set they are the first prompts in the order of hashed ids, in which "
    "every model plays them. Gold and each recipe are heard with their first seed, all models with the first eval_seed."
)
MATCHED = (
    f"All takes of a clip have the same level, an RMS {-LEVEL_DB:g} dB below full scale; where one of them would then "
    f"peak above {PEAK_DB:g} dB, all takes of that clip are softer together. A silent take is left silent."
)


@dataclass(frozen=True)
class Take:
    """One player. rms_db: the level before gain_db was given; match: prompt seconds -> share of tokens of the first
    codebook that the model's continuation of the clip shares with it, None where it was not continued."""

    model: str
    recipe: str
    audio: str
    spectrogram: str
    rms_db: float
    gain_db: float
    silent: bool
    match: dict | None


@dataclass(frozen=True)
class Clip:
    """One prompt and its takes, the original first."""

    clip_id: str
    set: str
    title: str
    artist: str
    caption: str
    seconds: float
    eval_seed: int
    takes: tuple


@dataclass(frozen=True)
class Sound:
    """A wave, float32 [n_samples, channels], at `rate` Hz."""

    wave: np.ndarray
    rate: int


def played(generated, directory, eval_seed):
    """The prompts that a model has played: a frame with an index clip_id of set, eval_seed and the audio's path, in the
    order of generated.parquet, which is `choose_prompts`'s in each set. directory: where that file is."""
    rows = generated[(generated["kind"] == "prompt") & (generated["eval_seed"] == eval_seed)].set_index("clip_id")
    return rows[["set", "eval_seed"]].assign(path=[Path(directory) / path for path in rows["path"]])


def choose_clips(plays, counts):
    """The clips to listen to: a series clip_id -> set, in the order of sets.

    plays: dict model -> frame of `played`; counts: dict set -> the most clips of it.
    """
    if not plays:
        return pd.Series(dtype=object)
    first, *others = (frame["set"] for frame in plays.values())
    for other in others:
        first = first[first.index.isin(other.index)]
    return pd.concat([first[first == name].head(counts.get(name, 0)) for name in SETS])


def shared_tokens(values):
    """dict (model, clip_id) -> dict prompt seconds -> share, from the frame of continuation.clips.parquet."""
    found = {}
    of_match = values[values["metric"].str.startswith(MATCH) & values["value"].notna()]
    for row in of_match.itertuples():
        seconds = row.metric.removeprefix(MATCH).removesuffix("s")
        found.setdefault((row.model, row.clip_id), {})[seconds] = float(row.value)
    return found


def what_is_left_out(plays, chosen, counts, diverged):
    """Sentences on what is not to be heard. diverged: dict model -> step."""
    notes = [f"{model} diverged at step {step}: it is left out." for model, step in diverged.items()]
    if not plays:
        return [*notes, "Nothing was generated: none of the metrics of this run is made from audio."]
    lacking = [name for name in SETS if counts.get(name) and name not in set(chosen)]
    return notes + [f"No prompt of the set {name} was played (generate.prompts)." for name in lacking]


def write_clips(chosen, plays, catalogue, root, shared, folder):
    """Write audio/ and spectrograms/ in `folder`, named by numbers alone; returns a Clip for each of `chosen`.

    chosen, plays: as in `choose_clips`, plays in the order of the takes. catalogue: its frame; root: the directory of
    its audio paths. shared: that of `shared_tokens`. Raises UserError where an audio file is missing, damaged, or not
    what the catalogue describes.
    """
    rows, clips = catalogue.set_index("clip_id").loc[chosen.index], []
    for number, row in enumerate(rows.itertuples(), start=1):
        original = Path(root) / row.path
        check_audio(original, row.sha256)
        paths = {ORIGINAL: original} | {model: frame.loc[row.Index, "path"] for model, frame in plays.items()}
        sounds = {model: read_sound(path) for model, path in paths.items()}
        matches = [shared.get((model, row.Index)) for model in sounds]
        words = ["" if pd.isna(text) else str(text) for text in (row.title, row.artist, row.caption)]
        seconds = len(sounds[ORIGINAL].wave) / sounds[ORIGINAL].rate
        eval_seed = int(next(iter(plays.values())).loc[row.Index, "eval_seed"])
        takes = write_takes(number, sounds, matches, Path(folder))
        clips.append(Clip(row.Index, chosen[row.Index], *words, seconds, eval_seed, takes))
    return clips


def write_listening(clips, notes, path):
    """Write listening.json: the clips, sentences on what is left out, how all this was made in words, and the sha256 of
    every file of audio/ and spectrograms/, so that this file alone tells whether anything is another than before."""
    words = {"chosen": CHOSEN, "matching": MATCHED, "spectrograms": IN_WORDS}
    names = [name for clip in clips for take in clip.takes for name in (take.audio, take.spectrogram)]
    sums = {name: sha256(Path(path).parent / name) for name in names}
    write_json({**words, "notes": notes, "clips": [asdict(clip) for clip in clips], "sha256": sums}, path)


def write_takes(number, sounds, matches, folder):
    """Write the files of one clip, brought to one level; returns its Takes. sounds: dict model -> Sound."""
    levels = [describe_audio(sound.wave) for sound in sounds.values()]
    gains = level_gains(levels, [np.abs(sound.wave).max() for sound in sounds.values()])
    takes, levelled = [], []
    for index, (model, sound) in enumerate(sounds.items()):
        name = f"{number:03d}-{index:02d}"
        wave = sound.wave * np.float32(10 ** (gains[index] / 20))
        audio, picture = f"audio/{name}.mp3", f"spectrograms/{name}.png"
        write_mp3(Sound(wave, sound.rate), folder / audio)
        levelled.append(wave.mean(axis=1))
        recipe = ORIGINAL if model == ORIGINAL else split_model_name(model)[0]
        about = {"rms_db": levels[index]["rms_db"], "gain_db": gains[index], "silent": levels[index]["silent"]}
        takes.append(Take(model, recipe, audio, picture, **about, match=matches[index]))
    rates = [sound.rate for sound in sounds.values()]
    draw_spectrograms(levelled, rates, [folder / take.spectrogram for take in takes])
    return tuple(takes)


def level_gains(levels, peaks):
    """Gains in dB, [n], that bring takes to one level: LEVEL_DB, or what keeps every sample of all below PEAK_DB.

    levels: dicts of `describe_audio`; peaks: [n], largest samples. A silent take is left as it is.
    """
    heard = [(level["rms_db"], 20 * np.log10(peak)) for level, peak in zip(levels, peaks) if not level["silent"]]
    wanted = min([LEVEL_DB, *(rms - peak + PEAK_DB for rms, peak in heard)])
    return [0.0 if level["silent"] else float(wanted - level["rms_db"]) for level in levels]


def read_sound(path):
    """The Sound of an audio file, resampled where MP3 does not know its rate. UserError: it cannot be read."""
    try:
        wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError):
        raise UserError(f"{path}: missing or no audio; delete its folder and run again") from None
    if rate in RATES:
        return Sound(wave, rate)
    import soxr

    known = min([above for above in RATES if above > rate], default=RATES[-1])
    return Sound(soxr.resample(wave, rate, known, quality="HQ"), known)


def write_mp3(sound, path):
    """Write a Sound as MP3: the head says how much silence the codec put before and after, so players leave it out."""
    with atomic(path) as temporary:
        soundfile.write(
            temporary, sound.wave, sound.rate, "MPEG_LAYER_III", format="MP3",
            bitrate_mode="VARIABLE", compression_level=COMPRESSION,
        )  # fmt: skip
