"""Values that were computed from sounds, kept by the content of the sound, so that each is computed once.

A store is a directory of safetensors files, one for each job that computed something new. A tensor is named by the
sha256 of the audio file; its checksum is in the metadata. Files are only ever added, each under the name of what is in
it, so any number of processes may read and add at the same time.
"""

import hashlib
import json
import logging
import zlib
from pathlib import Path

import numpy as np

from noencore.errors import UserError
from noencore.files import read_tensors, write_tensors

AT_ONCE = 256  # values that wait in memory before they are written: what a killed job loses at most

log = logging.getLogger(__name__)


class Store:
    """The values of one function under one directory: arrays [n, columns] of one dtype, by key.

    Whatever the values depend on besides the sound belongs into the directory's name: model, weights, windows, code.
    To be used in a `with` block, at whose end what is new is written, also where it ends in an error. A file that is
    damaged is deleted with a warning and an array that is not as it was written is left out with one, so that the
    caller finds no value and computes it again.
    """

    def __init__(self, directory, columns, dtype):
        self.directory, self.columns, self.dtype = Path(directory), columns, np.dtype(dtype)
        self._kept, self._new = {}, {}
        for path in sorted(self.directory.glob("*.safetensors")):
            self._read(path)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._write()

    def get(self, key):
        """The array of a key, or None."""
        return self._new.get(key, self._kept.get(key))

    def put(self, key, value):
        """Keep an array [n, columns] under a key."""
        self._new[key] = np.ascontiguousarray(value, self.dtype)
        if len(self._new) >= AT_ONCE:
            self._write()

    def _read(self, path):
        try:
            tensors, metadata = read_tensors(path)
            checksums = json.loads(metadata["checksums"])
        except (UserError, KeyError, ValueError):
            log.warning("%s: damaged; what it held is computed again", path)
            path.unlink(missing_ok=True)
            return
        for key, tensor in tensors.items():
            value = tensor.numpy()
            if value.shape[1:] == (self.columns,) and value.dtype == self.dtype and _sum(value) == checksums.get(key):
                self._kept[key] = value
            else:
                log.warning("%s: the values of %s... are damaged and computed again", path, key[:8])

    def _write(self):
        import torch

        if not self._new:
            return
        name = hashlib.sha256(" ".join(sorted(self._new)).encode()).hexdigest()[:32]
        checksums = json.dumps({key: _sum(value) for key, value in sorted(self._new.items())})
        tensors = {key: torch.from_numpy(value) for key, value in self._new.items()}
        write_tensors(tensors, self.directory / f"{name}.safetensors", {"checksums": checksums})
        self._kept |= self._new
        self._new = {}


def _sum(value):
    return zlib.crc32(value.tobytes())
