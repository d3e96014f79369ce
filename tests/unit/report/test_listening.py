"""Listening: clips that nobody chose by ear, takes at one level, and files that hold what was played."""

import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from noencore.errors import UserError
from noencore.files import sha256
from noencore.generation import choose_prompts
from noencore.report.listening import (
    LEVEL_DB,
    PEAK_DB,
    choose_clips,
    level_gains,
    played,
    shared_tokens,
    what_is_left_out,
    write_clips,
    write_listening,
)
from noencore.waves import describe_audio

RATE, SECONDS = 16000, 1.37
MODELS = ("target-0", "gold-0", "ga-1")
SETS = ("forget", "remain", "holdout", "utility")
HOSTILE = "<script>alert(1)</script>"


def sine(gain=0.5, hertz=440, rate=RATE):
    return gain * np.sin(2 * np.pi * hertz * np.arange(round(SECONDS * rate)) / rate)


def split_of(n=6):
    rows = [
        {"clip_id": f"{name}-{i}", "work_id": f"{name}-{i}", "set": name, "part": "test"}
        for name in SETS
        for i in range(n)
    ]
    return pd.DataFrame(rows)


def generated_of(prompts, eval_seeds=(0, 1)):
    """As `noencore.generation.play` makes it, of a frame of clip_id, set."""
    rows = [
        prompts.assign(kind="prompt", eval_seed=seed, path=[f"audio/{clip}-{seed}.wav" for clip in prompts["clip_id"]])
        for seed in eval_seeds
    ]
    return pd.concat([*rows, prompts.assign(kind="continuation", prompt_seconds=1.0)], ignore_index=True)


class Run:
    """A run with clips a and b: what to listen to of it, as MP3."""

    def __init__(self, root):
        self.root = root
        self.rate = RATE
        self.waves = {name: sine(gain) for name, gain in zip(("original", *MODELS), (0.9, 0.1, 0.01, 0.5))}
        self.titles = {"a": HOSTILE, "b": None}

    def listening(self, shared=None, folder="report"):
        """listening.json, whole."""
        prompts = pd.DataFrame({"clip_id": ["a", "b"], "set": ["forget", "utility"]})
        plays = {}
        for model in MODELS:
            for clip in "ab":
                write(self.root / model / f"audio/{clip}-0.wav", self.waves[model], self.rate)
            plays[model] = played(generated_of(prompts), self.root / model, 0)
        for clip in "ab":
            write(self.root / f"audio/{clip}.wav", self.waves["original"], self.rate)
        catalogue = pd.DataFrame(
            [
                {"clip_id": clip, "title": self.titles[clip], "artist": "Ann", "caption": f"{clip} 'quoted'",
                 "path": f"audio/{clip}.wav", "sha256": sha256(self.root / f"audio/{clip}.wav")}
                for clip in "ab"
            ]
        )  # fmt: skip
        chosen = choose_clips(plays, {"forget": 3, "utility": 3})
        clips = write_clips(chosen, plays, catalogue, self.root, shared or {}, self.root / folder)
        write_listening(clips, ["A note."], self.root / folder / "listening.json")
        return json.loads((self.root / folder / "listening.json").read_text())

    def decoded(self, take):
        return soundfile.read(self.root / "report" / take["audio"])[0]


def write(path, wave, rate):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, "PCM_16")


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def level(wave):
    return describe_audio(wave)["rms_db"]


@pytest.mark.parametrize("n", [1, 3, 6, 9])
def test_clips_are_the_first_that_generate_chose(n):
    prompts = choose_prompts(split_of(), {"utility": 6, "remain": 6, "forget": 4})
    plays = {model: played(generated_of(prompts), ".", 0) for model in MODELS}
    chosen = choose_clips(plays, dict.fromkeys(SETS, n))
    wanted = choose_prompts(split_of(), {"forget": min(n, 4), "remain": n, "utility": n})
    assert chosen.rename_axis("clip_id").rename("set").reset_index().equals(wanted)


