"""musicnn's weights out of its wheel: checkpoints of TensorFlow to safetensors, without TensorFlow and without pickles.

    pip download musicnn==0.1.0 --no-deps
    python -m antiphon_models.classify.musicnn musicnn-0.1.0-py3-none-any.whl OUT

A checkpoint's index is a sorted table of LevelDB, its values are messages of protocol buffers, which name places in
the file of data.
"""

import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError

NETWORKS = {"musicnn-msd": "MSD_musicnn", "musicnn-mtt": "MTT_musicnn"}
"""Folders of the wheel by the names of our weights."""
_MAGIC = 0xDB4775248B80FB57
_FOOTER, _FLOAT = 48, 1
_OPTIMIZER = ("Adam", "beta1_power", "beta2_power", "global_step")


def convert(wheel: Path, name: str) -> dict[str, NDArray[Any]]:
    """Arrays of one of `NETWORKS`: kernels as float16, all else as float32, names without `model/`.

    Raises FileError: the file is no wheel of musicnn 0.1.0.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            folder = f"musicnn/{NETWORKS[name]}/"
            names = [name for name in archive.namelist() if name.startswith(folder)]
            ends = (".index", ".data-00000-of-00001")
            index, data = (archive.read(next(name for name in names if name.endswith(end))) for end in ends)
        found = {}
        for key, value in _rows(index):
            text = key.decode().removeprefix("model/")
            if not text or any(word in text for word in _OPTIMIZER):
                continue
            array = _tensor(value, data)
            found[text] = array.astype(np.float16) if array.ndim > 1 else array
    except (OSError, zipfile.BadZipFile, StopIteration, ValueError, IndexError, struct.error) as error:
        raise FileError(f"{wheel} is no wheel of musicnn 0.1.0: {error}") from None
    return found


def _rows(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a sorted table, in their order."""
    footer = table[-_FOOTER:]
    if struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("its index is no sorted table")
    _, place = _number(footer, 0)
    _, place = _number(footer, place)
    for _, handle in _block(table, footer, place):
        yield from _block(table, handle, 0)


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


def _tensor(message: bytes, data: bytes) -> NDArray[np.float32]:
    """Array of an entry of the table: fields 1 type, 2 shape, 4 offset, 5 bytes."""
    fields = dict(_fields(message))
    if fields[1] != _FLOAT:
        raise ValueError(f"an array has the type {fields[1]}")
    # of the shape field 2 is a dimension, whose field 1 is its size
    shape = [dict(_fields(each))[1] for number, each in _fields(fields.get(2, b"")) if number == 2]
    start = fields.get(4, 0)
    return np.frombuffer(data[start : start + fields[5]], "<f4").reshape(shape).astype(np.float32)


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


def main(wheel: Path, folder: Path) -> None:
    """Writes both networks into a folder."""
    from safetensors.numpy import save_file

    for name in NETWORKS:
        save_file(convert(wheel, name), folder / f"{name}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
