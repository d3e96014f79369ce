"""Many files are fetched at the pace that was agreed, none twice, and every loss has its reason."""

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from noencore.catalogue import download
from noencore.catalogue.download import JOURNAL, LASTING, PASSING, Failure, Terms, fetch_all
from noencore.catalogue.wanted import Wanted
from noencore.errors import UserError
from noencore.files import sha256

TERMS = Terms(workers=4, pause=0, retries=2, backoff=0, timeout=600, max_megabytes=1, min_share=0)
WANTED = [Wanted(f"item-{number}.flac", f"https://example.org/{number}") for number in range(8)]


class Clock(threading.local):
    """The time of a thread: it passes while the thread waits for its turn, and stands still while it works."""

    now = 0.0

    def monotonic(self):
        return self.now

    def event(self):
        made = threading.Event()
        made.wait = self.sleep
        return made

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    """A Clock, by which the downloads go."""
    made = Clock()
    monkeypatch.setattr(download, "time", made)
    monkeypatch.setattr(download, "threading", SimpleNamespace(Lock=threading.Lock, Event=made.event))
    return made


class Shelf:
    """A fetching function: it writes each file's name into it, or raises the next failure that is meant for it.

    clock: what tells the `times` of its calls."""

    def __init__(self, clock=time, **failures):
        self.clock = clock
        self.failures = {f"{name.replace('_', '-')}.flac": list(queue) for name, queue in failures.items()}
        self.calls, self.times = Counter(), []

    def __call__(self, wanted, parts, guard):
        self.calls[wanted.file] += 1
        self.times.append(self.clock.monotonic())
        if self.failures.get(wanted.file):
            raise self.failures[wanted.file].pop(0)
        path = parts / "whole.flac"
        path.write_text(wanted.file)
        return path


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_files_lie_in_the_folder_under_their_names_and_rows_keep_the_order(tmp_path):
    wanted = WANTED[::-1]
    rows = fetch_all(wanted, tmp_path, Shelf(), TERMS)
    assert rows["file"].tolist() == [one.file for one in wanted]
    assert rows["bytes"].tolist() == [len(one.file) for one in wanted]
    assert (rows["status"] == "ok").all()
    assert rows["sha256"].tolist() == [sha256(tmp_path / file) for file in rows["file"]]
    assert names(tmp_path) == sorted([JOURNAL, *rows["file"]])


def test_the_rows_do_not_depend_on_the_number_of_workers(tmp_path):
    failing = {"item_3": [Failure("gone", "removed")], "item_5": [Failure("timeout")]}
    one = fetch_all(WANTED, tmp_path / "one", Shelf(**failing), replace(TERMS, workers=1))
    many = fetch_all(WANTED, tmp_path / "many", Shelf(**failing), replace(TERMS, workers=8))
    assert one.equals(many)


@pytest.mark.parametrize("status", PASSING)
def test_what_may_pass_is_tried_again(tmp_path, status):
    shelf = Shelf(item_0=[Failure(status)] * 2, item_1=[Failure(status, "always")] * 3)
    rows = fetch_all(WANTED[:2], tmp_path, shelf, TERMS)
    assert shelf.calls == {"item-0.flac": 3, "item-1.flac": 3}
    assert rows["status"].tolist() == ["ok", status]
    assert rows["reason"].tolist() == ["", "always"]


@pytest.mark.parametrize("status", LASTING)
def test_what_lasts_is_asked_for_once(tmp_path, status):
    shelf = Shelf(item_0=[Failure(status, "so it is")])
    rows = fetch_all(WANTED[:1], tmp_path, shelf, TERMS)
    assert shelf.calls == {"item-0.flac": 1}
    assert rows.loc[0].tolist() == ["item-0.flac", 0, "", status, "so it is"]


def test_a_second_run_fetches_what_the_first_could_not(tmp_path):
    first = fetch_all(WANTED, tmp_path, Shelf(item_3=[Failure("bot_gate")]), TERMS)
    again = Shelf()
    second = fetch_all(WANTED, tmp_path, again, TERMS)
    assert first["status"].value_counts().to_dict() == {"ok": 7, "bot_gate": 1}
    assert again.calls == {"item-3.flac": 1}
    assert (second["status"] == "ok").all()


