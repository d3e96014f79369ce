"""Every source makes the same listing, and what it cannot use is a row or one line."""

import json
import os
import re
import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noencore.catalogue.listing import LISTED
from noencore.catalogue.sources import list_source, listing_digest, manifests
from noencore.errors import UserError

CUT = {"clips_per_work": 1, "clip_seconds": 1.0, "seed": 0}


@pytest.fixture
def music(tmp_path):
    """A function: files by name, text or bytes, under a folder `music`; returns the folder."""

    def make(*names, **texts):
        for name, content in [*((name, b"1234") for name in names), *texts.items()]:
            path = tmp_path / "music" / name.replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / "music"

    return make


def folder(path, **more):
    listing = list_source({"source": "folder", "path": str(path), **CUT, **more})
    assert list(listing)[: len(LISTED)] == LISTED
    return listing.set_index("file")


def test_a_bare_folder_takes_artists_from_sub_folders_and_titles_from_names(music):
    path = music("Ann/Album/01 First_song.flac", "Bob/x.mp3", "loose.wav", "Ann/cover.jpg", ".hidden.wav", ".git/a.wav")
    rows = folder(path, licence="own")
    assert rows["artist"].to_dict() == {
        "Ann/Album/01 First_song.flac": "Ann",
        "Bob/x.mp3": "Bob",
        "loose.wav": "unknown",
    }
    assert rows["folder"].tolist() == ["Ann", "Bob", ""]
    assert rows.loc["Ann/Album/01 First_song.flac", ["title", "caption"]].tolist() == ["First song"] * 2
    assert set(rows["licence"]) == {"own"}
    assert (rows["status"] == "").all()


def test_an_archive_in_a_folder_is_a_row(music):
    assert folder(music("a.wav", "b.zip"))["status"].to_dict() == {"a.wav": "", "b.zip": "unreadable"}


def test_a_name_that_is_no_text_is_a_row(music):
    """As an old file system or a hostile archive leaves it."""
    path = music("a.wav")
    for name in (b"caf\xe9.wav", b"two\nlines.wav"):
        open(os.path.join(os.fsencode(path), name), "wb").close()
    rows = folder(path)
    assert rows["status"].to_dict() == {"a.wav": "", "caf?.wav": "invalid", "two?lines.wav": "invalid"}
    assert all(map(str.isprintable, rows["title"]))


def test_the_json_beside_a_file_is_read_as_audiocraft_writes_it(music):
    info = {"artist": "A17", "title": "Song", "description": "Slow strings.", "keywords": "x", "bpm": None}
    tags = {"artist": "A17", "name": "Named", "description": None, "genre": "jazz", "moods": ["calm", "warm"]}
    path = music("In/a.wav", "In/b.wav", "In/c.wav", "In/d.wav")
    for name, about in (("a", info), ("b", tags), ("c", {"artist": None})):
        (path / f"In/{name}.json").write_text(json.dumps(about))
    (path / "In/d.json").write_text('{"artist": "A1')
    rows = folder(path)
    fields = ["artist", "title", "caption", "status"]
    assert rows[fields].to_numpy().tolist()[:3] == [
        ["A17", "Song", "Slow strings.", ""],
        ["A17", "Named", "jazz, calm, warm", ""],
        ["In", "c", "c", ""],
    ]
    assert rows.loc["In/d.wav", "status"] == "invalid"  # it may have named the artist who opts out


@pytest.mark.parametrize(
    "content", [b"[1]", b"\xff\xfe", b"[" * 100000, b" " * 2_000_000, b'{"artist": [{"name": "Ann"}]}']
)
def test_a_foreign_json_is_a_reason(music, content):
    assert folder(music("a.wav", a__json=content))["status"].tolist() == ["invalid"]


