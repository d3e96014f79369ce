"""A stretch of a video's sound, by yt-dlp: the whole sound track is fetched, then cut exactly and thrown away.

yt-dlp's own cuts need an ffmpeg program, and fall on key frames unless it encodes again. A sound track is small (about
1 MB a minute), and cutting it here (`cut`) is exact to the sample. yt-dlp is called as a library with fixed options:
no command line, no config file of a user, no post-processors, nothing that an address could switch on.
"""

import io
import logging
import re
import warnings
from pathlib import Path

from noencore.catalogue.audio import BadAudio
from noencore.catalogue.cut import cut
from noencore.catalogue.download import Failure
from noencore.catalogue.wanted import is_address
from noencore.catalogue.web import status_of, wait_of
from noencore.errors import UserError

# What a site says, as yt-dlp passes it on; the first that matches counts.
SAID = (
    ("bot_gate", r"not a bot|captcha"),
    ("age_gate", r"confirm your age|age.restricted|inappropriate for some"),
    ("throttled", r"try again later|too many requests|rate.?limit"),
    ("private", r"private|members.only|join this channel|requires payment|premium|registered users|log ?in|sign in"),
    ("region", r"your country|geo.?restrict|your (location|region)"),
    ("wrong_type", r"unsupported url|no video formats|requested format is not available|no suitable extractor|drm"),
    ("gone", r"unavailable|removed|terminated|no longer available|not available|does not exist|deleted|not exist"),
    ("refused", r"connection adapters|url scheme|file://|redirect error|not allowed"),
    ("truncated", r"more expected|incomplete ?read|content too short"),
    ("timeout", r"timed out|timeout"),
    ("connection", r"connection|reset by peer|remote end closed|name resolution|unreachable|ssl|unable to download"),
)
EXTRACTORS = ["youtube", "generic", "html5"]  # the last two read mirrors that serve files, or pages with one medium


def fetch_segment(wanted, parts, guard, cookies=None):
    """Fetch the sound of `wanted.url` and cut from wanted.start to wanted.end (s): the path of a FLAC in `parts`.

    cookies: the text of a cookies file. Raises Failure where it cannot be had.
    """
    yt_dlp = load_yt_dlp()
    if not is_address(wanted.url):  # it would be taken for a search, or for a file
        raise Failure("refused", "no http(s) address")
    try:
        with yt_dlp.YoutubeDL(_options(wanted, parts, guard, cookies)) as downloader:
            found = downloader.extract_info(wanted.url)
    except Failure:
        raise
    except Exception as error:  # an extractor that meets a page it does not know may raise anything
        raise explain(error) from None
    whole = next((Path(file["filepath"]) for file in (found or {}).get("requested_downloads", [])), None)
    if whole is None or not whole.exists():
        raise Failure("wrong_type", "no single recording at that address")
    target = parts / "cut.flac"
    try:
        cut(whole, wanted.start, wanted.end, target)
    except BadAudio as error:
        raise Failure(error.status, error.reason) from None
    finally:
        whole.unlink()
    return target


def load_yt_dlp():
    """The package, whose first import takes seconds. Raises UserError where it is not installed."""
    try:
        import yt_dlp
    except ImportError:
        raise UserError("yt-dlp is not installed; run make setup") from None
    return yt_dlp


def read_cookies(path):
    """The text of a cookies.txt file. Raises UserError where it is none.

    yt-dlp is given the text, since it writes what a site sets back to a file that it is given.
    """
    from http.cookiejar import LoadError, MozillaCookieJar

    try:
        with warnings.catch_warnings(action="ignore"):  # it quotes the line that it cannot read: a secret
            MozillaCookieJar(path).load()
        return Path(path).read_text()
    except (OSError, LoadError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not in Netscape's format"
        raise UserError(f"{path}: no cookies file ({reason}); export a cookies.txt from a browser") from None


def _options(wanted, parts, guard, cookies):
    def allow(info, *, incomplete=False):
        if info.get("is_live") or info.get("live_status") == "is_upcoming":
            raise Failure("other", "a live stream")
        if info.get("duration") and info["duration"] + 1 < wanted.end:
            raise Failure("short", f"{info['duration']:g} s long, the segment ends at {wanted.end:g} s")
        guard.check(max(info.get("filesize") or 0, 0))

    return {
        "format": "bestaudio/best",
        "outtmpl": {"default": f"{str(parts).replace('%', '%%')}/track-%(format_id)s.%(ext)s"},
        "restrictfilenames": True,
        "allowed_extractors": EXTRACTORS,
        "extract_flat": "in_playlist",
        "match_filter": allow,
        "progress_hooks": [lambda state: guard.check(state.get("total_bytes") or state.get("downloaded_bytes") or 0)],
        "cookiefile": io.StringIO(cookies) if cookies else None,
        "socket_timeout": guard.left,
        "js_runtimes": {"deno": {}, "node": {}},
        # Tries are counted in one place, and a half file is continued by the next one.
        **{"retries": 0, "extractor_retries": 0, "fragment_retries": 0, "file_access_retries": 0, "continuedl": True},
        **{"fixup": "never", "cachedir": False, "updatetime": False, "skip_unavailable_fragments": False},
        **{"quiet": True, "noprogress": True, "color": "never", "logger": _Log()},
    }


class _Log:
    """What yt-dlp says, for the log file alone: an error of one try is no error of the run."""

    debug = staticmethod(logging.getLogger("yt_dlp").debug)
    warning = error = staticmethod(logging.getLogger("yt_dlp").info)


def explain(error):
    """The Failure that an error of yt-dlp's amounts to: by its class, by its HTTP status, or by its words."""
    from yt_dlp.networking.exceptions import HTTPError
    from yt_dlp.utils import GeoRestrictedError

    causes = list(_causes(error))
    noise = r"^ERROR: |\[[\w:]+\] |\. Use --cookies.*| \(caused by .*|; please report.*"
    message = re.sub(noise, "", str(error)).strip()
    said = next((status for status, pattern in SAID if re.search(pattern, message, re.IGNORECASE)), "other")
    if any(isinstance(cause, GeoRestrictedError) for cause in causes):
        return Failure("region", message)
    for cause in causes:
        if isinstance(cause, HTTPError) and said != "bot_gate":  # which may come with any status
            return Failure(status_of(cause.status), message, wait_of(cause.response.headers))
    return Failure(said, message)


def _causes(error):
    """An error and all that it came from."""
    waiting, seen = [error], set()
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseException) and id(error) not in seen:
            seen.add(id(error))
            yield error
            more = getattr(error, "exc_info", None) or (None, None)
            waiting += [more[1], getattr(error, "cause", None), error.__cause__, error.__context__]
