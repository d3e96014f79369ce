"""A directory of audio, with what is known of each file in metadata.csv or metadata.jsonl, or in a json beside it.

The json is AudioCraft's MusicInfo. Where nothing names the artist, the first sub-folder does; where nothing captions a
file, its tags or its title do.
"""

import os
import unicodedata
from pathlib import Path

import pandas as pd

from noencore.catalogue.listing import (
    ARCHIVES,
    DEMUXERS,
    FIELDS,
    Place,
    clean_text,
    is_free_name,
    make_listing,
    place_files,
    title_of,
)
from noencore.catalogue.tables import as_text, check_columns, parse_json, read_table
from noencore.errors import UserError

METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet")
ALIASES = {  # what other tools call it: our name
    **dict.fromkeys(("audio", "file_name", "filename", "path"), "file"),
    **dict.fromkeys(("description", "text", "prompt"), "caption"),
    "license": "licence",
    "name": "title",
}
TAGS = ("genre", "moods", "instrument", "keywords")  # of MusicInfo, for a file without description
LONGEST_JSON = 1_000_000  # bytes


def manifest_of(settings):
    """The metadata file of the folder, or None."""
    return next((path for name in METADATA if (path := Path(settings["path"]) / name).is_file()), None)


def list_folder(settings, name="folder"):
    """The listing of settings["path"], hidden files left out. Raises UserError where there is no audio."""
    root = Path(settings["path"])
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; correct catalogue.path in the config")
    files, sidecars, closed = _walk(root)
    table = pd.DataFrame({"file": files}, dtype=object)
    manifest = manifest_of(settings)
    _check_manifests(root)
    if manifest:
        table = table.merge(_metadata(manifest, root, Names(files)), on="file", how="outer", sort=True).fillna("")
    table = pd.concat([table, pd.DataFrame({"file": list(closed)}, dtype=object)], ignore_index=True).fillna("")
    if table.empty:
        raise UserError(f"{root}: no audio files; known are {' '.join(DEMUXERS)}")
    places = place_files(table["file"], root)
    for index in range(len(table) - len(closed), len(table)):
        places.loc[index, ["status", "reason"]] = closed[table["file"][index]]
    read = _Sidecars(root, sidecars)
    beside = pd.DataFrame([read(file) for file in table["file"]], index=table.index).fillna("")
    table = _first_of(table, beside)
    for field in ("artist", "title", "caption"):
        if field not in table:
            table[field] = ""
        table[field] = clean_text(table[field])
    shown = places["file"].tolist()  # without what is no text
    table["folder"] = [file.split("/")[0] if "/" in file.strip("/") else "" for file in shown]
    table["artist"] = table["artist"].where(table["artist"] != "", table["folder"])
    table["title"] = table["title"].where(table["title"] != "", [title_of(file) for file in shown])
    table["caption"] = table["caption"].where(table["caption"] != "", table["title"])
    table["licence"] = table["licence"] if "licence" in table else settings.get("licence", "")
    return make_listing(name, root, table.drop(columns="file"), places)


def _check_manifests(root):
    """Refuse metadata that would not be read, and might name the artist who opts out."""
    there = sorted(name for name in os.listdir(root) if name.lower() in METADATA)
    if len(there) > 1:
        raise UserError(f"{root}: has {' and '.join(there)}; make one of them")
    if there and there[0] not in METADATA:
        raise UserError(f"{root / there[0]}: not read, for its capital letters; rename it to {there[0].lower()}")


def _walk(root):
    """(audio files and archives, sorted; json files; folders that are not looked into: name -> status, reason).

    All are relative to root. Links to folders are not followed: inside they are come to anyway.
    """
    files, sidecars, closed, inside = [], [], {}, f"{os.path.realpath(root)}/"

    def from_root(path):
        return os.path.relpath(path, root)

    def closes(error):
        closed[from_root(error.filename)] = ("missing", f"a folder that cannot be read: {error.strerror}")

    for directory, folders, names in os.walk(root, onerror=closes):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        for folder in filter(os.path.islink, (f"{directory}/{folder}" for folder in folders)):
            if not f"{os.path.realpath(folder)}/".startswith(inside):
                closed[from_root(folder)] = ("outside", "a link to a folder elsewhere; make it a part of `several`")
        prefix = from_root(directory)
        for name in names:
            path = name if prefix == "." else f"{prefix}/{name}"
            suffix = os.path.splitext(name)[1].lower()
            if name.startswith("."):
                continue
            if suffix in DEMUXERS or suffix in ARCHIVES:
                files.append(path)
            elif suffix == ".json":
                sidecars.append(path)
    return sorted(files), sidecars, closed


def _metadata(path, root, names_there):
    table = read_table(path)
    names = {column: str(column).strip().lower() for column in table.columns}
    table = table.rename(columns={column: ALIASES.get(name, name) for column, name in names.items()})
    check_columns(table, ["file"], path)
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()][0]
        raise UserError(f"{path}: two columns for '{twice}'; remove or rename one")
    table["file"] = [names_there.find(_from_root(file, root)) or file for file in table["file"]]
    return table[[name for name in table if name in ("file", *FIELDS) or is_free_name(name)]]


def _from_root(file, root):
    for start in (os.path.abspath(root), os.path.realpath(root)):
        file = file.removeprefix(f"{start}/")
    return file


class Names:
    """Files that are there, to be found by names that another system wrote down.

    It may have spelt accents apart (macOS), or have taken no notice of case or written backslashes (Windows). A row of
    metadata that missed its file for that would leave the file to the artist of its folder.
    """

    def __init__(self, files):
        self.files, self.alike = set(files), {}
        for file in files:
            self.alike.setdefault(self._plain(file), []).append(file)

    def find(self, name):
        """The file that is meant by a name, or None: the one of that very name, else the only one like it."""
        alike = self.alike.get(self._plain(name), [])
        return name if name in self.files else alike[0] if len(alike) == 1 else None

    @staticmethod
    def _plain(name):
        plain = unicodedata.normalize("NFC", name.strip().replace("\\", "/")).casefold()
        head = "/" if plain.startswith("/") else ""
        return head + "/".join(part for part in plain.split("/") if part not in ("", "."))


class _Sidecars:
    """What the json beside a file says: artist, title, caption; or a status where it cannot be read."""

    def __init__(self, root, present):
        self.root, self.present, self.place = root, Names(present), Place(root, {".json"})

    def __call__(self, file):
        beside = self.present.find(f"{os.path.splitext(file)[0]}.json")
        if beside is None:
            return {}
        _, size, refused, _ = self.place(beside)
        try:
            if refused or size > LONGEST_JSON:
                raise UserError(beside)
            about = parse_json((self.root / beside).read_text(encoding="utf-8-sig"), beside)
            if about.get("artist") and not as_text(about["artist"]):  # an object, which may well name one
                raise UserError(beside)
        except (UserError, OSError, ValueError):
            return {"status": "invalid", "reason": "the json beside it is damaged or foreign; correct or remove it"}
        tags = ", ".join(filter(None, (as_text(about.get(tag)) for tag in TAGS)))
        return {
            "artist": as_text(about.get("artist")),
            "title": as_text(about.get("title")) or as_text(about.get("name")),
            "caption": as_text(about.get("description")) or tags,
        }


def _first_of(table, beside):
    """Both tables as one; where both have a value, that of `table`."""
    for name in beside:
        table[name] = beside[name].where(table[name] == "", table[name]) if name in table else beside[name]
    if "status" in table:
        table["reason"] = table["reason"].where(table["status"] != "", "")
    return table
