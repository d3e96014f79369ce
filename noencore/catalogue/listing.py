"""What a source says of the user's recordings before any audio is read: the listing, one row a manifest entry or file.

Names, captions and other fields are data from outside: nothing in them leaves the declared root, and what they lack is
said in `status` and `reason`. An empty status means that the audio has yet to be looked at.
"""

import hashlib
import os
import re
import stat
import unicodedata

import pandas as pd

FIELDS = ("artist", "title", "caption", "licence")
LISTED = ["source", "root", "file", "size", *FIELDS, "start", "duration", "status", "reason"]
MEASURED = ("clip_id", "work_id", "group", "path", "sha256", "rate", "channels", "loudness", "duplicate_of")
LONGEST_TEXT = 2000  # characters of a field

DEMUXERS = {  # suffix: FFmpeg's demuxer, named so that no file is probed as a playlist that points elsewhere
    **dict.fromkeys((".wav", ".wave", ".rf64"), "wav"),
    **dict.fromkeys((".aif", ".aiff", ".aifc"), "aiff"),
    **dict.fromkeys((".ogg", ".oga", ".opus"), "ogg"),
    **dict.fromkeys((".m4a", ".m4b", ".mp4", ".mov"), "mp4"),
    **dict.fromkeys((".webm", ".mka", ".mkv"), "matroska"),
    **dict.fromkeys((".wma", ".asf"), "asf"),
    **dict.fromkeys((".au", ".snd"), "au"),
    **dict.fromkeys((".mp3", ".mp2"), "mp3"),
    **{f".{name}": name for name in ("flac", "caf", "w64", "aac", "ape", "wv", "tta", "ac3")},
}
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"}

MISSING = ("missing", "no such file")

# Control characters, those that turn the direction of text, and halves of characters.
UNPRINTABLE = "\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"


def clean_text(texts):
    """A Series of text as captions and names are kept: NFC, no unprintable characters, single spaces, bounded."""
    return pd.Series([_clean(text) for text in texts.fillna("").tolist()], index=texts.index, dtype=object)


def _clean(text):
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFC", re.sub(f"[{UNPRINTABLE}]", " ", text))
    return " ".join(text.split())[:LONGEST_TEXT].rstrip()


def place_files(names, root, suffixes=DEMUXERS):
    """Where the files named in a manifest are: a frame of file (relative to root), size, status, reason.

    names: Series of text, relative to `root` or absolute inside it. A name is refused where it leaves the root, itself
    or by a link, is no regular file, or has not one of the suffixes.
    """
    place = Place(root, suffixes)
    return pd.DataFrame(
        [place(name) for name in names.tolist()], index=names.index, columns=["file", "size", "status", "reason"]
    )


class Place:
    """A function name -> (file, size, status, reason), for names in or under `root`."""

    def __init__(self, root, suffixes=DEMUXERS):
        self.given, self.root = os.path.abspath(root), os.path.realpath(root)
        self.suffixes, self.parents = suffixes, {}

    def __call__(self, name):
        name, refused = self._relative(name)
        if refused:
            return re.sub(f"[{UNPRINTABLE}]", "?", name)[:LONGEST_TEXT], -1, *refused
        try:
            name, found = self._find_spelt(name)
        except OSError as error:
            return name[:LONGEST_TEXT], -1, "missing", f"cannot be read: {error.strerror}"
        if isinstance(found, tuple):
            return name[:LONGEST_TEXT], -1, *found
        return name, found, "", ""

    def _relative(self, name):
        """(the name from the root, None or why it is refused)."""
        if not (name.isascii() and name.isprintable()) and re.search(f"[{UNPRINTABLE}]", name):
            return name, ("invalid", "the file name has control characters or is not UTF-8; rename it")
        for root in (self.given, self.root):
            name = name.removeprefix(f"{root}/")
        parts = name.split("/")
        if name.startswith("/") or ".." in parts:
            return name, ("outside", "the file name leads out of the folder")
        suffix = os.path.splitext(name)[1].lower()
        if suffix in ARCHIVES:
            return name, ("unreadable", "an archive; unpack it first")
        if not name.strip("/. ") or suffix not in self.suffixes:
            return name, ("unreadable", f"'{suffix}' is no suffix of an audio file" if suffix else "no file name")
        return "/".join(part for part in parts if part not in ("", ".")), None

    def _find_spelt(self, name):
        """(name on the disk, what `_find` says of it): accents may be spelt apart there (macOS), or here."""
        found = self._find(name)
        for form in () if name.isascii() else ("NFC", "NFD"):
            if found == MISSING:
                other = unicodedata.normalize(form, name)
                name, found = (other, self._find(other)) if os.path.exists(f"{self.root}/{other}") else (name, found)
        return name, found

    def _find(self, name):
        """Size of the file in bytes, or (status, reason)."""
        parent, _, leaf = f"{self.root}/{name}".rpartition("/")
        if parent not in self.parents:
            self.parents[parent] = os.path.realpath(parent)
        path = f"{self.parents[parent]}/{leaf}"
        try:
            about = os.lstat(path)
            if stat.S_ISLNK(about.st_mode):
                path, about = os.path.realpath(path), os.stat(path)
        except FileNotFoundError:
            return MISSING
        if not path.startswith(f"{self.root.rstrip('/')}/"):
            return "outside", "a link leads out of the folder"
        if not stat.S_ISREG(about.st_mode):
            return "unreadable", "not a regular file"
        return about.st_size


