"""Fetching many audio files from elsewhere: in parallel, not faster than asked, resumable, with a reason for each loss.

What is fetched lies in one folder beside a journal, `fetched.jsonl`: a line a file, the last one counts. A file that
the journal knows, from the same address and of the same size, is not fetched again. How one file is fetched is a
function (`web.fetch_file`, `video.fetch_segment`) that is given a folder of its own for its parts.
"""

import fcntl
import json
import logging
import math
import os
import random
import re
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from noencore.errors import UserError
from noencore.files import sha256

log = logging.getLogger(__name__)

JOURNAL = "fetched.jsonl"
PARTS = ".parts"
LONGEST_WAIT = 300  # s between two tries of one file, whatever the site asks for

# Why a file could not be had. Those that may pass are tried again; the others stay as they are on the site.
PASSING = ("timeout", "connection", "truncated", "throttled", "server")
LASTING = (
    *("gone", "private", "age_gate", "region", "bot_gate", "forbidden", "refused"),
    *("short", "undecodable", "wrong_type", "too_large", "other"),
)
CURES = {
    "bot_gate": "give fetch.cookies, a cookies file of a browser that is signed in",
    "throttled": "raise fetch.pause",
    "timeout": "raise fetch.timeout or lower fetch.workers",
    "too_large": "raise fetch.max_megabytes",
    "forbidden": "see whether the addresses have expired",
}


class Failure(Exception):
    """A file that could not be had.

    status: one of PASSING or LASTING; the message is a line that says more. wait: how long, in s, the site asks to be
    left alone.
    """

    def __init__(self, status, message="", wait=0.0):
        super().__init__(_one_line(message))
        self.status, self.wait = status, wait


@dataclass(frozen=True)
class Terms:
    """How a site is treated.

    workers: files at a time. pause: s between the beginnings of two requests, of all workers together, give or take a
    half. retries: further tries of a file after a failure that may pass, `backoff` s after the first, twice as long
    after each further one, give or take a half. timeout: s for one try. max_megabytes: of one file. min_share: of all
    files; where fewer can be had, the fetching stops. cookies: a cookies.txt file, or None.
    """

    workers: int
    pause: float
    retries: int
    backoff: float
    timeout: float
    max_megabytes: float
    min_share: float
    cookies: str | None = None


