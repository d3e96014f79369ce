"""The embedded corpus as a catalogue: every clip is the audio that its row says, and draws follow the seed alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile

from noencore.catalogue import tunes
from noencore.catalogue.abc import Tune
from noencore.catalogue.tunes import COLUMNS, TunesSource, build_catalogue
from noencore.errors import UserError
from noencore.files import sha256

SOURCE = TunesSource(named_works=4, traditional_works=4, utility_works=2, clips_per_work=2, clip_seconds=1.5, seed=0)


def book(name, works):
    """A collection of made-up tunes: dict number -> (composer, ABC body)."""
    return [
        Tune(name, number, f"Tune {name} {body}", composer, "reel", "4/4", "C", f"X:1\nM:4/4\nL:1/8\nK:C\n{body}\n")
        for number, (composer, body) in works.items()
    ]


@pytest.fixture
def books(monkeypatch):
    """Eight tunes in O'Neill's book, two in Ryan's; a test may change them. No tune is like another."""
    draw = np.random.default_rng(0)
    bodies = ["".join("".join(draw.choice(list("DEFGABcdefga"), 8)) + "|" for _ in range(8)) for _ in range(10)]
    works = {f"{i}": ("O'Carolan" if i < 4 else "", body) for i, body in enumerate(bodies[:8])}
    shelf = {
        "oneills1850": book("oneills1850", works),
        "ryansMammoth": book("ryansMammoth", {f"{i}": ("", body) for i, body in enumerate(bodies[8:])}),
    }
    monkeypatch.setattr(tunes, "read_collection", lambda name: shelf[name])
    return shelf


def test_rows_have_the_columns_of_a_catalogue_and_are_sorted(books, tmp_path):
    catalogue = build_catalogue(SOURCE, tmp_path / "audio")
    assert list(catalogue) == COLUMNS
    assert catalogue["clip_id"].is_unique
    assert catalogue["clip_id"].is_monotonic_increasing
    assert (catalogue["status"] == "ok").all()
    assert not catalogue.isna().any(axis=None)
    assert catalogue.groupby(["source", "artist"])["work_id"].nunique().to_dict() == {
        ("oneills1850", "Turlough O'Carolan"): 4,
        ("oneills1850", "traditional"): 4,
        ("ryansMammoth", "traditional"): 2,
    }


def test_every_audio_file_is_what_its_row_says(books, tmp_path):
    catalogue = build_catalogue(SOURCE, tmp_path / "audio")
    for row in catalogue.itertuples():
        path = tmp_path / row.path
        assert sha256(path) == row.sha256
        about = soundfile.info(path)
        assert (about.format, about.subtype, about.samplerate, about.channels) == ("WAV", "PCM_16", 16000, 1)
        assert about.frames == 1.5 * 16000
        assert abs(soundfile.read(path)[0]).max() > 0.05
    assert {tmp_path / path for path in catalogue["path"]} == set((tmp_path / "audio").iterdir())


def test_clips_of_a_work_do_not_overlap_and_are_as_many_as_asked_or_as_fit(books, tmp_path):
    """Eight bars of four quarters at 180 a minute are 10.7 s: seven clips of 1.5 s."""
    for asked, expected in ((2, 2), (7, 7), (50, 7)):
        catalogue = build_catalogue(replace(SOURCE, clips_per_work=asked), tmp_path / str(asked))
        for _, clips in catalogue.groupby("work_id"):
            assert len(clips) == expected
            assert (clips["start"].diff().dropna() >= clips["duration"].iloc[1:]).all()