@pytest.mark.parametrize("damage", ["lost", "cut", "moved", "other stretch", "journal"])
def test_what_is_not_there_as_it_was_is_fetched_again(tmp_path, damage):
    fetch_all(WANTED[:2], tmp_path, Shelf(), TERMS)
    wanted, path, journal = WANTED[:2], tmp_path / "item-1.flac", tmp_path / JOURNAL
    if damage == "lost":
        path.unlink()
    elif damage == "cut":
        path.write_text("item")
    elif damage == "moved":
        wanted = [wanted[0], replace(wanted[1], url="https://example.org/other")]
    elif damage == "other stretch":
        wanted = [wanted[0], replace(wanted[1], start=0, end=10)]
    else:  # killed in the middle of a line
        lines = journal.read_text().splitlines()
        journal.write_text("".join(f"{line}\n" for line in lines if "item-0" in line) + '{"file": "item-1')
    shelf = Shelf()
    assert (fetch_all(wanted, tmp_path, shelf, TERMS)["status"] == "ok").all()
    assert shelf.calls == {"item-1.flac": 1}
    assert path.read_text() == "item-1.flac"


def test_a_new_ticket_in_an_address_fetches_nothing_again(tmp_path):
    for ticket, calls in (("a", 1), ("b", 0)):
        shelf = Shelf()
        fetch_all([Wanted("x.wav", f"https://example.org/x.wav?ticket={ticket}")], tmp_path, shelf, TERMS)
        assert shelf.calls.total() == calls
    assert "ticket" not in (tmp_path / JOURNAL).read_text()


def test_the_run_stops_as_soon_as_too_few_are_left(tmp_path):
    gate = {one.file[:-5].replace("-", "_"): [Failure("bot_gate")] for one in WANTED[2:]}
    shelf = Shelf(**gate, item_1=[Failure("gone")])

    def fetch(wanted, parts, guard):
        while shelf.calls.total() == 4:  # of which three are lost: until the run stops
            guard.check()
            time.sleep(0.01)
        return shelf(wanted, parts, guard)

    terms = replace(TERMS, workers=1, min_share=0.75)
    with pytest.raises(UserError) as caught:
        fetch_all(WANTED, tmp_path, fetch, terms)
    assert str(caught.value) == (
        f"{tmp_path}: 3 of 8 files cannot be had (2 bot_gate, 1 gone), which leaves less than fetch.min_share (0.75); "
        "give fetch.cookies, a cookies file of a browser that is signed in. "
        "What was fetched stays; fetched.jsonl there has the reasons"
    )
    assert shelf.calls.total() == 4
    assert (tmp_path / "item-0.flac").exists()
    statuses = [json.loads(line)["status"] for line in (tmp_path / JOURNAL).read_text().splitlines()]
    assert sorted(status for status in statuses if status != "ok") == ["bot_gate", "bot_gate", "gone"]


@pytest.mark.parametrize(("share", "stops"), [(0.75, False), (0.76, True), (1, True), (0, False)])
def test_the_minimum_share_itself_is_enough(tmp_path, share, stops):
    shelf = Shelf(item_1=[Failure("gone")], item_2=[Failure("gone")])
    if stops:
        with pytest.raises(UserError, match="of 8 files cannot be had"):
            fetch_all(WANTED, tmp_path, shelf, replace(TERMS, min_share=share))
    else:
        assert (fetch_all(WANTED, tmp_path, shelf, replace(TERMS, min_share=share))["status"] == "ok").sum() == 6


def test_no_more_than_the_agreed_number_at_a_time(tmp_path):
    at_work, most, lock, all_three = 0, 0, threading.Lock(), threading.Barrier(3)

    def fetch(wanted, parts, guard):
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        all_three.wait(TERMS.timeout)
        time.sleep(0.02)  # for a fourth to show itself
        with lock:
            at_work -= 1
        return Shelf()(wanted, parts, guard)

    fetch_all(WANTED[:6], tmp_path, fetch, replace(TERMS, workers=3))
    assert most == 3


def gaps(times):
    return [after - before for before, after in pairwise(times)]


def test_requests_begin_at_the_agreed_pace_whatever_the_number_of_workers(tmp_path, clock):
    shelf = Shelf(clock, item_0=[Failure("server")])
    fetch_all(WANTED, tmp_path, shelf, replace(TERMS, workers=8, pause=4.0))
    between = gaps(sorted(shelf.times))
    assert len(between) == 8
    assert all(2 <= gap <= 6 for gap in between)
    assert len(set(between)) > 1