class Pace:
    """The clock that all workers share: whose turn it is, and whether they are to stop."""

    def __init__(self, pause):
        self._pause, self._next, self._lock, self._stopped = pause, 0.0, threading.Lock(), threading.Event()

    def take_turn(self):
        """Wait until another request may begin."""
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._pause * random.uniform(0.5, 1.5)
        self.sleep(turn - time.monotonic())

    def hold(self, seconds):
        """Let no request begin for so long: the site asked for it."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def sleep(self, seconds):
        """Sleep, unless told to stop."""
        self._stopped.wait(max(0.0, seconds))
        self.check()

    def stop(self):
        self._stopped.set()

    def check(self):
        if self._stopped.is_set():
            raise Failure("other", "stopped")


class Guard:
    """What one try of one file may take: time and bytes. A fetching function calls `check` with every block."""

    def __init__(self, terms, pace):
        self._terms, self._pace = terms, pace
        self._end = time.monotonic() + terms.timeout

    def check(self, size=0):
        """Raise Failure where the time is over, or where a file of `size` bytes is too large."""
        self._pace.check()
        if time.monotonic() > self._end:
            raise Failure("timeout", f"not had within {self._terms.timeout:g} s")
        if size > self._terms.max_megabytes * 1e6:
            raise Failure("too_large", f"more than {self._terms.max_megabytes:g} MB")

    @property
    def left(self):
        """Seconds that are left, for the time limit of a socket."""
        return max(0.1, self._end - time.monotonic())


def fetch_all(wanted, folder, fetch, terms, progress=lambda items, total: items):
    """Fetch files into `folder`: a frame of file, bytes, sha256, status and reason, in the order of wanted.

    wanted: Wanted, each with a name of its own. fetch: a function (wanted, parts folder, Guard) -> path of the whole
    file in the parts folder; raises Failure. status is "ok" or one of PASSING and LASTING.
    Raises UserError where less than terms.min_share can be had, as soon as that is certain; what was fetched by then
    stays. Where another run is fetching into the folder, it waits for that one.
    """
    folder = Path(folder)
    _check_names(wanted)
    lost_at_most = math.floor(len(wanted) * (1 - terms.min_share) + 1e-9)
    with _alone(folder), (folder / JOURNAL).open("a", encoding="utf-8") as journal:
        rows = _already_there(wanted, folder)
        pace, lost = Pace(terms.pause), Counter()
        with ThreadPoolExecutor(terms.workers) as pool:
            missing = [one for one in wanted if one.file not in rows]
            tries = [pool.submit(_fetch_patiently, one, folder, fetch, terms, pace) for one in missing]
            try:
                for done in progress(as_completed(tries), len(tries)):
                    row = done.result()
                    rows[row["file"]] = row
                    journal.write(json.dumps(row) + "\n")
                    journal.flush()
                    lost.update([row["status"]] if row["status"] != "ok" else [])
                    if lost.total() > lost_at_most:
                        raise _too_few(folder, lost, len(wanted), terms)
            finally:
                pace.stop()
                pool.shutdown(cancel_futures=True)
    columns = ["file", "bytes", "sha256", "status", "reason"]
    return pd.DataFrame([rows[one.file] for one in wanted], columns=columns)


def _fetch_patiently(wanted, folder, fetch, terms, pace):
    """The journal's row of one file, after as many tries as the terms allow."""
    row = {"file": wanted.file, "origin": wanted.origin, "bytes": 0, "sha256": ""}
    parts = folder / PARTS / wanted.file
    parts.mkdir(parents=True, exist_ok=True)
    try:
        path = _try_again(wanted, parts, fetch, terms, pace)
        row |= {"bytes": path.stat().st_size, "sha256": sha256(path)}
        os.replace(path, folder / wanted.file)
        return row | {"status": "ok", "reason": ""}
    except Failure as failure:
        return row | {"status": failure.status, "reason": str(failure)}
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def _try_again(wanted, parts, fetch, terms, pace):
    for number in range(terms.retries + 1):
        pace.take_turn()
        try:
            return fetch(wanted, parts, Guard(terms, pace))
        except Failure as failure:
            if failure.status not in PASSING or number == terms.retries:
                raise
            if failure.wait:
                pace.hold(min(failure.wait, LONGEST_WAIT))
            pace.sleep(min(terms.backoff * 2**number, LONGEST_WAIT) * random.uniform(0.5, 1.5))


def _already_there(wanted, folder):
    """Rows of the journal whose files lie in the folder, by name."""
    rows = {}
    for line in (folder / JOURNAL).read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            rows[row["file"]] = row
        except (ValueError, KeyError, TypeError):
            continue  # the last line of a run that was killed
    there = {}
    for one in wanted:
        row = rows.get(one.file, {})
        if row.get("status") == "ok" and row["origin"] == one.origin:
            path = folder / one.file
            if path.is_file() and path.stat().st_size == row["bytes"]:
                there[one.file] = row
    return there


def _too_few(folder, lost, count, terms):
    commonest = ", ".join(f"{number} {status}" for status, number in lost.most_common(3))
    cure = CURES.get(lost.most_common(1)[0][0], "ask for others, or lower fetch.min_share")
    return UserError(
        f"{folder}: {lost.total()} of {count} files cannot be had ({commonest}), which leaves less than "
        f"fetch.min_share ({terms.min_share:g}); {cure}. What was fetched stays; {JOURNAL} there has the reasons"
    )


@contextmanager
def _alone(folder):
    """Hold the folder, when whoever has it is done, and clear it of the parts that a run left which was killed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: another run is fetching into it; waiting for that one", folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without such locks
        shutil.rmtree(folder / PARTS, ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(folder / PARTS, ignore_errors=True)


def _check_names(wanted):
    names = [one.file for one in wanted]
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9][\w-]{0,150}\.[a-z0-9]{1,5}", name, re.ASCII):
            raise ValueError(f"{name!r}: no name for an audio file")
    if len(set(names)) < len(names):
        raise ValueError(f"{Counter(names).most_common(1)[0][0]!r}: asked for twice")


def _one_line(text):
    """A line of at most 200 characters, without what an address may hold of secrets."""
    text = re.sub(r"(https?://)[^\s/@]*@", r"\1", str(text))
    text = re.sub(r"(https?://[^\s?]+)\?[^\s'\")]*", r"\1", text)
    return " ".join(text.split())[:200]