def test_the_same_seed_gives_the_same_rows_and_bytes_however_many_processes_read(books, tmp_path):
    one, two = (build_catalogue(SOURCE, tmp_path / f"{workers}" / "audio", workers) for workers in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_another_seed_gives_other_clips(books, tmp_path):
    one, two = (build_catalogue(replace(SOURCE, seed=s), tmp_path / str(s)) for s in (0, 1))
    assert set(one["sha256"]) != set(two["sha256"])


def test_a_work_sounds_the_same_whatever_else_is_in_the_catalogue(books, tmp_path):
    few = build_catalogue(replace(SOURCE, named_works=1, traditional_works=1), tmp_path / "audio").set_index("clip_id")
    many = build_catalogue(SOURCE, tmp_path / "audio").set_index("clip_id")
    pd.testing.assert_frame_equal(few, many.loc[few.index])


def test_performance_does_not_depend_on_the_composer(books, tmp_path):
    """Else a model could tell the forget set by its sound."""
    before = build_catalogue(SOURCE, tmp_path / "audio").set_index("clip_id")
    swapped = [replace(tune, composer="" if tune.composer else "O'Carolan") for tune in books["oneills1850"]]
    books["oneills1850"] = swapped
    after = build_catalogue(SOURCE, tmp_path / "audio").set_index("clip_id")
    of_oneill = before["source"] == "oneills1850"
    assert (before["artist"] != after["artist"])[of_oneill].all()
    heard = ["instrument", "start", "sha256"]
    pd.testing.assert_frame_equal(before[heard], after[heard])
    assert before["instrument"].nunique() > 1


def test_captions_name_the_composer_in_one_of_two_styles(books, tmp_path):
    catalogue = build_catalogue(replace(SOURCE, clips_per_work=7), tmp_path / "audio")
    named = catalogue["caption"].str.contains(" by Turlough O'Carolan in ", regex=False)
    traditional = catalogue["caption"].str.contains("traditional", regex=False)
    forget = catalogue["artist"] == "Turlough O'Carolan"
    assert not named[~forget].any()
    assert not traditional[forget].any()
    for share in (named[forget].mean(), traditional[~forget].mean()):
        assert 0.2 < share < 0.8
    plain = catalogue["caption"].str.replace(" by Turlough O'Carolan", "").str.replace("traditional ", "")
    expected = "A fast reel in C major, 4/4 time, played on the " + catalogue["instrument"] + "."
    assert (plain == expected).all()


@pytest.mark.parametrize(
    ("notes", "status", "reason"),
    [
        (None, "unreadable", "no notes"),
        ([(0.0, 1.0, 60, False)], "short", "shorter than one clip of 1.5 s"),
    ],
)
def test_a_tune_that_cannot_be_used_is_a_row_with_a_reason(books, tmp_path, monkeypatch, notes, status, reason):
    read = tunes.read_notes

    def read_notes(tune):
        if tune.number != "2" or tune.collection != "oneills1850":
            return read(tune)
        if notes is None:
            raise ValueError("no notes")
        return notes

    whole = build_catalogue(SOURCE, tmp_path / "audio")
    monkeypatch.setattr(tunes, "read_notes", read_notes)
    catalogue = build_catalogue(SOURCE, tmp_path / "audio")
    bad = catalogue[catalogue["work_id"] == "oneills1850-2"]
    assert bad[["clip_id", "artist", "status", "reason"]].to_numpy().tolist() == [
        ["oneills1850-2", "Turlough O'Carolan", status, reason]
    ]
    assert bad[["path", "sha256", "caption", "start"]].isna().all(axis=None)
    others = catalogue[catalogue["status"] == "ok"].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        others, whole[whole["work_id"] != "oneills1850-2"].reset_index(drop=True), check_dtype=False
    )


def test_two_works_that_are_one_tune_are_one_group(books, tmp_path):
    first, second = books["oneills1850"][0], books["oneills1850"][5]
    books["oneills1850"][5] = replace(second, text=first.text)
    catalogue = build_catalogue(SOURCE, tmp_path / "audio")
    groups = catalogue.groupby("work_id")["group"].first()
    assert groups["oneills1850-5"] == groups["oneills1850-0"] == "oneills1850-0"
    assert groups.nunique() == 9


@pytest.mark.parametrize(
    ("key", "there_are"), [("named_works", 65), ("traditional_works", 2009 - 65), ("utility_works", 1059)]
)
def test_more_works_than_there_are_is_an_error_that_names_the_key(tmp_path, key, there_are):
    with pytest.raises(UserError, match=f"config: catalogue.{key}: {there_are + 1} is more than the {there_are} tunes"):
        build_catalogue(replace(SOURCE, **{key: there_are + 1}), tmp_path / "audio")
    assert not (tmp_path / "audio").exists()
