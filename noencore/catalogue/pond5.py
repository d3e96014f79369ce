"""A rights holder's own list of tracks: the csv that Pond5 takes with an upload, or a list of items with addresses.

Each row has its audio below `root` (`OriginalFilename`), or a download address that its owner has a licence for
(`URL`). Nothing is ever looked for on Pond5's pages. Known columns, in any case and with or without spaces:
OriginalFilename, ItemID, URL, Title, Description, Keywords, Artist, Copyright; others are left out.
"""

import hashlib
import os
import re
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd

from noencore.catalogue.listing import DEMUXERS, clean_text, make_listing, place_files, title_of
from noencore.catalogue.tables import read_table
from noencore.catalogue.wanted import Wanted, is_address, without_secrets
from noencore.errors import UserError

KNOWN = {  # column: what it may be called, in small letters without spaces and signs
    "file": ("originalfilename", "filename", "file"),
    "item": ("itemid", "id"),
    "url": ("url", "downloadurl", "downloadlink"),
    "title": ("title",),
    "description": ("description",),
    "keywords": ("keywords", "tags"),
    "artist": ("artist",),
    "copyright": ("copyright",),
}
LICENCE = "licensed by the rights holder"


def manifest_of(settings):
    """The list's path."""
    return Path(settings["path"])


def read_pond5(path):
    """The list as a frame of text with all columns of KNOWN. Raises UserError where it names no audio, or no
    captions.
    """
    table = read_table(path)
    names = {}
    for column in table.columns:
        plain = re.sub(r"[^a-z]", "", str(column).lower())
        known = next((name for name, aliases in KNOWN.items() if plain in aliases), None)
        if known in names.values():
            raise UserError(f"{path}: two columns for '{known}'; remove or rename '{column}'")
        if known:
            names[column] = known
    has = ", ".join(map(str, table.columns))[:300]
    if not {"file", "url"} & set(names.values()):
        raise UserError(f"{path}: no column OriginalFilename or URL; it has {has}")
    if not {"title", "description"} & set(names.values()):
        raise UserError(f"{path}: no column Title or Description to caption the audio with; it has {has}")
    if table.empty:
        raise UserError(f"{path}: has no rows; give a list of tracks")
    table = table[list(names)].rename(columns=names).reindex(columns=list(KNOWN), fill_value="")
    return table.apply(lambda column: column.str.strip())


def wanted(settings):
    """The files to be fetched, as Wanted: one for each address in the list that is one."""
    table = read_pond5(manifest_of(settings))
    rows = list(table[table["url"] != ""].itertuples(index=False))
    files = {_fetched_name(row): row.url for row, refused in zip(rows, _refusals(rows)) if not refused}
    return [Wanted(file, url) for file, url in sorted(files.items())]


def list_pond5(settings, name, fetched):
    """The listing of local and of fetched audio; a column of its own is `keywords`.

    The artist is the row's, else settings["artist"], else what Copyright says. The caption is the description, else
    title and keywords. fetched: a `Fetched`, what is known of the files to be fetched.
    """
    path = manifest_of(settings)
    table = read_pond5(path)
    root = Path(settings.get("root", path.parent))
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; correct catalogue.root in the config")
    titles = table["title"].where(table["title"] != "", table["file"].map(title_of))
    artists = table["artist"].mask(table["artist"] == "", settings.get("artist", ""))
    keywords = table["keywords"].map(_keywords)
    short = titles + keywords.map(lambda words: f": {words}" if words else "")
    rows = pd.DataFrame(
        {
            "artist": artists.mask(artists == "", table["copyright"]),
            "title": titles,
            "caption": table["description"].where(table["description"] != "", short),
            "keywords": keywords,
            "licence": settings.get("licence", LICENCE),
        },
        dtype=object,
    )
    places = [place_files(table["file"], root), _far_places(table, fetched)]
    far = table["url"] != ""
    listing = make_listing(name, root, rows, places[0].where(~far, places[1]))
    return listing.assign(root=listing["root"].mask(far, str(fetched.root)))


def _far_places(table, fetched):
    """Where the audio of each row with an address is, fetched or not; what is said of other rows does not count."""
    rows = list(table.itertuples(index=False))
    refusals = _refusals(rows)
    places = fetched.places(["" if refused else _fetched_name(row) for row, refused in zip(rows, refusals)])
    for index, (row, refused) in enumerate(zip(rows, refusals)):
        if row.url and refused:
            places.loc[index] = [_shown(row), -1, *refused]
    return places


def _refusals(rows):
    """For each row (status, reason) where its audio is not to be fetched from its address, or None.

    What follows the `?` of an address may be a ticket, or may say which file: of rows that are told apart by nothing
    else, one would be given the audio of another.
    """
    refusals = [_refused(row) for row in rows]
    names = ["" if refused or row.item else _fetched_name(row) for row, refused in zip(rows, refusals)]
    addresses = defaultdict(set)
    for row, name in zip(rows, names):
        addresses[name].add(row.url)
    alike = ("invalid", "another row differs from it in what follows the ? of its URL alone; give each an ItemID")
    return [
        alike if name and len(addresses[name]) > 1 else refused for name, refused in zip(names, refusals, strict=True)
    ]


def _refused(row):
    """What a row itself says against fetching its audio: (status, reason) or None."""
    if not is_address(row.url):
        return "invalid", "the URL is no http(s) address"
    if _suffix(row) not in DEMUXERS:
        return "unreadable", "neither OriginalFilename nor URL ends in the suffix of an audio file"
    return None


def _shown(row):
    return clean_text(pd.Series([row.file or row.item or _address(row)]))[0]


def _address(row):
    """A row's address without what may be secret, or differ each time."""
    return without_secrets(row.url).split("?")[0]


def _suffix(row):
    """Of the file's name, or of the address where the row names no file."""
    name = row.file or unquote(urlsplit(row.url).path)
    return os.path.splitext(name)[1].lower()


def _fetched_name(row):
    """A name for the fetched file: the item's, made plain, and a digest of what tells it from all others."""
    known = row.item or row.file or _address(row)
    plain = re.sub(r"[^A-Za-z0-9]+", "_", Path(known).stem)[:40].strip("_") or "item"
    digest = hashlib.sha256("\0".join([row.item, row.file, _address(row)]).encode(errors="replace"))
    return f"{plain}-{digest.hexdigest()[:12]}{_suffix(row)}"


def _keywords(text):
    """Keywords with a comma and a space between them, each once."""
    words = [" ".join(word.split()) for word in re.split(r"[,;|]", text)]
    return ", ".join(dict.fromkeys(filter(None, words)))
