"""Audio that lies elsewhere: what a source wants from there, and what is known of it once it was fetched.

What was fetched is shared by all experiments: `results/store/fetched/<source>`, which may be a link to a larger disk.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd


@dataclass(frozen=True)
class Wanted:
    """A file to be had: its name here; where it is; the stretch of it that counts, in s, where not the whole."""

    file: str
    url: str
    start: float | None = None
    end: float | None = None

    @property
    def origin(self):
        """Where it comes from, without the parts of an address that hold secrets or differ each time."""
        address = without_secrets(self.url)
        return [address.split("?")[0] if self.start is None else address, self.start, self.end]


@dataclass(frozen=True)
class Fetched:
    """The folder of a source's fetched files, and the table that `fetch_all` made of them: none before it ran."""

    root: Path = Path()
    table: pd.DataFrame | None = None

    def places(self, files):
        """A frame of file, size, status, reason for names of files, as `listing.place_files` makes it."""
        if self.table is None:
            return pd.DataFrame({"file": files, "size": 0, "status": "", "reason": ""})
        known = self.table.drop_duplicates("file").set_index("file").to_dict("index")
        places = [self._place(file, known.get(file)) for file in files]
        return pd.DataFrame(places, columns=["file", "size", "status", "reason"])

    def _place(self, file, row):
        if row is None:
            return file, -1, "missing", "was not fetched"
        if row["status"] != "ok":
            return file, -1, row["status"], row["reason"]
        try:
            if (self.root / file).stat().st_size == row["bytes"]:
                return file, row["bytes"], "", ""
        except OSError:
            pass
        return file, -1, "missing", "no longer as it was fetched; run again with --forcerun fetch_audio"


def store_of(table, source):
    """The folder that a source fetches to, for the path of the table of it: results/<experiment>/fetched/..."""
    return Path(table).parents[2] / "store" / "fetched" / source


def without_secrets(url):
    """An address without the name and password before its host. The text may be no address at all."""
    return re.sub(r"^([\w+.-]+://)[^/?#]*@", r"\1", url)


def is_address(url):
    """Whether a text is an http(s) address: with a host, and without spaces or control characters."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"[\x00-\x20\x7f]", url)
    except ValueError:
        return False
