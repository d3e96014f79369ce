"""What a source wants is what its table says, and what fetching needs is looked for before anything runs."""

import pytest

from noencore.catalogue import fetching as library
from noencore.catalogue.download import Terms
from noencore.catalogue.fetching import fetch_digest, fetch_part
from noencore.errors import UserError
from noencore.preflight import check_fetching

TERMS = Terms(workers=1, pause=0, retries=0, backoff=0, timeout=5, max_megabytes=1, min_share=0)


@pytest.fixture
def tracks(tmp_path):
    """A function tickets -> settings of a list of two tracks with these in their addresses."""

    def write(*tickets):
        rows = [f"{n}.wav,Title,https://files.example/{n}.wav?ticket={ticket}" for n, ticket in enumerate(tickets)]
        (tmp_path / "list.csv").write_text("\n".join(["OriginalFilename,Title,URL", *rows]))
        return {"source": "pond5", "path": str(tmp_path / "list.csv")}

    return write


def test_the_digest_follows_what_is_wanted_and_not_its_tickets(tracks):
    digest = fetch_digest(tracks("a", "b"))
    assert fetch_digest(tracks("c", "d")) == digest
    assert fetch_digest(tracks("a")) != digest


def test_a_list_without_addresses_fetches_nothing(tmp_path):
    (tmp_path / "list.csv").write_text("OriginalFilename,Title\none.wav,One\n")
    settings = {"source": "pond5", "path": str(tmp_path / "list.csv")}
    found = fetch_part(settings, TERMS, tmp_path / "store", lambda items, total: items)
    assert found.empty
    assert list(found) == ["file", "bytes", "sha256", "status", "reason"]


def test_no_file_waits_for_an_import_while_its_time_runs(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(library, "load_yt_dlp", lambda: done.append("import"))
    monkeypatch.setattr(library, "fetch_all", lambda *_: done.append("fetch"))
    (tmp_path / "caps.csv").write_text(
        "ytid,start_s,end_s,aspect_list,caption,is_balanced_subset,is_audioset_eval\nabcdefghijk,0,10,[],x,True,False\n"
    )
    fetch_part({"source": "musiccaps", "path": tmp_path / "caps.csv"}, TERMS, tmp_path / "store", None)
    assert done == ["import", "fetch"]


def fetching(source, **fetch):
    return {"catalogue": {"source": source}, "fetch": fetch}


def test_a_cookies_file_is_read_before_anything_runs(tmp_path):
    with pytest.raises(UserError, match=r"cookies\.txt: no cookies file"):
        check_fetching(fetching("pond5", cookies=str(tmp_path / "cookies.txt")))
    check_fetching(fetching("pond5"))
    check_fetching(fetching("folder", cookies=str(tmp_path / "cookies.txt")))  # nothing is fetched there


def test_a_missing_yt_dlp_is_found_before_anything_runs(monkeypatch):
    monkeypatch.setattr("noencore.preflight.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"yt-dlp: .* not installed; run make setup"):
        check_fetching(fetching("musiccaps"))
    check_fetching(fetching("pond5"))