def test_a_json_that_is_a_link_out_of_the_folder_is_not_read(music, tmp_path):
    path = music("a.wav")
    (tmp_path / "secret.json").write_text('{"artist": "secret"}')
    (path / "a.json").symlink_to(tmp_path / "secret.json")
    assert folder(path)[["artist", "status"]].to_numpy().tolist() == [["unknown", "invalid"]]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_metadata_in_the_folder_is_what_counts_first(music, suffix):
    path = music("In/a.wav", "In/b.wav", "In/c.wav")
    (path / "In/a.json").write_text('{"artist": "json", "description": "json"}')
    table = pd.DataFrame(
        {
            "File_Name": ["In/a.wav", "./In/b.wav", "gone.wav"],
            "artist": ["Ann", "Bob", "Bob"],
            "text": ["", "Loud.", "Soft."],
            "album": ["X", "Y", "Y"],
            "sha256": ["1", "2", "3"],
        }
    )
    manifest = path / f"metadata.{suffix}"
    if suffix == "parquet":
        table.to_parquet(manifest)
    elif suffix == "jsonl":
        table.to_json(manifest, orient="records", lines=True)
    else:
        table.to_csv(manifest, sep="\t" if suffix == "tsv" else ",", index=False)
    rows = folder(path)
    assert rows["status"].to_dict() == {"In/a.wav": "", "In/b.wav": "", "In/c.wav": "", "gone.wav": "missing"}
    assert rows["artist"].tolist() == ["Ann", "Bob", "In", "Bob"]
    assert rows["caption"].tolist()[:3] == ["json", "Loud.", "c"]
    assert rows["album"].tolist() == ["X", "Y", "", "Y"]
    assert "sha256" not in rows
    assert manifests({"source": "folder", "path": str(path)}) == [str(manifest)]


APART, TOGETHER = (unicodedata.normalize(form, "In/Ünë.wav") for form in ("NFD", "NFC"))


@pytest.mark.parametrize(
    ("there", "written"),
    [
        (APART, TOGETHER),  # copied from a Mac; and the other way round
        (TOGETHER, APART),
        ("In/a.wav", "In//./a.wav"),
        ("In/a.wav", "In\\a.wav"),  # written on Windows, as the next one
        ("In/a.wav", "In/A.WAV"),
        ("In/a.wav", "In/a.wav "),
        ("In/a.wav", "{real}/In/a.wav"),
    ],
)
def test_metadata_finds_its_file_however_the_name_is_spelt(music, tmp_path, there, written):
    """Else the file would stay with the artist of its folder, and the one who opts out would not be found."""
    path = music(there)
    (tmp_path / "link").symlink_to(path)
    name = written.replace("{real}", str(path.resolve()))
    pd.DataFrame({"file": [name], "artist": ["Ann"]}).to_csv(path / "metadata.csv", index=False)
    rows = folder(tmp_path / "link")
    assert rows[["artist", "status"]].to_numpy().tolist() == [["Ann", ""]]
    (path / "metadata.csv").unlink()
    (path / f"{os.path.splitext(written)[0]}.json" if there in (APART, TOGETHER) else path / "In/a.JSON").write_text(
        '{"artist": "Ann"}'
    )
    assert folder(path)["artist"].tolist() == ["Ann"]


def test_metadata_that_may_mean_one_of_two_files_means_neither(music):
    path = music("In/a.wav", "In/A.wav")
    (path / "metadata.csv").write_text("file,artist\nIn/a.WAV,Ann\nIn/A.wav,Bob\n")
    assert folder(path)["artist"].to_dict() == {"In/A.wav": "Bob", "In/a.WAV": "Ann", "In/a.wav": "In"}
    assert folder(path)["status"].to_dict() == {"In/A.wav": "", "In/a.WAV": "missing", "In/a.wav": ""}


CSV = {"source": "csv", "columns": {"audio": "path", "caption": "words", "start": "from", "genre": "kind"}, **CUT}


def test_a_csv_is_read_by_its_declared_columns(music):
    path = music("a.wav", "b.wav")
    text = 'path,words,from,kind,other\na.wav,"One, two",1.5,folk,1\nb.wav,NA,,,2\n../a.wav,x,0,x,3\n'
    (path / "list.csv").write_text("\ufeff" + text)
    rows = list_source({**CSV, "path": str(path / "list.csv")})
    assert rows["caption"].tolist() == ["One, two", "NA", "x"]
    assert rows["start"].fillna(-1).tolist() == [1.5, -1, 0]
    assert rows["genre"].tolist() == ["folk", "", "x"]
    assert rows["status"].tolist() == ["", "", "outside"]
    assert "other" not in rows


def test_a_parquet_is_read_by_its_declared_columns(music):
    path = music("a.wav")
    table = pd.DataFrame({"path": ["a.wav"], "words": [["one", "two"]], "from": [2.5], "kind": [None], "bytes": [b"x"]})
    table.to_parquet(path / "list.parquet")
    rows = list_source({**CSV, "path": str(path / "list.parquet")})
    assert rows[["caption", "start", "genre", "status"]].to_numpy().tolist() == [["one, two", 2.5, "", ""]]