def test_a_clip_that_a_model_has_not_played_makes_room_for_the_next():
    prompts = choose_prompts(split_of(), {"forget": 6, "utility": 6})
    second = prompts["clip_id"].iloc[1]
    plays = {model: played(generated_of(prompts), ".", 0) for model in MODELS}
    plays["ga-1"] = plays["ga-1"].drop(index=second)
    first = prompts.loc[prompts["set"] == "forget", "clip_id"].tolist()
    assert list(choose_clips(plays, {"forget": 3}).index) == [first[0], *first[2:4]]
    assert choose_clips({}, {"forget": 3}).empty


def test_what_is_played_is_of_one_eval_seed(tmp_path):
    prompts = choose_prompts(split_of(), {"forget": 2})
    one = played(generated_of(prompts), tmp_path, 1)
    assert list(one.index) == list(prompts["clip_id"])
    assert [path.name for path in one["path"]] == [f"{clip}-1.wav" for clip in prompts["clip_id"]]


def test_every_take_has_the_level_of_the_others_and_lasts_as_long_as_its_source(run):
    for clip in run.listening()["clips"]:
        waves = [run.decoded(take) for take in clip["takes"]]
        assert [take["model"] for take in clip["takes"]] == ["original", *MODELS]
        assert [take["recipe"] for take in clip["takes"]] == ["original", "target", "gold", "ga"]
        assert np.ptp([level(wave) for wave in waves]) < 0.3
        assert [level(wave) for wave in waves] == pytest.approx([LEVEL_DB] * 4, abs=0.3)
        assert clip["seconds"] == pytest.approx(SECONDS, abs=1e-3)
        for take, wave in zip(clip["takes"], waves):
            assert len(wave) / RATE == pytest.approx(SECONDS, abs=0.01)
            assert take["rms_db"] == pytest.approx(level(run.waves[take["model"]]), abs=0.01)
            assert np.corrcoef(wave, run.waves[take["model"]][: len(wave)])[0, 1] > 0.999


def test_takes_come_down_together_where_one_has_peaks(run):
    clicks = np.zeros(round(SECONDS * RATE))
    clicks[::2000] = 0.9
    run.waves["ga-1"] = clicks
    for clip in run.listening()["clips"]:
        waves = [run.decoded(take) for take in clip["takes"]]
        levels = [level(wave) for wave in waves]
        assert np.ptp(levels) < 0.3
        assert max(levels) < LEVEL_DB - 10
        assert max(np.abs(wave).max() for wave in waves) < 1


def test_a_silent_take_is_said_to_be_silent_and_changes_nothing_for_the_others(run):
    run.waves["gold-0"] = sine(1e-4)
    for clip in run.listening()["clips"]:
        silent = {take["model"]: take["silent"] for take in clip["takes"]}
        assert silent == {"original": False, "target-0": False, "gold-0": True, "ga-1": False}
        levels = {take["model"]: level(run.decoded(take)) for take in clip["takes"]}
        assert levels.pop("gold-0") < -60
        assert list(levels.values()) == pytest.approx([LEVEL_DB] * 3, abs=0.3)
        (gain,) = (take["gain_db"] for take in clip["takes"] if take["silent"])
        assert gain == 0


@pytest.mark.parametrize("levels", [[-3.0, -30.0, -50.0], [-80.0, -30.0], [-120.0]])
@pytest.mark.parametrize("crest", [3.0, 17.0, 30.0])
def test_gains_give_one_level_and_no_peak_above_the_bound(levels, crest):
    described = [{"rms_db": level, "silent": level < -60} for level in levels]
    gains = level_gains(described, [10 ** ((level + crest) / 20) for level in levels])
    heard = [level + gain for level, gain in zip(levels, gains) if level >= -60]
    assert heard == pytest.approx([min(LEVEL_DB, PEAK_DB - crest)] * len(heard))
    assert [gain for level, gain in zip(levels, gains) if level < -60] == [0.0] * (len(levels) - len(heard))


def test_a_rate_that_mp3_does_not_know_is_resampled(run):
    run.rate = 10000
    run.waves = {model: sine(0.3, 1000, run.rate) for model in run.waves}
    take = run.listening()["clips"][0]["takes"][1]
    wave, rate = soundfile.read(run.root / "report" / take["audio"])
    assert rate == 11025
    assert len(wave) / rate == pytest.approx(SECONDS, abs=0.01)
    assert np.abs(np.fft.rfft(wave)).argmax() * rate / len(wave) == pytest.approx(1000, abs=1)


