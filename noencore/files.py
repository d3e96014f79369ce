"""Reading and writing whole files: parquet, csv, json and safetensors, written beside and renamed.

Nothing here writes or reads a pickle. A reader never sees half a file: every write goes to a temporary name in the
same directory and is renamed when it is complete.
"""

import hashlib
import json
import os
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from noencore.errors import UserError


@contextmanager
def atomic(path):
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, delete it otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_parquet(frame, path):
    """Write a pandas frame without its index."""
    with atomic(path) as temporary:
        frame.to_parquet(temporary, index=False)


def read_parquet(path):
    """Read a parquet file. Raises UserError, naming the file, where it is missing or damaged."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: not a readable parquet file ({_first_line(error)}); delete it and run again"
        ) from None


def write_csv(frame, path):
    """Write a pandas frame as csv: no index, ten significant digits, empty cells for missing values."""
    with atomic(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.10g")


def write_json(value, path):
    """Write a value as indented json with sorted keys."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_tensors(tensors, path, metadata=None):
    """Write a dict of torch tensors as safetensors; `metadata` is a dict of strings."""
    from safetensors.torch import save_file

    with atomic(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)
        if metadata:
            _sort_metadata(temporary)
        temporary.chmod(0o666 & ~_umask())  # safetensors makes files that nobody else may read


def read_tensors(path):
    """Read a safetensors file: (dict of tensors, dict of metadata). Raises UserError where it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: not a readable safetensors file ({_first_line(error)}); delete it and run again"
        ) from None


def sha256(path):
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask():
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sort_metadata(path):
    """Put the metadata of a safetensors file in order, in place: safetensors writes it in a new one each time."""
    with open(path, "r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        file.seek(8)
        file.write(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(size))


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]
