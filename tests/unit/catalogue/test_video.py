"""yt-dlp fetches from a site on this machine, and what goes wrong there is told apart.

What this cannot show is the real site: its pages, its player's script and its gates are stood in for by plain files,
pages with one medium, and the words that yt-dlp passes on from it.
"""

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from websites import Answer

from noencore.catalogue.download import LASTING, PASSING, Terms, fetch_all
from noencore.catalogue.musiccaps import YOUTUBE
from noencore.catalogue.video import EXTRACTORS, explain, fetch_segment, read_cookies
from noencore.catalogue.wanted import Wanted
from noencore.errors import UserError

yt_dlp = pytest.importorskip("yt_dlp", reason="yt-dlp is not installed")

RATE, SECONDS, START, END = 16000, 6, 2.5, 4.5
TERMS = Terms(workers=4, pause=0, retries=1, backoff=0, timeout=600, max_megabytes=1, min_share=0)


@pytest.fixture(scope="module")
def sound():
    return np.round(np.random.default_rng(0).uniform(-8000, 8000, RATE * SECONDS)) / 32768


@pytest.fixture(scope="module")
def track(sound):
    """The bytes of a flac file of 150 kB."""
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, "PCM_16", format="FLAC")
    return file.getvalue()


@pytest.fixture
def fetch(site, tmp_path):
    """A function answers -> the row of a segment of a video that is answered so."""

    def fetch_from(*answers, end=END, **terms):
        site.requests.clear()
        wanted = Wanted("x.flac", site.serve("/watch", *answers) + "?v=x", START, end)
        row = fetch_all([wanted], tmp_path, fetch_segment, replace(TERMS, **terms)).loc[0]
        assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".flac") == (
            ["x.flac"] if row["status"] == "ok" else []
        )
        return row

    return fetch_from


def page(medium):
    return Answer(f"<html><title>x</title><body><audio src='{medium}'></audio></body></html>".encode(), "text/html")


@pytest.mark.parametrize("through", ["file", "page", "redirect"])
def test_a_segment_is_cut_to_the_sample(fetch, site, sound, track, tmp_path, through):
    site.serve("/medium.flac", Answer(track))
    first = {
        "file": Answer(track),
        "page": page("/medium.flac"),
        "redirect": Answer(status=302, headers={"Location": "/medium.flac"}),
    }
    assert fetch(first[through])["status"] == "ok"
    heard, rate = soundfile.read(tmp_path / "x.flac")
    assert rate == RATE
    np.testing.assert_array_equal(heard, sound[round(START * RATE) : round(END * RATE)])


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(status=404), "gone"),
        (Answer(status=403), "forbidden"),
        (Answer(status=429), "throttled"),
        (Answer(status=503), "server"),
        (Answer(dead=True), "connection"),
        (Answer(b"<html><body>nothing to see</body></html>", "text/html"), "wrong_type"),
        (page("file:///etc/hostname"), "refused"),
        (Answer(status=302, headers={"Location": "file:///etc/hostname"}), "refused"),
        (Answer(b"no sound" * 999, "audio/flac"), "undecodable"),
    ],
)
def test_a_video_that_cannot_be_had_has_its_reason(fetch, answer, status):
    row = fetch(answer)
    assert row["status"] == status
    assert row["reason"]
    assert "caused by" not in row["reason"]


def test_a_playlist_opens_no_file_of_this_machine(fetch, track, tmp_path):
    (tmp_path / "secret").write_bytes(track)
    pieces = f"#EXTINF:6,\nfile://{tmp_path}/secret\n"
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n{pieces}#EXT-X-ENDLIST\n"
    assert fetch(Answer(text.encode(), "application/vnd.apple.mpegurl"))["status"] == "refused"


def test_a_track_that_breaks_off_is_truncated_and_then_continued(fetch, site, track):
    whole, broken = Answer(track, ranges=True), Answer(track[:90_000], said=len(track))
    assert fetch(whole, broken)["status"] == "truncated"
    assert fetch(whole, broken, whole, whole)["status"] == "ok"
    assert 0 < int(site.requests[-1][1]["Range"].strip("bytes=-")) <= 90_000


def test_a_throttled_video_comes_later(fetch, track):
    assert fetch(Answer(status=429, headers={"Retry-After": "0"}), Answer(track))["status"] == "ok"


def test_a_video_that_ends_before_the_segment_is_short(fetch, track):
    assert fetch(Answer(track), end=8.0)["status"] == "short"


