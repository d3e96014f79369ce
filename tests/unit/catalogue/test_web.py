"""Licensed addresses are fetched whole or with a reason, from a site on this machine that misbehaves in every way."""

import base64
import io
import socket
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from websites import Answer

from noencore.catalogue.download import PARTS, Failure, Guard, Pace, Terms, fetch_all
from noencore.catalogue.wanted import Wanted
from noencore.catalogue.web import SameKind, fetch_file

TERMS = Terms(workers=4, pause=0, retries=2, backoff=0, timeout=600, max_megabytes=1, min_share=0)


@pytest.fixture(scope="module")
def audio():
    """A wav file of 200 kB, of noise."""
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, 100_000), 16000, "PCM_16", format="WAV")
    return file.getvalue()


@pytest.fixture
def fetch(site, tmp_path):
    """A function answers -> the row of a file that is answered so. It leaves nothing but whole files."""

    def fetch_from(*answers, **terms):
        site.requests.clear()
        url = site.serve("/x.wav", *answers)
        row = fetch_all([Wanted("x.wav", url)], tmp_path, fetch_file, replace(TERMS, **terms)).loc[0]
        assert (tmp_path / "x.wav").exists() == (row["status"] == "ok")
        assert not (tmp_path / PARTS).exists()
        return row

    return fetch_from


@pytest.mark.parametrize(
    "kind",
    [*("audio/wav", "audio/x-wav", "application/octet-stream"), "binary/octet-stream", "application/force-download"],
)
def test_a_good_answer_is_the_file(fetch, audio, tmp_path, kind):
    row = fetch(Answer(audio, kind))
    assert (row["status"], row["bytes"]) == ("ok", len(audio))
    assert (tmp_path / "x.wav").read_bytes() == audio


@pytest.mark.parametrize(
    ("status", "word", "tries"),
    [
        *((404, "gone", 1), (410, "gone", 1), (401, "forbidden", 1), (403, "forbidden", 1), (451, "region", 1)),
        *((429, "throttled", 3), (408, "server", 3), (500, "server", 3), (503, "server", 3), (400, "refused", 1)),
    ],
)
def test_a_refusal_has_its_reason(fetch, site, status, word, tries):
    row = fetch(Answer(status=status))
    assert row["status"] == word
    assert str(status) in row["reason"]
    assert site.count("/x.wav") == tries


def test_a_throttled_file_comes_later(fetch, site, audio):
    assert fetch(Answer(status=429, headers={"Retry-After": "0"}), Answer(audio))["status"] == "ok"
    assert site.count("/x.wav") == 2


def test_what_a_site_asks_for_in_retry_after_is_passed_on(site, tmp_path):
    url = site.serve("/x.wav", Answer(status=503, headers={"Retry-After": "90"}))
    with pytest.raises(Failure) as caught:
        fetch_file(Wanted("x.wav", url), tmp_path, Guard(TERMS, Pace(0)))
    assert (caught.value.status, caught.value.wait) == ("server", 90)


@pytest.mark.parametrize("kind", ["text/html", "application/json", "image/png"])
def test_a_page_in_place_of_audio_is_of_the_wrong_type(fetch, site, kind):
    row = fetch(Answer(b"<html>please log in", f"{kind}; charset=utf-8"))
    assert (row["status"], row["reason"]) == ("wrong_type", f"{kind} where audio should be")
    assert site.count("/x.wav") == 1


def test_a_page_that_says_it_were_audio_is_undecodable(fetch):
    assert fetch(Answer(b"<html>please log in" * 99, "audio/wav"))["status"] == "undecodable"


def test_a_dead_connection_is_tried_again(fetch, site, audio):
    assert fetch(Answer(dead=True))["status"] == "connection"
    assert site.count("/x.wav") == 3
    assert fetch(Answer(dead=True), Answer(audio))["status"] == "ok"


def test_a_host_that_does_not_answer_is_a_dead_connection(tmp_path):
    with socket.socket() as taken:  # so that nobody else may listen there
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x.wav"
        row = fetch_all([Wanted("x.wav", url)], tmp_path, fetch_file, TERMS).loc[0]
    assert (row["status"], row["reason"][:22]) == ("connection", "ConnectionRefusedError")


@pytest.mark.parametrize("broken", [{"said": 300_000}, {"dead": 150_000}])
def test_a_body_that_breaks_off_is_no_file(fetch, audio, broken):
    assert fetch(Answer(audio, **broken))["status"] in ("truncated", "connection")


def half(audio, **headers):
    """150 kB of the audio, of an answer that promised all."""
    return Answer(audio[:150_000], said=len(audio), headers=headers)


def test_a_body_that_broke_off_is_continued_where_the_file_is_the_same(fetch, site, audio, tmp_path):
    assert fetch(half(audio, ETag='"1"'), Answer(audio, ranges=True))["status"] == "ok"
    asked = site.requests[1][1]
    assert (asked["Range"], asked["If-Range"]) == ("bytes=150000-", '"1"')
    assert (tmp_path / "x.wav").read_bytes() == audio


