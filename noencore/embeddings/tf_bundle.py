"""Read a TensorFlow V2 checkpoint with numpy: an index in LevelDB's table format beside a file of raw
tensors.

Source of the format: tensorflow/core/util/tensor_bundle, tensorflow/core/protobuf/tensor_bundle.proto and
leveldb/doc/table_format.md.
"""

import numpy as np

from noencore.errors import UserError

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER = 48
DTYPE, SHAPE, OFFSET, SIZE = 1, 2, 4, 5  # fields of BundleEntryProto
FLOAT32 = 1


def read_bundle(index, data):
    """Read the float32 variables of a one-shard checkpoint: a dict name -> array. Slots of Adam are left out.

    Raises UserError, naming the file, where it is missing, cut short or not an uncompressed checkpoint.
    """
    try:
        table, values = index.read_bytes(), data.read_bytes()
    except OSError as error:
        raise UserError(f"{error.filename}: missing or not readable; reinstall the package that holds it") from None
    if table[-len(MAGIC) :] != MAGIC:
        raise UserError(f"{index}: not the index of a TensorFlow checkpoint; reinstall the package that holds it")
    variables = {}
    for name, entry in _entries(index, table):
        fields = dict(_fields(entry))
        if not name or "Adam" in name or fields[DTYPE] != FLOAT32:
            continue
        start, size = fields.get(OFFSET, 0), fields[SIZE]
        if start + size > len(values):
            raise UserError(f"{data}: cut short at {len(values)} bytes; reinstall the package that holds it")
        shape = [dict(_fields(dimension)).get(1, 0) for _, dimension in _fields(fields.get(SHAPE, b""))]
        variables[name] = np.frombuffer(values, "<f4", size // 4, start).reshape(shape).copy()
    return variables


def _entries(index, table):
    """Yield (name, value) for each entry of a table: the index block points at the data blocks."""
    footer = table[-FOOTER:]
    position = 0
    for _ in range(2):  # the handle of the meta block
        _, position = _varint(footer, position)
    for _, handle in _block(index, table, footer[position:]):
        for key, value in _block(index, table, handle):
            yield key.decode(), value


def _block(index, table, handle):
    """Yield (key, value) of one block: a key shares a prefix with the one before. No restart points."""
    offset, position = _varint(handle, 0)
    size, _ = _varint(handle, position)
    if table[offset + size] != 0:  # the byte after a block is its compression
        raise UserError(f"{index}: a compressed checkpoint is not supported; reinstall the package that holds it")
    block = table[offset : offset + size]
    end = size - 4 * (int.from_bytes(block[-4:], "little") + 1)
    key, position = b"", 0
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared + length
        yield key, block[position - length : position]


def _fields(message):
    """Yield (number, value) of a protocol buffer's fields: int, or bytes for nested ones."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7 == 0:
            value, position = _varint(message, position)
        elif tag & 7 == 2:
            length, position = _varint(message, position)
            value, position = message[position : position + length], position + length
        else:  # fixed32, the checksum
            value, position = int.from_bytes(message[position : position + 4], "little"), position + 4
        yield tag >> 3, value


def _varint(data, position):
    """Read a base-128 number: (value, position after it)."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
