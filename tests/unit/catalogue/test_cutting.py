"""From recordings to clips: what each row says is what its file holds, whatever else there is to read."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
from own_audio import melody, write, write_m4a

from noencore.catalogue import cutting
from noencore.catalogue.cutting import COLUMNS, Cut, build_catalogue, check_usable, describe
from noencore.catalogue.sources import list_source
from noencore.errors import UserError
from noencore.files import sha256

CUT = Cut(clips_per_work=3, clip_seconds=1.0, seed=0, sample_rate=16000)


@pytest.fixture
def music(tmp_path):
    """A folder with two works of two artists: 6.5 s of flac at 22,050 Hz, stereo, and 3.2 s of AAC at 48,000 Hz."""
    folder = tmp_path / "music"
    wave = melody(6.5, 1, 22050)
    write(folder / "Ann/one.flac", np.stack([wave, -0.2 * wave], axis=1), 22050)
    (folder / "Bob").mkdir()
    write_m4a(folder / "Bob/two.m4a", melody(3.2, 2, 48000), 48000)
    return folder


def cut(folder, cutting=CUT, run="run", workers=1):
    listing = list_source({"source": "folder", "path": str(folder)})
    return build_catalogue(listing, cutting, folder.parent / run / "audio", workers)


def test_a_clip_is_the_window_of_its_file_at_the_codecs_rate(music, tmp_path):
    catalogue = cut(music)
    assert list(catalogue) == [*COLUMNS, "folder"]
    assert catalogue["clip_id"].is_monotonic_increasing
    assert catalogue["clip_id"].is_unique
    assert (catalogue["status"] == "ok").all()
    assert catalogue.groupby("artist")[["rate", "channels"]].first().to_numpy().tolist() == [[22050, 2], [48000, 1]]
    for row in catalogue.itertuples():
        path = tmp_path / "run" / row.path
        about = soundfile.info(path)
        assert (about.format, about.subtype, about.samplerate, about.channels) == ("WAV", "PCM_16", 16000, 1)
        assert about.frames == 16000
        assert sha256(path) == row.sha256
        wave = soundfile.read(path)[0]
        assert 10 * np.log10(np.mean(wave**2)) == pytest.approx(row.loudness, abs=0.01)
    source = soxr.resample(0.4 * melody(6.5, 1, 22050), 22050, 16000)  # the mean of 1 and -0.2
    for row in catalogue[catalogue["artist"] == "Ann"].itertuples():
        wave = soundfile.read(tmp_path / "run" / row.path)[0]
        begin = round(row.start * 16000)
        assert np.corrcoef(wave, source[begin : begin + 16000])[0, 1] > 0.99
    assert {path.name for path in (tmp_path / "run/audio").iterdir()} == {
        f"{clip}.wav" for clip in catalogue["clip_id"]
    }


def test_windows_lie_in_the_recording_without_overlap_and_are_as_many_as_asked_or_fit(music):
    for asked, expected in ((1, 1), (3, 3), (6, 6), (50, 6)):
        catalogue = cut(music, Cut(asked, 1.0, 0, 16000), run=f"{asked}")
        starts = catalogue[catalogue["artist"] == "Ann"]["start"].sort_values()
        assert len(starts) == expected
        assert (starts.diff().dropna() >= 1.0 - 1e-9).all()
        assert starts.between(0, 5.5).all()


def test_the_same_rows_and_bytes_at_any_number_of_processes_and_beside_other_files(music):
    one, two = cut(music, run="one"), cut(music, run="two", workers=2)
    pd.testing.assert_frame_equal(one, two)
    write(music / "Cid/three.wav", melody(3.0, 3))
    more = cut(music, run="more")
    pd.testing.assert_frame_equal(one, more[more["artist"] != "Cid"].reset_index(drop=True))


def test_another_seed_draws_other_windows(music):
    one, other = cut(music), cut(music, Cut(3, 1.0, 1, 16000), run="other")
    assert set(one["sha256"]).isdisjoint(other["sha256"])


def test_an_edited_caption_moves_no_audio(music):
    before = cut(music)
    (music / "metadata.csv").write_text("file,caption\nAnn/one.flac,Other words\n")
    after = cut(music, run="after")
    assert after["caption"].value_counts()["Other words"] == 3
    pd.testing.assert_frame_equal(before[["clip_id", "start", "sha256"]], after[["clip_id", "start", "sha256"]])


def bad_files(folder):
    write(folder / "short.wav", melody(0.5, 4))
    write(folder / "silent.flac", np.zeros(32000))
    write(folder / "nan.wav", np.full(16000, np.nan), subtype="FLOAT")
    whole = write(folder / "cut.wav", melody(3.0, 5))
    whole.write_bytes(whole.read_bytes()[:50000])
    (folder / "text.mp3").write_text("no audio")
    (folder / "away.wav").symlink_to(folder.parent / "nowhere.wav")
    return {
        **{"short.wav": "short", "silent.flac": "silent", "nan.wav": "nonfinite", "cut.wav": "truncated"},
        **{"text.mp3": "unreadable", "away.wav": "missing"},
    }


def test_every_file_that_is_not_used_says_why_and_the_others_are_used(music):
    whole = cut(music)
    expected = bad_files(music)
    catalogue = cut(music, run="bad")
    unused = catalogue[catalogue["status"] != "ok"]
    assert unused.groupby("file")["status"].first().to_dict() == expected
    assert (unused["reason"] != "").all()
    assert unused[["path", "sha256"]].isna().all(axis=None)
    kept = catalogue[catalogue["status"] == "ok"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept[["clip_id", "sha256"]], whole[["clip_id", "sha256"]])
    assert catalogue["clip_id"].is_unique


def test_the_run_says_how_many_it_used(music):
    bad_files(music)
    catalogue = cut(music)
    lines = describe(catalogue)
    assert lines[0] == "6 clips of 2 works by 2 artists"
    assert [line.split(":")[0] for line in lines[1:]] == [
        *("not used, missing", "not used, nonfinite", "not used, short", "not used, silent", "not used, truncated"),
        "not used, unreadable",
    ]
    check_usable(catalogue, 0.25)
    with pytest.raises(UserError, match=r"catalogue\.min_usable: 2 of 8 recordings can be used, and 26% are asked for"):
        check_usable(catalogue, 0.26)
    with pytest.raises(UserError, match="0 of 6 recordings"):
        check_usable(catalogue[catalogue["status"] != "ok"], 1e-9)


def test_a_file_that_kills_the_decoder_is_a_row(music, monkeypatch):
    write(music / "Cid/deadly.wav", melody(2.0, 6))
    whole = cut(music, run="whole", workers=2)
    read = cutting.read_spans

    def read_spans(path, choose):
        if path.endswith("deadly.wav"):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(path, choose)

    monkeypatch.setattr(cutting, "read_spans", read_spans)
    catalogue = cut(music, workers=2)
    deadly = catalogue["file"] == "Cid/deadly.wav"
    assert catalogue[deadly][["status", "reason"]].to_numpy().tolist() == [["unreadable", "the decoder crashed on it"]]
    assert catalogue[~deadly]["sha256"].tolist() == whole[whole["file"] != "Cid/deadly.wav"]["sha256"].tolist()


def table(folder, text, **columns):
    (folder.parent / "list.csv").write_text(text)
    names = {"audio": "file", "caption": "caption", **columns}
    settings = {"source": "csv", "path": str(folder.parent / "list.csv"), "root": str(folder), "columns": names}
    return build_catalogue(list_source(settings), CUT, folder.parent / "run/audio")


def test_a_row_with_start_and_duration_is_cut_from_there(music):
    text = "file,caption,from,for\nAnn/one.flac,a,4,2\nAnn/one.flac,b,6,\nAnn/one.flac,c,0,0.9\nBob/two.m4a,d,1,99\n"
    catalogue = table(music, text, start="from", duration="for")
    good = catalogue[catalogue["status"] == "ok"]
    assert good.groupby("caption")["start"].agg(["min", "max"]).round(2).to_dict("index")["a"] == {
        "min": 4.0,
        "max": 5.0,
    }
    assert good.groupby("caption").size().to_dict() == {"a": 2, "d": 2}
    short = catalogue[catalogue["status"] == "short"]
    assert sorted(short["caption"]) == ["b", "c"]
    assert good["work_id"].nunique() == 2


def test_several_captions_of_a_recording_take_turns(music):
    catalogue = table(music, "file,caption\nAnn/one.flac,x\nAnn/one.flac,y\nAnn/one.flac,z\n")
    assert sorted(catalogue["caption"]) == ["x", "y", "z"]


def test_a_recording_that_lacks_a_few_samples_is_filled_up(music, tmp_path):
    """As of ten seconds that a downloader cut at 9.98."""
    write(music / "Ann/nearly.wav", melody(1.97, 7))
    catalogue = cut(music)
    nearly = catalogue[catalogue["file"] == "Ann/nearly.wav"]
    assert nearly["status"].tolist() == ["ok", "ok"]
    last = soundfile.read(tmp_path / "run" / nearly["path"].iloc[1])[0]
    assert len(last) == 16000
    assert not last[-400:].any()


def test_the_same_music_under_two_artists_is_one_group(music):
    write(music / "Cid/stolen.ogg", 0.5 * melody(6.5, 1, 22050)[11025:], 22050)
    catalogue = cut(music, Cut(1, 1.0, 0, 16000))
    works = catalogue.set_index("artist")
    assert works.loc["Ann", "group"] == works.loc["Cid", "group"] != works.loc["Bob", "group"]
    assert works.loc["Cid", "duplicate_of"] == works.loc["Ann", "work_id"]
    assert works.loc["Bob", "duplicate_of"] == ""
    assert describe(catalogue)[-1].startswith("near-duplicates: 2 works in 1 groups of up to 2 works, 1 of them under")


@pytest.fixture
def kept_run(music, tmp_path, monkeypatch):
    """A function run, cut -> (catalogue, wav bytes by name, names of the decoded files), all with one store."""
    decoded, read = tmp_path / "decoded.txt", cutting.read_spans

    def read_spans(path, choose):
        with decoded.open("a") as file:  # in another process
            file.write(f"{os.path.basename(path)}\n")
        return read(path, choose)

    monkeypatch.setattr(cutting, "read_spans", read_spans)

    def run(name, cut=CUT):
        decoded.write_text("")
        listing = list_source({"source": "folder", "path": str(music)})
        catalogue = build_catalogue(listing, cut, tmp_path / name / "audio", store=tmp_path / "store")
        wavs = {path.name: path.read_bytes() for path in (tmp_path / name / "audio").iterdir()}
        return catalogue, wavs, sorted(decoded.read_text().split())

    return run


def test_what_was_cut_before_is_not_decoded_again(music, kept_run):
    plain = cut(music, run="plain")
    first, wavs, decoded = kept_run("first")
    pd.testing.assert_frame_equal(first, plain)
    assert decoded == ["one.flac", "two.m4a"]
    write(music / "Cid/three.wav", melody(2.0, 3))
    (music / "metadata.csv").write_text("file,caption\nAnn/one.flac,Other words\n")
    second, more, decoded = kept_run("second")
    assert decoded == ["three.wav"]
    assert {name: more[name] for name in wavs} == wavs
    old = second[second["artist"] != "Cid"].reset_index(drop=True)
    pd.testing.assert_frame_equal(old.drop(columns="caption"), first.drop(columns="caption"))
    assert set(old[old["artist"] == "Ann"]["caption"]) == {"Other words"}


def test_another_file_cut_or_seed_is_decoded_again(music, kept_run):
    kept_run("first")
    write(music / "Ann/one.flac", melody(6.5, 9, 22050), 22050)
    assert kept_run("other file")[2] == ["one.flac"]
    assert kept_run("other seed", Cut(3, 1.0, 1, 16000))[2] == ["one.flac", "two.m4a"]


@pytest.mark.parametrize("pattern", ["*.wav", "*.json"])
@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:50])])
def test_a_damaged_entry_is_made_again(kept_run, tmp_path, pattern, damage):
    """Also where a run's wav, a link to the same file, was written over."""
    first, wavs, _ = kept_run("first")
    damage(sorted((tmp_path / "store").rglob(pattern))[0])
    again, same, decoded = kept_run("again")
    assert len(decoded) == 1
    pd.testing.assert_frame_equal(again, first)
    assert same == wavs
    assert kept_run("third")[2] == []