def is_free_name(name):
    """Whether a catalogue may have a column of this name beside its own."""
    taken = {*LISTED, *MEASURED, "recording", "window", "folder", "audio"}
    return bool(re.fullmatch(r"[a-z][a-z0-9_]*", str(name))) and name not in taken


def make_listing(source, root, table, places):
    """The listing of a source: text fields cleaned, times read, and rows without a caption marked.

    table: frame of text with any of FIELDS, `start`, `duration` (s), and further columns that are kept as they are.
    places: what `place_files` says of the same rows. A row that `table` already gives a status keeps it.
    """
    rows = table.drop(columns=[name for name in ("start", "duration", "status", "reason") if name in table])
    rows = rows.apply(clean_text) if len(rows.columns) else rows
    for field in FIELDS:
        if field not in rows:
            rows[field] = ""
    rows["artist"] = rows["artist"].replace("", "unknown")
    rows["licence"] = rows["licence"].replace("", "not stated")
    rows = rows.assign(source=source, root=str(root), **{name: places[name] for name in places})
    for name in ("status", "reason"):
        if name in table:
            rows[name] = table[name].where(table["status"] != "", rows[name])
    for name in ("start", "duration"):
        given = table[name].fillna("").str.strip() if name in table else pd.Series("", index=rows.index)
        rows[name] = pd.to_numeric(given.where(given != ""), errors="coerce").astype("float64")
        least = 0.0 if name == "start" else 1e-9
        _mark(rows, (given != "") & ~rows[name].between(least, 1e9), "invalid", f"{name} is no number of seconds")
    _mark(rows, rows["caption"] == "", "no_caption", "no caption")
    extra = [name for name in rows if name not in LISTED]
    return rows[[*LISTED, *sorted(extra)]].reset_index(drop=True)


def _mark(rows, where, status, reason):
    where &= rows["status"] == ""
    rows.loc[where, "status"], rows.loc[where, "reason"] = status, reason


def recordings(listing):
    """The listing's rows by recording: one row for each span (start, duration) of a file, its captions in a tuple.

    Several rows of one span are one recording with several captions; they have to name one artist. Adds `work_id`, one
    for each file, and `recording`, one for each span; both are safe as file names, and functions of the source's and
    the file's name and of the span alone. Rows with a status keep it and stand alone.
    """
    rows = listing.copy()
    span = ["source", "root", "file", "start", "duration"]
    good = rows["status"] == ""
    artists = rows[good].groupby(["source", "root", "file"])["artist"].transform("nunique")
    _mark(rows, artists.reindex(rows.index, fill_value=1) > 1, "invalid", "rows of this file name several artists")
    good, bad = rows[rows["status"] == ""], rows[rows["status"] != ""]
    number = good.groupby(span, dropna=False, sort=False).ngroup()
    captions = [set() for _ in range(number.max() + 1)] if len(good) else []
    for index, caption in zip(number.tolist(), good["caption"].tolist()):
        captions[index].add(caption)
    good = good.drop_duplicates(span).assign(caption=[tuple(sorted(texts)) for texts in captions])
    bad = bad.assign(caption=[(text,) for text in bad["caption"]])
    both = pd.concat([good, bad], ignore_index=True)
    slugs = [_slug(file) for file in both["file"].tolist()]
    keys = zip(*(both[name].tolist() for name in ("source", "file", "start", "duration", "status", "caption")))
    both["work_id"] = [
        f"{slug}-{_digest(source, file)}"
        for slug, source, file in zip(slugs, both["source"].tolist(), both["file"].tolist())
    ]
    names = pd.Series([f"{slug}-{_digest(*key)}" for slug, key in zip(slugs, keys)], dtype=object)
    again = names.groupby(names).cumcount()
    both["recording"] = names.where(again == 0, names + "." + again.astype(str))
    return both.sort_values("recording", ignore_index=True)


def _slug(file):
    stem = os.path.splitext(file.rpartition("/")[2])[0]
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain)[:24].strip("_") or "clip"


def _digest(source, file, start=None, duration=None, status=None, caption=None):
    """Captions tell apart only rows that are not used: an edited caption renames no clip."""
    parts = [source, file, str(start), str(duration)] + ([status, *caption] if status else [])
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:12]


def title_of(file):
    """A title from a file's name: without its number, with spaces."""
    stem = os.path.splitext(file.rpartition("/")[2])[0]
    return re.sub(r"^\d{1,3}[\s._-]+", "", stem).replace("_", " ").strip(" .-") or stem
