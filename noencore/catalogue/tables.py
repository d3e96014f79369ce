"""Manifests as tables of text: csv, tsv, jsonl and parquet, read as data and nothing else."""

import csv
import json
import warnings
from collections import Counter
from pathlib import Path

import pandas as pd

from noencore.errors import UserError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
MOST_ROWS, MOST_BYTES = 10_000_000, 2_000_000_000  # of a parquet file, unpacked


def read_table(path, columns=None):
    """A manifest as a frame of text, missing values as "". Raises UserError, naming file and line, where it cannot.

    A list in a jsonl or parquet file is its items with commas between them; what is nested deeper counts as missing.
    columns: those that are wanted; of a parquet file, which may hold the audio itself, no other is read.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: not a manifest; its name must end in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise UserError(f"{path}: no such file; correct the path under catalogue in the config")
    try:
        if path.suffix.lower() == ".parquet":
            return _from_parquet(path, columns)
        if path.suffix.lower() == ".jsonl":
            return _from_jsonl(path)
        return _from_csv(path, "\t" if path.suffix.lower() == ".tsv" else ",")
    except UserError:
        raise
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not in UTF-8 ({error.reason}); save it as UTF-8") from None
    except Exception as error:  # the parsers of csv and parquet have their own errors
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(f"{path}: not a readable {path.suffix[1:]} file ({reason}); correct it") from None


def check_columns(table, wanted, path):
    """Raise UserError where a manifest lacks one of the columns in `wanted`."""
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        has = ", ".join(map(str, table.columns))[:300]
        raise UserError(f"{path}: no column '{missing[0]}'; it has {has or 'none'}: rename one or add it")


def as_text(value):
    """A value of a json or parquet file as text."""
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(as_text, value)))
    if value is None or isinstance(value, dict | bytes) or value != value:
        return ""
    return str(value)


def _from_csv(path, separator):
    _check_form(path, separator)
    options = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig", "compression": None}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a row with more cells than the head has names
        return pd.read_csv(path, sep=separator, index_col=False, **options).fillna("")


def _check_form(path, separator):
    """Refuse a csv that pandas reads otherwise than it was meant.

    That is one with other separators, one with two columns of a name, of which pandas renames the second, and one with
    a quotation mark that is not closed: the rows up to the next mark would be one cell.
    """
    row = 1
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=separator, strict=True)
        try:
            _check_head(next(rows, []), separator, path)
            row = rows.line_num + 1
            for _ in rows:
                row = rows.line_num + 1
        except csv.Error as error:
            cure = "close the quotation mark, and double those inside a cell"
            raise UserError(f"{path}:{row}: the row that begins here is not closed ({error}); {cure}") from None


def _check_head(head, separator, path):
    names = {";": "semicolons", "\t": "tabs", ",": "commas"}
    other = next((sign for sign in names if len(head) == 1 and sign in head[0]), None)
    if other:
        raise UserError(f"{path}: its cells are separated by {names[other]}; save it with {names[separator]}")
    twice = [name for name, count in Counter(head).items() if name and count > 1]
    if twice:
        raise UserError(f"{path}: two columns '{twice[0]}'; remove or rename one")


def _from_jsonl(path):
    rows = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            row = parse_json(line, f"{path}:{number}")
            rows.append({key: as_text(value) for key, value in row.items()})
    return pd.DataFrame(rows, dtype=object).fillna("")


def parse_json(text, where):
    """The object in a json text. Raises UserError, naming `where`, for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{where}: not a json object; correct it")
    return value


def _from_parquet(path, columns):
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path)
    names = [name for name in file.schema_arrow.names if columns is None or name in columns]
    _check_size(file.metadata, names, path)
    table = file.read(columns=names)
    return pd.DataFrame(
        {name: pd.Series(map(as_text, table[name].to_pylist()), dtype=object) for name in table.column_names}
    )


def _check_size(about, names, path):
    """Refuse a parquet file that unpacks to more than any manifest: a megabyte may hold a hundred million rows."""
    if about.num_rows > MOST_ROWS:
        raise UserError(f"{path}: has {about.num_rows:,} rows; give a manifest of up to {MOST_ROWS:,}")
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in names)
    if size > MOST_BYTES:
        raise UserError(f"{path}: {size / 1e9:.1f} GB of cells; leave out what is no text, such as the audio itself")