@pytest.mark.parametrize("mark", [{}, {"ETag": 'W/"1"'}])
def test_without_a_strong_mark_it_begins_anew(fetch, site, audio, tmp_path, mark):
    assert fetch(half(audio, **mark), Answer(audio, ranges=True))["status"] == "ok"
    assert "Range" not in site.requests[1][1]
    assert (tmp_path / "x.wav").read_bytes() == audio


def test_a_site_that_sends_all_again_is_not_mixed_up(fetch, audio, tmp_path):
    other = audio[:44] + bytes(reversed(audio[44:]))
    assert fetch(half(audio, ETag='"1"'), Answer(other, headers={"ETag": '"2"'}))["status"] == "ok"
    assert (tmp_path / "x.wav").read_bytes() == other


def test_a_slow_site_is_left_after_the_time_limit(fetch, site, audio):
    row = fetch(Answer(audio, pause=0.05), timeout=0.2, retries=0)
    assert row["status"] == "timeout"


@pytest.mark.parametrize("tell", [True, False])
def test_a_file_that_is_too_large_is_not_taken(fetch, site, audio, tell):
    """Whether or not the site tells how large it is."""
    row = fetch(Answer(audio * 6, said=None if tell else -1))
    assert (row["status"], row["reason"]) == ("too_large", "more than 1 MB")
    assert site.count("/x.wav") == 1


def test_a_site_need_not_tell_how_large_a_file_is(fetch, audio):
    assert fetch(Answer(audio, said=-1))["status"] == "ok"


@pytest.mark.parametrize(
    "target", ["file:///etc/hostname", "ftp://127.0.0.1/x.wav", "data:audio/wav;base64,UklGRg==", "gopher://127.0.0.1/"]
)
def test_no_redirect_leads_to_another_kind_of_address(fetch, site, target):
    row = fetch(Answer(status=302, headers={"Location": target}))
    assert row["status"] == "refused"
    assert site.count("/x.wav") == 1


def test_a_redirect_to_another_page_is_followed_but_not_for_ever(fetch, site, audio):
    site.serve("/y.wav", Answer(audio))
    assert fetch(Answer(status=302, headers={"Location": "/x.wav?again"}))["status"] == "refused"
    assert fetch(Answer(status=302, headers={"Location": "/y.wav"}))["status"] == "ok"


def test_a_redirect_never_gives_up_encryption():
    request = urllib.request.Request("https://example.org/x.wav")
    with pytest.raises(Failure, match="redirected from https to http") as caught:
        SameKind().redirect_request(request, None, 302, "Found", {}, "http://example.org/x.wav")
    assert caught.value.status == "refused"


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "/etc/hostname", "", "http://", "http:x"])
def test_an_address_that_is_none_is_refused(tmp_path, url):
    row = fetch_all([Wanted("x.wav", url)], tmp_path, fetch_file, TERMS).loc[0]
    assert row["status"] == "refused"


def test_tickets_are_in_no_reason_and_no_journal(site, tmp_path):
    url = site.serve("/x.wav", Answer(status=403)) + "?ticket=secret"
    row = fetch_all([Wanted("x.wav", url)], tmp_path, fetch_file, TERMS).loc[0]
    assert row["status"] == "forbidden"
    assert "secret" not in row["reason"] + (tmp_path / "fetched.jsonl").read_text()


def test_a_name_and_password_in_the_address_are_sent_to_its_host_and_written_nowhere(site, audio, tmp_path):
    site.requests.clear()
    site.serve("/y.wav", Answer(audio))
    address = site.serve("/x.wav", Answer(status=302, headers={"Location": "/y.wav"})).replace(
        "://", "://ann:se%3Acret@"
    )
    row = fetch_all([Wanted("x.wav", address)], tmp_path, fetch_file, TERMS).loc[0]
    assert row["status"] == "ok"
    sent = [headers.get("Authorization") for _, headers in site.requests]
    assert sent == [f"Basic {base64.b64encode(b'ann:se:cret').decode()}", None]
    assert "cret" not in row["reason"] + (tmp_path / "fetched.jsonl").read_text()


def test_a_password_is_in_no_reason(tmp_path):
    row = fetch_all([Wanted("x.wav", "http://ann:secret@x.invalid/x.wav")], tmp_path, fetch_file, TERMS).loc[0]
    assert row["status"] == "connection"
    assert "secret" not in row["reason"] + (tmp_path / "fetched.jsonl").read_text()


def test_an_address_may_have_letters_of_any_language(site, audio, tmp_path):
    site.serve("/Bj%C3%B6rk%20(1).wav", Answer(audio))
    row = fetch_all([Wanted("x.wav", f"{site.url}/Björk%20(1).wav?näme=ü")], tmp_path, fetch_file, TERMS).loc[0]
    assert (row["status"], row["reason"]) == ("ok", "")