def test_further_tries_wait_twice_as_long_each_time(tmp_path, clock):
    shelf = Shelf(clock, item_0=[Failure("server")] * 3)
    fetch_all(WANTED[:1], tmp_path, shelf, replace(TERMS, retries=3, backoff=4.0))
    for number, gap in enumerate(gaps(shelf.times)):
        assert 2 * 2**number <= gap <= 6 * 2**number


def test_a_site_that_asks_to_be_left_alone_is_left_alone_by_all(tmp_path, clock):
    shelf = Shelf(clock, item_0=[Failure("throttled", wait=30)])
    fetch_all(WANTED, tmp_path, shelf, replace(TERMS, workers=1))
    assert shelf.calls["item-0.flac"] == 2
    assert gaps(shelf.times) == [30] + [0] * 7


def test_time_and_size_are_limited(tmp_path):
    def drip(wanted, parts, guard):
        while True:
            guard.check(10)
            time.sleep(0.01)

    def pour(wanted, parts, guard):
        guard.check(1_000_001)

    rows = fetch_all(WANTED[:1], tmp_path, drip, replace(TERMS, timeout=0.05))
    assert rows.loc[0, ["status", "reason"]].tolist() == ["timeout", "not had within 0.05 s"]
    rows = fetch_all(WANTED[:1], tmp_path, pour, TERMS)
    assert rows.loc[0, ["status", "reason"]].tolist() == ["too_large", "more than 1 MB"]


def test_an_interrupted_run_ends_its_downloads_and_keeps_what_was_whole(tmp_path):
    begun, said = threading.Event(), []

    def fetch(wanted, parts, guard):
        if wanted.file == "item-0.flac":
            begun.wait(TERMS.timeout)
            return Shelf()(wanted, parts, guard)
        begun.set()
        try:
            while True:  # would go on for as long as the terms allow
                guard.check()
                time.sleep(0.01)
        except Failure as failure:
            said.append(str(failure))
            raise

    def press_ctrl_c(done, total):
        for one in done:
            yield one
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_all(WANTED[:2], tmp_path, fetch, TERMS, press_ctrl_c)
    assert said == ["stopped"]
    assert names(tmp_path) == [JOURNAL, "item-0.flac"]
    shelf = Shelf()
    fetch_all(WANTED[:2], tmp_path, shelf, TERMS)
    assert shelf.calls == {"item-1.flac": 1}


def test_of_two_runs_into_one_folder_the_second_waits_and_has_nothing_to_fetch(tmp_path):
    first, second, begun = Shelf(), Shelf(), threading.Event()

    def fetch(wanted, parts, guard):
        begun.set()
        time.sleep(0.1)
        return first(wanted, parts, guard)

    with ThreadPoolExecutor() as pool:
        both = [pool.submit(fetch_all, WANTED, tmp_path, fetch, TERMS)]
        begun.wait()
        both.append(pool.submit(fetch_all, WANTED, tmp_path, second, TERMS))
    assert both[0].result().equals(both[1].result())
    assert (first.calls.total(), second.calls.total()) == (8, 0)


def test_parts_of_a_run_that_was_killed_are_removed(tmp_path):
    (tmp_path / ".parts" / "item-0").mkdir(parents=True)
    (tmp_path / ".parts" / "item-0" / "part").write_text("half")
    fetch_all([], tmp_path, Shelf(), TERMS)
    assert not (tmp_path / ".parts").exists()


@pytest.mark.parametrize(
    "name", ["", ".flac", "../x.flac", "a/b.flac", "-x.flac", "x y.flac", "é.flac", "x.flac\n", "x"]
)
def test_a_name_is_a_plain_one(tmp_path, name):
    with pytest.raises(ValueError, match="no name for an audio file"):
        fetch_all([Wanted(name, "https://example.org/x")], tmp_path / "store", Shelf(), TERMS)
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_asked_for_twice_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"'item-0\.flac': asked for twice"):
        fetch_all([*WANTED, WANTED[0]], tmp_path, Shelf(), TERMS)


def test_reasons_are_a_line_without_the_tickets_of_an_address():
    failure = Failure("other", "see\nhttps://me:pass@example.org/x?ticket=1&b=2 (or not) " + "x" * 999)
    assert str(failure).startswith("see https://example.org/x (or not) xxx")
    assert len(str(failure)) == 200
