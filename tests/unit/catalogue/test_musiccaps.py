"""MusicCaps' table is read as data, checked row by row, and gives the same segments in the same order each time."""

import csv

import pandas as pd
import pytest

from noencore.catalogue.listing import recordings
from noencore.catalogue.musiccaps import choose, list_musiccaps, read_musiccaps, wanted
from noencore.catalogue.wanted import Fetched
from noencore.errors import UserError

HEAD = "ytid,start_s,end_s,audioset_positive_labels,aspect_list,caption,author_id,is_balanced_subset,is_audioset_eval"
ROWS = [  # made up, in the format of the public table
    *(
        ["-abcdefgh_Z", "30", "40", "/m/0140xf", "['harp', \"a bard's air\"]", "A slow harp.", "4", "False", "True"],
        ["ZZabcdefghi", "0", "10", "/m/0140xf", "['low quality', 'drums']", "Drums,\nfar off.", "6", "True", "False"],
    ),
    *([f"AAabcdefg{i:02}", "110.5", "120.5", "/m/04rlf", "[]", f"Song {i}", "1", "False", "False"] for i in range(20)),
]


@pytest.fixture
def table(tmp_path):
    """A function changes -> path of the table; a change is (row, column, value)."""

    def write(*changes, rows=ROWS):
        rows = [dict(zip(HEAD.split(","), row)) for row in rows]
        for row, column, value in changes:
            rows[row][column] = value
        path = tmp_path / "musiccaps.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HEAD.split(","))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


def test_a_row_is_what_the_table_says(table):
    frame = read_musiccaps(table())
    assert len(frame) == 22
    assert frame.iloc[0].to_dict() == {
        **{"ytid": "-abcdefgh_Z", "start": 30.0, "end": 40.0, "caption": "A slow harp."},
        **{"aspects": ("harp", "a bard's air"), "balanced": False, "eval": True},
    }


def test_the_order_of_the_table_does_not_count(table):
    one = wanted({"path": table()})
    assert wanted({"path": table(rows=ROWS[::-1])}) == one
    assert [item.file for item in one][:2] == ["yt_-abcdefgh_Z-30000.flac", "yt_AAabcdefg00-110500.flac"]


def test_a_segment_is_asked_for_at_the_public_site_or_at_a_mirror(table):
    first = wanted({"path": table()})[0]
    assert (first.url, first.start, first.end) == ("https://www.youtube.com/watch?v=-abcdefgh_Z", 30.0, 40.0)
    mirror = wanted({"path": table(), "url": "http://mirror.example/{ytid}.opus"})[0]
    assert mirror.url == "http://mirror.example/-abcdefgh_Z.opus"


@pytest.mark.parametrize(
    "url", ["https://x.example/", "{ytid}", "file:///{ytid}", "-x {ytid}", "http://a/{ytid}{ytid}"]
)
def test_a_mirror_is_an_address_with_a_place_for_the_id(table, url):
    with pytest.raises(UserError, match=r"catalogue\.url: .* is no http\(s\) address with \{ytid\} in it once"):
        wanted({"path": table(), "url": url})


def test_a_larger_draw_has_all_of_a_smaller_one(table):
    frame = read_musiccaps(table())
    draws = [set(choose(frame, {"draw": {"rows": n, "seed": 1}})["ytid"]) for n in (3, 8, 22)]
    assert [len(draw) for draw in draws] == [3, 8, 22]
    assert draws[0] < draws[1] < draws[2]
    assert draws[0] != set(choose(frame, {"draw": {"rows": 3, "seed": 2}})["ytid"])


def test_a_draw_keeps_the_order(table):
    frame = choose(read_musiccaps(table()), {"draw": {"rows": 9, "seed": 0}})
    assert frame["ytid"].is_monotonic_increasing


def test_rows_that_mention_a_word_are_left_out(table):
    settings = {"path": "musiccaps.csv", "without": ["Low Quality", "slow"]}
    assert set(choose(read_musiccaps(table()), settings)["ytid"]) == {row[0] for row in ROWS[2:]}
    with pytest.raises(UserError, match="without leaves no rows"):
        choose(read_musiccaps(table()), {**settings, "without": ["s", "drums"]})