def test_root_says_where_the_names_of_a_csv_start(music, tmp_path):
    path = music("deep/a.wav")
    (tmp_path / "list.csv").write_text("path,words,from,kind\na.wav,x,,\n")
    rows = list_source({**CSV, "path": str(tmp_path / "list.csv"), "root": str(path / "deep")})
    assert rows[["file", "status"]].to_numpy().tolist() == [["a.wav", ""]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.csv", "path,words,from\n", "no column 'kind'; it has path, words, from"),
        ("list.csv", "path,words,from,kind\n", "has no rows"),
        ("list.csv", "", "not a readable csv file"),
        ("list.csv", "path,words,from,kind\na,b,c,d,e\n", "not a readable csv file"),
        ("list.csv", b"path,words,from,kind\n\xff\xfe,b,c,d\n", "not in UTF-8 (invalid start byte); save it as UTF-8"),
        ("list.csv", "path;words\na.wav;x, y\n", "separated by semicolons; save it with commas"),
        ("list.tsv", "path,words\na.wav,x\n", "separated by commas; save it with tabs"),
        ("list.csv", "path,words,from,kind,words\n", "two columns 'words'; remove or rename one"),
        (
            "list.csv",
            'path,words,from,kind\na,b,,\nb,"x,,\nc,y,,\nd,"z",,\n',
            "list.csv:3: the row that begins here is not closed",
        ),
        (
            "list.csv",
            'path,words,from,kind\na,"two\nlines",,\nb,"x,,\n',
            "list.csv:4: the row that begins here is not closed",
        ),
        ("list.csv", 'path,"words,from,kind\na,b,,\n', "list.csv:1: the row that begins here is not closed"),
        ("list.jsonl", '{"path": "a.wav"}\n[1]\n', "list.jsonl:2: not a json object"),
        ("list.jsonl", "{" * 100000, "list.jsonl:1: not a json object"),
        ("list.parquet", b"PAR1 no", "not a readable parquet file"),
        ("list.csv.gz", b"\x1f\x8b", "not a manifest; its name must end in .csv"),
        ("list.pkl", b"\x80\x04N.", "not a manifest"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_line(music, name, content, message):
    path = music("a.wav") / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        list_source({**CSV, "path": str(path)})
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_manifest_that_unpacks_to_a_hundred_million_rows_is_not_unpacked(music):
    path = music("a.wav") / "list.parquet"
    one = pa.DictionaryArray.from_arrays(pa.array(np.zeros(5_000_001, np.int32)), ["a.wav"])
    table = pa.table(dict.fromkeys(("path", "words", "from", "kind"), one))
    with pq.ParquetWriter(path, table.schema) as file:
        file.write_table(table)
        file.write_table(table)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(UserError, match="has 10,000,002 rows; give a manifest of up to"):
        list_source({**CSV, "path": str(path)})


def test_a_manifest_with_the_audio_in_it_is_read_without(music, monkeypatch):
    path = music("a.wav") / "metadata.parquet"
    pd.DataFrame({"path": ["a.wav"], "words": ["x"], "from": [""], "kind": [""], "sound": [bytes(5000)]}).to_parquet(
        path
    )
    monkeypatch.setattr("noencore.catalogue.tables.MOST_BYTES", 4000)
    assert list_source({**CSV, "path": str(path)})["file"].tolist() == ["a.wav"]
    with pytest.raises(UserError, match=r"GB of cells; leave out what is no text"):
        folder(path.parent)


def test_a_link_to_a_folder_elsewhere_is_a_row_and_not_followed(music, tmp_path):
    path = music("Ann/a.wav")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.wav").write_bytes(b"1234")
    (path / "Bob").symlink_to(tmp_path / "elsewhere")
    (path / "Ann again").symlink_to(path / "Ann")
    rows = folder(path)
    assert rows["status"].to_dict() == {"Ann/a.wav": "", "Bob": "outside"}
    assert "make it a part of `several`" in rows.loc["Bob", "reason"]


def test_a_folder_that_cannot_be_read_is_a_row(music, monkeypatch):
    path = music("Ann/a.wav", "Bob/b.wav")
    scandir = os.scandir

    def closed(place):
        if str(place).endswith("Bob"):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", closed)
    assert folder(path)["status"].to_dict() == {"Ann/a.wav": "", "Bob": "missing"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["metadata.csv", "metadata.jsonl"], "has metadata.csv and metadata.jsonl; make one of them"),
        (["metadata.csv", "Metadata.CSV"], "has Metadata.CSV and metadata.csv; make one"),
        (["Metadata.csv"], "Metadata.csv: not read, for its capital letters; rename it to metadata.csv"),
    ],
)
def test_metadata_that_would_not_be_read_is_an_error(music, names, message):
    path = music("a.wav")
    for name in names:
        (path / name).write_text("file,artist\na.wav,Ann\n")
    with pytest.raises(UserError, match=re.escape(message)):
        folder(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "folder", "path": "nowhere"}, "nowhere: no such folder; correct catalogue.path"),
        ({**CSV, "path": "nowhere.csv"}, "nowhere.csv: no such file"),
        ({**CSV, "path": "x/y.csv"}, "x: no such folder; correct catalogue.root"),
        ({**CSV, "path": "y.csv", "columns": {"audio": "a", "sha256": "b"}}, "columns: 'sha256' is a name that"),
        ({**CSV, "path": "y.csv", "columns": {"audio": "a", "window": "b"}}, "columns: 'window' is a name that"),
        ({"source": "song_describer", "path": "nowhere"}, "nowhere/song_describer.csv: no such file"),
    ],
)
def test_what_is_not_there_is_one_line(settings, message):
    with pytest.raises(UserError, match=message):
        list_source({**settings, **CUT})


