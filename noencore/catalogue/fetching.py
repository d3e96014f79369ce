"""Fetching for the sources whose audio lies elsewhere: on the submitting host, before the catalogue is made."""

import hashlib
import json
from functools import partial

from noencore.catalogue import musiccaps, pond5
from noencore.catalogue.download import fetch_all
from noencore.catalogue.video import fetch_segment, load_yt_dlp, read_cookies
from noencore.catalogue.web import fetch_file

WANTED = {"musiccaps": musiccaps.wanted, "pond5": pond5.wanted}  # the sources that fetch, and what


def fetch_digest(settings):
    """16 hex digits over all that a part of the catalogue wants. Raises UserError where its table is not in order."""
    wanted = [[one.file, *one.origin] for one in WANTED[settings["source"]](settings)]
    return hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:16]


def fetch_part(settings, terms, folder, progress):
    """Fetch what a part of the catalogue wants into `folder`. Returns and raises as `fetch_all` does."""
    fetch = fetch_file
    if settings["source"] == "musiccaps":
        load_yt_dlp()  # before the time of the first files begins
        fetch = partial(fetch_segment, cookies=read_cookies(terms.cookies) if terms.cookies else None)
    return fetch_all(WANTED[settings["source"]](settings), folder, fetch, terms, progress)