def test_a_slow_site_is_left_after_the_time_limit(fetch, track):
    assert fetch(Answer(track), Answer(track, pause=0.2), timeout=1.0, retries=0)["status"] == "timeout"


def test_a_track_that_is_too_large_is_not_taken(fetch, track):
    row = fetch(Answer(track), max_megabytes=0.1)
    assert (row["status"], row["reason"]) == ("too_large", "more than 0.1 MB")


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ytsearch:noise", "--exec=true", "abcdefghijk", "", "http:x"])
def test_what_is_no_address_is_given_to_nobody(tmp_path, url):
    row = fetch_all([Wanted("x.flac", url, START, END)], tmp_path, fetch_segment, TERMS).loc[0]
    assert (row["status"], row["reason"]) == ("refused", "no http(s) address")


def test_the_public_site_is_read_by_the_extractor_made_for_it():
    url = YOUTUBE.replace("{ytid}", "-abcdefgh_Z")
    suitable = [extractor.IE_NAME for extractor in yt_dlp.extractor.gen_extractor_classes() if extractor.suitable(url)]
    assert suitable[0] == "youtube"
    assert "youtube" in EXTRACTORS


def test_many_videos_at_once(site, track, tmp_path):
    wanted = [Wanted(f"{n}.flac", site.serve(f"/watch/{n}", Answer(track)), START, END) for n in range(12)]
    rows = fetch_all(wanted, tmp_path, fetch_segment, TERMS)
    assert (rows["status"] == "ok").all()
    assert rows["sha256"].nunique() == 1


def test_cookies_are_sent_and_their_file_stays_as_it_is(site, track, tmp_path):
    file = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tticket\tsecret\n"
    file.write_text(text)
    cookies = read_cookies(file)
    answer = Answer(track, headers={"Set-Cookie": "other=1"})
    wanted = Wanted("x.flac", site.serve("/with-cookies", answer), START, END)

    def fetch(*arguments):
        return fetch_segment(*arguments, cookies=cookies)

    assert fetch_all([wanted], tmp_path / "store", fetch, TERMS).loc[0, "status"] == "ok"
    sent = [headers.get("Cookie", "") for path, headers in site.requests if path == "/with-cookies"]
    assert all("ticket=secret" in cookie for cookie in sent)
    assert file.read_text() == text


@pytest.mark.parametrize("content", [None, "", "secret\n", "\xff", "# Netscape HTTP Cookie File\nsecret\n"])
def test_what_is_no_cookies_file_is_named_and_not_quoted(tmp_path, content):
    path = tmp_path / "cookies.txt"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(
        UserError, match=r"cookies\.txt: no cookies file .*; export a cookies\.txt from a browser"
    ) as caught:
        read_cookies(path)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


GATE = "Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies for the authentication"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (GATE, "bot_gate"),
        ("Sign in to confirm your age. This video may be inappropriate for some users", "age_gate"),
        ("Private video. Sign in if you've been granted access to this video", "private"),
        ("This video is private", "private"),
        ("Join this channel to get access to members-only content like this video", "private"),
        ("The uploader has not made this video available in your country", "region"),
        ("This video contains content from X, who has blocked it in your country on copyright grounds", "region"),
        ("Video unavailable", "gone"),
        ("Video unavailable. This video has been removed by the uploader", "gone"),
        ("Video unavailable. This video is no longer available because the account has been terminated", "gone"),
        ("This video has been removed for violating YouTube's Terms of Service", "gone"),
        ("This content isn't available, try again later. The current session has been rate-limited", "throttled"),
        ("Requested format is not available. Use --list-formats for a list of available formats", "wrong_type"),
        ("This video is DRM protected", "wrong_type"),
        ("The read operation timed out", "timeout"),
        ("something that nobody has seen before", "other"),
    ],
)
def test_what_the_site_says_is_told_apart(said, status):
    error = yt_dlp.utils.DownloadError(f"ERROR: [youtube] abcdefghijk: {said}")
    failure = explain(error)
    assert failure.status == status
    assert failure.status in PASSING + LASTING
    assert str(failure).startswith(f"abcdefghijk: {said.split('. Use')[0]}"[:200])


def test_a_region_is_known_by_the_class_of_the_error():
    cause = yt_dlp.utils.GeoRestrictedError("nothing that a pattern finds", countries=["IS"])
    error = yt_dlp.utils.DownloadError("ERROR: x", (type(cause), cause, None))
    assert explain(error).status == "region"
