"""Any table with declared columns: csv, tsv, jsonl or parquet, each row an audio file with a caption.

`columns` says which column holds what: `audio` and `caption`, where there are such `artist`, `title`, `licence`,
`start` and `duration` (s); any other name becomes a column of the catalogue, for the split to choose by.
"""

from pathlib import Path

from noencore.catalogue.listing import FIELDS, is_free_name, make_listing, place_files
from noencore.catalogue.tables import check_columns, read_table
from noencore.errors import UserError

KNOWN = ("audio", "start", "duration")


def manifest_of(settings):
    """The manifest's path."""
    return Path(settings["path"])


def list_manifest(settings, name="csv"):
    """The listing of a manifest. Raises UserError where it or one of its columns is missing."""
    path = manifest_of(settings)
    root = Path(settings.get("root", path.parent))
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; correct catalogue.root in the config")
    columns = settings["columns"]
    for column in columns:
        if column not in (*KNOWN, *FIELDS) and not is_free_name(column):
            raise UserError(f"config: catalogue.columns: '{column}' is a name that the catalogue needs; choose another")
    table = read_table(path, set(columns.values()))
    check_columns(table, columns.values(), path)
    if table.empty:
        raise UserError(f"{path}: has no rows; give a manifest that names audio files")
    table = table[list(columns.values())].set_axis(list(columns), axis=1)
    places = place_files(table.pop("audio"), root)
    if "licence" not in table:
        table["licence"] = settings.get("licence", "")
    return make_listing(name, root, table, places)
