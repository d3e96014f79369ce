"""Names and text in a manifest are data: none leads out of the root, and every refused row says why."""

import os
import re
import unicodedata

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noencore.catalogue.listing import UNPRINTABLE, Place, clean_text, make_listing, place_files, recordings, title_of


@pytest.fixture
def root(tmp_path):
    """A folder `music` with good.wav and sub/-i.flac, beside outside.wav and a folder elsewhere, and links to both."""
    music = tmp_path / "music"
    (music / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for path in (music / "good.wav", music / "sub/-i.flac", tmp_path / "outside.wav", tmp_path / "elsewhere/far.wav"):
        path.write_bytes(b"1234")
    (music / "link.wav").symlink_to(tmp_path / "outside.wav")
    (music / "alias.wav").symlink_to(music / "good.wav")
    (music / "away").symlink_to(tmp_path / "elsewhere")
    (music / "loop.wav").symlink_to(music / "loop.wav")
    os.mkfifo(music / "pipe.wav")
    (music / "folder.wav").mkdir()
    return music


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("good.wav", ""),
        ("./good.wav", ""),
        ("{root}/good.wav", ""),
        ("alias.wav", ""),
        ("sub/-i.flac", ""),  # looks like an option, is a name
        ("/etc/passwd", "outside"),
        ("/etc/sound.wav", "outside"),
        ("{root}/../outside.wav", "outside"),
        ("{root}2/good.wav", "outside"),
        ("../outside.wav", "outside"),
        ("sub/../../outside.wav", "outside"),
        ("sub/../good.wav", "outside"),
        ("link.wav", "outside"),
        ("away/far.wav", "outside"),
        ("good.wav\x00.txt", "invalid"),
        ("good\n.wav", "invalid"),
        ("\u202egood.wav", "invalid"),
        ("good\udcff.wav", "invalid"),
        ("none.wav", "missing"),
        ("good.wav/x.wav", "missing"),
        ("loop.wav", "missing"),
        ("x" * 5000 + ".wav", "missing"),
        ("http://example.org/a.wav", "missing"),
        ("concat:good.wav|good.wav", "missing"),
        ("~/good.wav", "missing"),
        ("$(touch x).wav", "missing"),
        ("pipe.wav", "unreadable"),
        ("folder.wav", "unreadable"),
        ("music.zip", "unreadable"),
        ("music.wav.gz", "unreadable"),
        ("list.m3u8", "unreadable"),
        ("state.pkl", "unreadable"),
        ("", "unreadable"),
        (".", "unreadable"),
        ("..", "outside"),
    ],
)
def test_where_a_name_leads(root, name, status):
    place = place_files(pd.Series([name.replace("{root}", str(root))], dtype=object), root).iloc[0]
    assert place["status"] == status
    assert (place["reason"] == "") == (status == "")
    assert (place["size"] == 4) == (status == "")
    assert place["file"].isprintable()
    if not status:
        assert (root / place["file"]).resolve().is_relative_to(root.resolve())


PARTS = ["..", ".", "", "~", "good.wav", "sub", "-i.flac", "link.wav", "away", "far.wav", "outside.wav", "music"]
NAMES = st.lists(st.sampled_from(PARTS), max_size=6).map("/".join) | st.text(max_size=20).map("{}.wav".format)


@given(NAMES)
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_name_leads_out_of_the_root(root, name):
    place = Place(root)
    for given_name in (name, f"{root}/{name}"):
        file, size, status, _ = place(given_name)
        assert not re.search(f"[{UNPRINTABLE}]", file)
        assert (size >= 0) == (status == "")
        if not status:
            assert (root / file).resolve().is_relative_to(root.resolve())
            assert ".." not in file.split("/")
            assert (root / file).read_bytes() == b"1234"


