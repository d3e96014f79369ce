"""One file by http(s), from an address that its owner gave: whole or not at all, and never more than was agreed."""

import errno
import http.client
import re
import string
import urllib.error
import urllib.request
from base64 import b64encode
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from noencore.catalogue.audio import BadAudio
from noencore.catalogue.cut import check_audio
from noencore.catalogue.download import Failure
from noencore.catalogue.wanted import is_address
from noencore.errors import UserError

BLOCK = 1 << 16  # bytes
FULL = (errno.ENOSPC, errno.EDQUOT)
REDIRECTS = 5
# What sites call audio; binary/octet-stream is what Amazon's store calls a file of which it was told nothing.
SOUND = r"audio/|video/|(application|binary)/(octet-stream|ogg|mp4|(x-)?(force-)?download)"


def fetch_file(wanted, parts, guard):
    """Fetch a whole file (`wanted.url`) into the folder `parts`: its path.

    A try that broke off is continued by the next one where the server says that the file is still the same. Raises
    Failure where it cannot be had, or is no audio.
    """
    if not is_address(wanted.url):
        raise Failure("refused", "no http(s) address")
    part = parts / "part"
    done = part.stat().st_size if part.exists() else 0
    mark = parts / "etag"
    headers = {"User-Agent": "noencore", "Accept": "audio/*, application/octet-stream;q=0.5"}
    if done and mark.exists():
        headers |= {"Range": f"bytes={done}-", "If-Range": mark.read_text()}
    try:
        with _opener().open(_request(wanted.url, headers), timeout=guard.left) as answer:
            _check_type(answer)
            continued = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")
            strong = answer.headers.get("ETag", "").startswith('"')  # a weak one says nothing about bytes
            mark.write_text(answer.headers["ETag"]) if strong else mark.unlink(missing_ok=True)
            _save(answer, part, done if continued else 0, guard)
    except urllib.error.HTTPError as error:
        raise Failure(status_of(error.code), f"HTTP {error.code} {error.reason}", wait_of(error.headers)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _broken(error) from None
    try:
        check_audio(part)
    except BadAudio as error:
        raise Failure("undecodable", error.reason) from None
    return part


def _request(url, headers):
    """What is asked for: what is not ASCII escaped; a name and password in a header that no redirect takes along."""
    parts = urlsplit(url)
    path, query = (quote(part, safe=string.punctuation) for part in (parts.path, parts.query))
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(urlunsplit((parts.scheme, host, path, query, "")), headers=headers)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", f"Basic {b64encode(pair.encode()).decode()}")
    return request


def _save(answer, part, done, guard):
    """Add an answer's body to the first `done` bytes of a part."""
    said = answer.headers.get("Content-Length")
    expected = done + int(said) if said else None
    guard.check(expected or 0)
    with part.open("ab" if done else "wb") as file:
        while block := answer.read1(BLOCK):
            file.write(block)
            done += len(block)
            guard.check(done)
    if expected is not None and done < expected:
        raise Failure("truncated", f"{done} of {expected} bytes came")
    if not done:
        raise Failure("truncated", "nothing came")


def _check_type(answer):
    kind = answer.headers.get_content_type()
    if "Content-Type" in answer.headers and not re.match(SOUND, kind):
        raise Failure("wrong_type", f"{kind} where audio should be")


def status_of(code):
    """What an HTTP status means for a file."""
    if code in (401, 402, 403, 407):
        return "forbidden"
    if code in (404, 410):
        return "gone"
    if code == 451:
        return "region"
    if code == 429:
        return "throttled"
    if code in (408, 425) or code >= 500:
        return "server"
    return "refused"


def wait_of(headers):
    """How long a site asks to be left alone, in s: Retry-After where it is a number, or 0."""
    after = headers.get("Retry-After") or ""
    return float(after) if after.isdecimal() else 0.0


def _broken(error):
    reason = getattr(error, "reason", error)
    if getattr(reason, "errno", None) in FULL:
        return UserError(f"{reason.filename or 'results'}: the disk is full; make room and run again")
    if isinstance(reason, TimeoutError):
        return Failure("timeout", "no answer in time")
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return Failure("refused", f"no address: {error}")
    if isinstance(error, http.client.IncompleteRead):
        return Failure("truncated", str(error))
    return Failure("connection", f"{type(reason).__name__}: {reason}")


class SameKind(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to http(s) only, and never from https down to http."""

    max_redirections = REDIRECTS

    def redirect_request(self, request, file, code, message, headers, url):
        scheme = urlsplit(url).scheme
        if scheme not in ("http", "https") or (request.type == "https" and scheme == "http"):
            raise Failure("refused", f"redirected from {request.type} to {scheme}")
        return super().redirect_request(request, file, code, message, headers, url)


def _opener():
    """An opener of http and https alone: that of urllib opens file: and ftp: as well."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        SameKind(),
    ):
        opener.add_handler(handler)
    return opener
