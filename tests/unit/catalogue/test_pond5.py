"""A rights holder's list: local files and licensed addresses, and nothing that the list could lead astray."""

import pandas as pd
import pytest

from noencore.catalogue.listing import recordings
from noencore.catalogue.pond5 import list_pond5, read_pond5, wanted
from noencore.catalogue.wanted import Fetched
from noencore.errors import UserError

URL = "https://files.example/get/{}.wav?ticket={}"


@pytest.fixture
def export(tmp_path):
    """A function rows -> settings of a list of these rows, dicts of columns."""

    def write(*rows, **settings):
        pd.DataFrame(rows).to_csv(tmp_path / "list.csv", index=False)
        return {"source": "pond5", "path": str(tmp_path / "list.csv"), **settings}

    return write


def track(file="one.wav", **columns):
    return {"OriginalFilename": file, "Title": "A Title", "Description": "", "Keywords": "", **columns}


def test_the_columns_of_an_upload_are_known(export, tmp_path):
    (tmp_path / "one.wav").write_text("sound")
    about = {"Title": "Rain", "Description": "Slow piano.", "Keywords": "piano; slow,Slow, piano", "Price": "30"}
    listing = list_pond5(export(track(Copyright="A. Holder", **about)), "stock", Fetched())
    assert listing.loc[0, ["source", "artist", "title", "caption", "keywords", "size", "status"]].tolist() == [
        *("stock", "A. Holder", "Rain", "Slow piano.", "piano, slow, Slow", 5, "")
    ]
    assert listing.loc[0, "root"] == str(tmp_path)


@pytest.mark.parametrize(
    ("columns", "settings", "artist"),
    [
        ({"Artist": "B", "Copyright": "C"}, {"artist": "S"}, "B"),
        ({"Artist": "", "Copyright": "C"}, {"artist": "S"}, "S"),
        ({"Artist": "", "Copyright": "C"}, {}, "C"),
        ({}, {}, "unknown"),
    ],
)
def test_the_artist_is_the_rows_else_the_lists_else_the_holder(export, columns, settings, artist):
    assert list_pond5(export(track(**columns), **settings), "stock", Fetched())["artist"].tolist() == [artist]