def test_more_rows_than_there_are_cannot_be_drawn(table):
    with pytest.raises(UserError, match=r"draw\.rows: 23 is more than the 22 rows there are"):
        choose(read_musiccaps(table()), {"draw": {"rows": 23, "seed": 0}})


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("ytid", "short", "ytid 'short' is not the 11 characters"),
        ("ytid", "--exec=x;rm", "ytid '--exec=x;rm' is not the 11 characters"),
        ("ytid", "../../../et", "is not the 11 characters"),
        ("ytid", "abcdefghij\n", "is not the 11 characters"),
        ("start_s", "soon", "start_s is 'soon', not a number"),
        ("start_s", "", "start_s is '', not a number"),
        ("start_s", "nan", "is no segment of up to 60 s"),
        ("end_s", "-inf", "is no segment of up to 60 s"),
        ("start_s", "-1", "from -1 s to 10 s is no segment"),
        ("end_s", "3600", "from 0 s to 3600 s is no segment"),
        ("end_s", "0", "from 0 s to 0 s is no segment"),
        ("caption", " ", "no caption"),
        ("is_audioset_eval", "yes", "is_audioset_eval is 'yes', not True or False"),
        ("aspect_list", "__import__('os').getcwd()", "aspect_list is no Python list of texts"),
        ("aspect_list", "[1]", "aspect_list is no Python list of texts"),
        ("aspect_list", "harp, slow", "aspect_list is no Python list of texts"),
        ("aspect_list", "(" * 5000, "aspect_list is no Python list of texts"),
        ("aspect_list", "[" * 99_999, "aspect_list is no Python list of texts"),
    ],
)
def test_a_row_that_is_wrong_is_named_in_one_line(table, column, value, message):
    with pytest.raises(UserError) as caught:
        read_musiccaps(table((1, column, value)))
    assert "musiccaps.csv: row 2: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_another_is_named(table, tmp_path):
    with pytest.raises(UserError, match=r"musiccaps\.csv: ZZabcdefghi is there twice with one start; remove one row"):
        read_musiccaps(table(rows=[*ROWS, ROWS[1]]))
    with pytest.raises(UserError, match="has no rows"):
        read_musiccaps(table(rows=[]))
    (tmp_path / "musiccaps.csv").write_text("ytid,caption\nabcdefghijk,x\n")
    with pytest.raises(UserError, match="no column 'start_s'; it has ytid, caption"):
        read_musiccaps(tmp_path / "musiccaps.csv")
    with pytest.raises(UserError, match="no such file"):
        read_musiccaps(tmp_path / "other.csv")


def test_the_listing_has_a_row_a_segment_with_what_became_of_it(table, tmp_path):
    settings = {"path": table(rows=ROWS[:3])}
    files = [item.file for item in wanted(settings)]
    (tmp_path / files[0]).write_text("sound")
    found = pd.DataFrame(
        {"file": files, "bytes": [5, 0, 5], "status": ["ok", "bot_gate", "ok"], "reason": ["", "so", ""]}
    )
    listing = list_musiccaps(settings, "caps", Fetched(tmp_path, found))
    assert listing["status"].tolist() == ["", "bot_gate", "missing"]
    assert listing["size"].tolist() == [5, -1, -1]
    assert listing["file"].tolist() == files
    assert listing.loc[0, ["source", "artist", "title", "caption", "aspects", "audioset"]].tolist() == [
        *("caps", "unknown", "-abcdefgh_Z", "A slow harp.", "harp; a bard's air", "eval")
    ]
    assert listing.loc[2, "audioset"] == "train"
    assert recordings(listing)["recording"].is_unique


def test_before_anything_is_fetched_all_rows_count_as_there(table):
    listing = list_musiccaps({"path": table()}, "caps", Fetched())
    assert (listing["status"] == "").all()