def test_two_channels_stay_two(run):
    run.waves["target-0"] = np.stack([sine(0.5), sine(0.5, 880)], axis=1)
    for clip in run.listening()["clips"]:
        two, one = (run.decoded(clip["takes"][index]) for index in (1, 2))
        assert (two.shape[1], one.ndim) == (2, 1)
        assert level(two) == pytest.approx(level(one), abs=0.3)


def test_the_same_run_gives_the_same_bytes(run):
    run.listening(folder="one")
    run.listening(folder="two")
    files = sorted(path.relative_to(run.root / "one") for path in (run.root / "one").rglob("*.*"))
    assert len(files) == 1 + 2 * 2 * 4
    for path in files:
        assert (run.root / "one" / path).read_bytes() == (run.root / "two" / path).read_bytes()


def test_files_are_numbers_and_texts_are_as_they_are(run):
    found = run.listening()
    names = {take[kind] for clip in found["clips"] for take in clip["takes"] for kind in ("audio", "spectrogram")}
    assert names == {
        f"{folder}/00{clip}-0{take}.{ending}"
        for folder, ending in (("audio", "mp3"), ("spectrograms", "png"))
        for clip in (1, 2)
        for take in range(4)
    }
    assert all((run.root / "report" / name).stat().st_size > 300 for name in names)
    assert [(clip["clip_id"], clip["set"], clip["title"]) for clip in found["clips"]] == [
        ("a", "forget", HOSTILE),
        ("b", "utility", ""),
    ]
    assert found["clips"][0]["caption"] == "a 'quoted'"
    assert found["notes"] == ["A note."]


def test_shared_tokens_are_by_model_clip_and_seconds(run):
    values = pd.DataFrame(
        [
            ("target-0", "a", "continuation_match_0_0s", 0.25),
            ("target-0", "a", "continuation_match_0_0.5s", 0.5),
            ("target-0", "a", "continuation_match_all_0s", 0.9),
            ("gold-0", "a", "continuation_match_0_0s", np.nan),
            ("ga-1", "b", "continuation_near_0s", 1.0),
        ],
        columns=["model", "clip_id", "metric", "value"],
    )
    a, b = run.listening(shared_tokens(values))["clips"]
    assert [take["match"] for take in a["takes"]] == [None, {"0": 0.25, "0.5": 0.5}, None, None]
    assert [take["match"] for take in b["takes"]] == [None] * 4


def test_what_is_left_out_is_said():
    prompts = choose_prompts(split_of(), {"forget": 2})
    plays = {"target-0": played(generated_of(prompts), ".", 0)}
    counts = {"forget": 1, "remain": 0, "utility": 2}
    chosen = choose_clips(plays, counts)
    notes = what_is_left_out(plays, chosen, counts, {"ga-0": 12})
    assert notes == [
        "ga-0 diverged at step 12: it is left out.",
        "No prompt of the set utility was played (generate.prompts).",
    ]
    (note,) = what_is_left_out({}, choose_clips({}, counts), counts, {})
    assert note.startswith("Nothing was generated")


def test_an_original_that_has_changed_and_a_file_without_audio_are_refused(run):
    run.listening()
    prompts = pd.DataFrame({"clip_id": ["a"], "set": ["forget"]})
    plays = {"ga-1": played(generated_of(prompts), run.root / "ga-1", 0)}
    row = {"clip_id": "a", "title": "", "artist": "", "caption": "", "path": "audio/a.wav", "sha256": "0" * 64}
    chosen = choose_clips(plays, {"forget": 1})
    with pytest.raises(UserError, match=r"a\.wav: damaged or changed since the catalogue was made"):
        write_clips(chosen, plays, pd.DataFrame([row]), run.root, {}, run.root)
    row["sha256"] = sha256(run.root / "audio/a.wav")
    (run.root / "ga-1/audio/a-0.wav").write_bytes(b"no audio")
    with pytest.raises(UserError, match=r"ga-1/audio/a-0\.wav: missing or no audio"):
        write_clips(chosen, plays, pd.DataFrame([row]), run.root, {}, run.root)