def test_a_folder_without_audio_is_one_line(music):
    with pytest.raises(UserError, match="no audio files"):
        folder(music("readme.txt"))


SONGS = """caption_id,track_id,caption,is_valid_subset,familiarity,artist_id,album_id,path,duration
1,11,A calm piano,True,0,7,70,34/11.mp3,202.5
2,11,"Piano, slow",,1,7,70,34/11.mp3,202.5
3,12,Loud guitars,True,0,8,80,74/12.mp3,140.2
4,13,Gone,True,0,8,80,75/13.mp3,140.2
"""


def test_song_describer_as_it_is_published(music):
    path = music("audio/34/11.2min.mp3", "audio/74/12.mp3", song_describer__csv=SONGS)
    rows = list_source({"source": "song_describer", "path": str(path), **CUT})
    assert rows["file"].tolist() == ["34/11.2min.mp3", "34/11.2min.mp3", "74/12.mp3", "75/13.2min.mp3"]
    assert rows["status"].tolist() == ["", "", "", "missing"]
    assert rows["artist"].tolist() == ["7", "7", "8", "8"]
    assert rows["title"][0] == "track 11"
    assert rows["start"].isna().all()  # `duration` there is that of the whole track, not of the two minutes


def test_song_describer_without_its_audio_says_what_to_do(music):
    path = music(song_describer__csv=SONGS)
    with pytest.raises(UserError, match="unpack the dataset's audio"):
        list_source({"source": "song_describer", "path": str(path), **CUT})


def test_several_sources_are_told_apart_by_their_names(music):
    path = music("A/a.wav", "A/list.csv", "audio/34/11.2min.mp3", song_describer__csv=SONGS)
    settings = {
        "source": "several",
        "parts": {
            "mine": {"source": "folder", "path": str(path / "A")},
            "elsewhere": {"source": "song_describer", "path": str(path)},
        },
    }
    rows = list_source(settings)
    assert rows["source"].value_counts().to_dict() == {"elsewhere": 4, "mine": 1}
    assert not rows[["folder", "album", "artist"]].isna().any(axis=None)
    assert manifests(settings) == [str(path / "song_describer.csv")]


def test_the_digest_is_of_names_sizes_and_metadata(music):
    path = music("A/a.wav", "A/b.wav")
    settings = {"source": "folder", "path": str(path)}
    before = listing_digest(settings)
    (path / "A/a.wav").touch()
    (path / "A/notes.txt").write_text("nothing")
    assert listing_digest(settings) == before
    moved = path.rename(path.with_name("moved"))
    assert listing_digest({**settings, "path": str(moved)}) == before
    seen = {before}
    (moved / "A/a.wav").write_bytes(b"12345")
    seen.add(listing_digest({**settings, "path": str(moved)}))
    (moved / "A/a.json").write_text('{"artist": "B"}')
    seen.add(listing_digest({**settings, "path": str(moved)}))
    (moved / "A/b.wav").rename(moved / "A/c.wav")
    seen.add(listing_digest({**settings, "path": str(moved)}))
    assert len(seen) == 4