@pytest.mark.parametrize(
    ("columns", "caption"),
    [
        ({"Description": "Prose.", "Keywords": "a"}, "Prose."),
        ({"Keywords": "a,b"}, "A Title: a, b"),
        ({}, "A Title"),
        ({"Title": ""}, "one"),
    ],
)
def test_a_track_without_description_is_captioned_by_title_and_keywords(export, columns, caption):
    assert list_pond5(export(track(**columns)), "stock", Fetched())["caption"].tolist() == [caption]


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("Original Filename,title,DESCRIPTION,key words", ["x", "T", "D", "K"]),
        ("Item ID,Download URL,Title", ["7", "https://files.example/x.wav", "T"]),
    ],
)
def test_columns_are_known_in_any_case(tmp_path, head, names):
    path = tmp_path / "list.csv"
    path.write_text(f"{head}\n{','.join(names)}\n")
    assert [value for value in read_pond5(path).iloc[0] if value] == (
        ["7", "https://files.example/x.wav", "T"] if names[0] == "7" else ["x", "T", "D", "K"]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Title,Keywords\nx,y\n", "no column OriginalFilename or URL; it has Title, Keywords"),
        ("URL,Keywords\nx,y\n", "no column Title or Description to caption the audio with"),
        ("URL,Title,Download-URL\nx,y,z\n", "two columns for 'url'; remove or rename 'Download-URL'"),
        ("URL,Title\n", "has no rows"),
    ],
)
def test_a_list_that_is_none_is_named(tmp_path, text, message):
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_pond5(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_rows_with_an_address_are_fetched_and_the_others_are_not(export):
    settings = export(track("a.wav"), track("b.wav", URL=URL.format("b", 1)), track("c.wav", URL=URL.format("c", 1)))
    assert [item.url for item in wanted(settings)] == [URL.format("b", 1), URL.format("c", 1)]
    assert wanted(export(track("a.wav"))) == []


def test_a_new_ticket_is_no_new_file(export):
    one, two = (wanted(export(track(URL=URL.format("x", ticket))))[0] for ticket in (1, 2))
    assert (one.file, one.origin) == (two.file, two.origin)


def test_two_tracks_of_one_name_are_two_files(export):
    rows = [{"URL": URL.format(f"{n}/mix", 1), "Title": "T", "ItemID": ""} for n in range(3)]
    assert len({item.file for item in wanted(export(*rows))}) == 3


def test_tracks_that_only_a_query_tells_apart_are_refused_as_it_may_be_a_ticket(export):
    """One would be given the audio of the other, under its own artist."""
    one, two = (
        {"URL": f"https://files.example/get?id={n}", "Artist": artist} for n, artist in enumerate(["Ann", "Bob"])
    )
    settings = export(track(**one), track(**two), track("two.wav", **two))
    listing = list_pond5(settings, "stock", Fetched())
    assert listing["status"].tolist() == ["invalid", "invalid", ""]
    assert "give each an ItemID" in listing["reason"][0]
    assert [item.url for item in wanted(settings)] == [two["URL"]]
    assert len(wanted(export(track(ItemID="1", **one), track(ItemID="2", **two)))) == 2
    assert len(wanted(export(track(**one), track(**one, Description="The same again")))) == 1


def test_a_name_and_password_in_an_address_are_in_no_listing_and_tell_nothing_apart(export):
    rows = [track("", URL=f"https://ann:{word}@files.example/x.wav") for word in ("secret", "pass@word")]
    listings = [list_pond5(export(row), "stock", Fetched()) for row in rows]
    pd.testing.assert_frame_equal(*listings)
    one, two = (wanted(export(row))[0] for row in rows)
    assert (one.file, one.origin) == (two.file, two.origin)
    assert "secret" not in str([listings[0].to_dict(), one.origin, one.file])


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({"URL": "http://[x/a.wav", "OriginalFilename": ""}, "invalid"),
        ({"URL": "file:///etc/hostname"}, "invalid"),
        ({"URL": "/etc/hostname"}, "invalid"),
        ({"URL": "--config-location=x"}, "invalid"),
        ({"URL": "ftp://files.example/x.wav"}, "invalid"),
        ({"URL": "https://files.example/x y.wav"}, "invalid"),
        ({"URL": "https://files.example/x.zip", "OriginalFilename": "x.zip"}, "unreadable"),
        ({"OriginalFilename": "../secret.wav"}, "outside"),
        ({"OriginalFilename": "/etc/hostname.wav"}, "outside"),
        ({"OriginalFilename": "no.wav"}, "missing"),
    ],
)
def test_what_leads_astray_is_a_row_with_a_reason_and_is_not_fetched(export, columns, status):
    settings = export(track(**columns))
    listing = list_pond5(settings, "stock", Fetched())
    assert listing["status"].tolist() == [status]
    assert listing["reason"].str.len().min() > 0
    assert wanted(settings) == []


@pytest.mark.parametrize("name", ["../../x.wav", "a/b/c.wav", "-x.wav", "é ü.WAV", "$(x).wav", "%(id)s.wav"])
def test_a_fetched_file_has_a_plain_name(export, name):
    (item,) = wanted(export(track(name, URL=URL.format("x", 1))))
    assert set(item.file) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
    assert item.file[0].isalnum()
    assert item.file.endswith(".wav")


def test_the_listing_has_local_and_fetched_files_with_what_became_of_them(export, tmp_path):
    (tmp_path / "a.wav").write_text("sound")
    (tmp_path / "store").mkdir()
    settings = export(track("a.wav"), *(track(f"{n}.wav", URL=URL.format(n, 1)) for n in "bc"))
    files = [item.file for item in wanted(settings)]
    (tmp_path / "store" / files[0]).write_text("more sound")
    found = pd.DataFrame({"file": files, "bytes": [10, 0], "status": ["ok", "gone"], "reason": ["", "HTTP 404"]})
    listing = list_pond5(settings, "stock", Fetched(tmp_path / "store", found))
    assert listing["status"].tolist() == ["", "", "gone"]
    assert listing["size"].tolist() == [5, 10, -1]
    assert listing["root"].tolist() == [str(tmp_path), *[str(tmp_path / "store")] * 2]
    assert recordings(listing)["recording"].is_unique


def test_a_root_that_is_none_is_named(export, tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder; correct catalogue\.root"):
        list_pond5(export(track(), root=str(tmp_path / "nowhere")), "stock", Fetched())


def test_tickets_are_in_no_listing(export):
    listing = list_pond5(export(track("", URL=URL.format("x", "secret"))), "stock", Fetched())
    assert not listing.astype(str).apply(lambda column: column.str.contains("secret")).any(axis=None)