@pytest.mark.parametrize(("there", "written"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_a_name_is_found_however_its_accents_are_written(root, there, written):
    there, written = (unicodedata.normalize(form, "Ünë.wav") for form in (there, written))
    (root / there).write_bytes(b"1234")
    assert Place(root)(written) == (there, 4, "", "")


def test_a_root_that_is_a_link_itself_is_followed(root):
    link = root.with_name("link to music")
    link.symlink_to(root)
    names = pd.Series(["good.wav", f"{link}/good.wav", f"{root}/good.wav", "link.wav"])
    assert list(place_files(names, link)["status"]) == ["", "", "", "outside"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Blue  in\tGreen ", "Blue in Green"),
        ("a\x00b\x1b[31mc\nd\u2028e", "a b [31mc d e"),
        ("\u202egnos", "gnos"),
        ("Beyonce\u0301", "Beyonc\xe9"),
        ("half \ud800 of it", "half of it"),
        ("نیم\u200cفاصله", "نیم\u200cفاصله"),  # a joiner that spelling needs
        ("x" * 9000, "x" * 2000),
        (None, ""),
    ],
)
def test_text_is_cleaned(text, expected):
    cleaned = clean_text(pd.Series([text], dtype=object))[0]
    assert cleaned == expected
    assert clean_text(pd.Series([cleaned]))[0] == cleaned


def listed(root, rows):
    """A listing of rows (file, artist, caption, start, duration)."""
    table = pd.DataFrame(rows, columns=["file", "artist", "caption", "start", "duration"], dtype=object)
    return make_listing("src", root, table.drop(columns="file"), place_files(table["file"], root))


def test_what_a_row_lacks_is_its_status(root):
    rows = listed(
        root,
        [
            ("good.wav", "", "A song", "", ""),
            ("good.wav", "A", " \n", "1", "2"),
            ("none.wav", "A", "", "1", "2"),
            ("good.wav", "A", "A song", "soon", ""),
            ("good.wav", "A", "A song", "-1", ""),
            ("good.wav", "A", "A song", "nan", ""),
            ("good.wav", "A", "A song", "0", "inf"),
            ("good.wav", "A", "A song", "0", "0"),
            ("good.wav", "A", "A song", "0", "1e300"),
        ],
    )
    assert list(rows["status"]) == ["", "no_caption", "missing", *["invalid"] * 6]
    assert rows["artist"][0] == "unknown"
    assert (rows["reason"] != "").tolist() == (rows["status"] != "").tolist()


def test_rows_of_one_span_are_one_recording_with_several_captions(root):
    rows = [
        ("good.wav", "A", "second", "", ""),
        ("good.wav", "A", "first", "", ""),
        ("good.wav", "A", "first", "", ""),
        ("good.wav", "A", "third", "5", ""),
        ("sub/-i.flac", "B", "other", "", ""),
    ]
    both = recordings(listed(root, rows))
    assert sorted(both["caption"]) == [("first", "second"), ("other",), ("third",)]
    assert both["work_id"].nunique() == 2
    assert both["recording"].is_unique


def test_one_file_under_two_artists_is_refused(root):
    """Or a model might keep what one of them wants out."""
    both = recordings(listed(root, [("good.wav", "A", "x", "", ""), ("./good.wav", "B", "y", "9", "")]))
    assert list(both["status"]) == ["invalid", "invalid"]
    assert both["reason"].str.contains("several artists").all()


def test_ids_are_safe_names_and_stay_when_rows_are_added_or_reworded(root):
    rows = [(f"{name}.wav", "A", "x", "", "") for name in ("good", "none", "../../etc/$(x)", "ÄÖ日本", "x" * 300)]
    before = recordings(listed(root, rows))
    more = [("sub/-i.flac", "B", "new", "", ""), *rows[::-1], ("none.wav", "A", "x", "", "")]
    after = recordings(listed(root, more))
    assert set(before["recording"]) <= set(after["recording"])
    assert after["recording"].is_unique
    assert after["recording"].str.fullmatch(r"[a-z0-9_]{1,24}-[0-9a-f]{12}(\.\d+)?").all()
    reworded = recordings(listed(root, [("good.wav", "C", "other words", "", "")]))
    assert set(reworded["recording"]) <= set(before["recording"])


@pytest.mark.parametrize(
    ("file", "title"),
    [
        ("a/07 - Blue_Moon.wav", "Blue Moon"),
        ("99 Luftballons.mp3", "Luftballons"),
        ("1999.wav", "1999"),
        ("07.wav", "07"),
    ],
)
def test_a_title_from_a_name(file, title):
    assert title_of(file) == title
