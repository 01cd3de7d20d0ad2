"""TensorBoard event files without TensorBoard or TensorFlow: checksummed records of Event messages.

The framing is TensorFlow's TFRecord; the fields are those of its event.proto and summary.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from antiphon.api.backends.files import make_folder, write_atomic
from antiphon_models.pipeline.training.checkpoint import EpochFigures

FILE = "events.out.tfevents.0.antiphon"
_POLYNOMIAL, _MASK = 0x82F63B78, 0xA282EAD8  # of CRC-32C (Castagnoli), reflected; TFRecord's addition


def write_log(folder: Path, history: Sequence[EpochFigures], *, validated: bool) -> None:
    """Writes the log of a training's epochs, with training and, if present, validation as separate runs.

    Raises `FileError`: it cannot be written.
    """
    for run in ("train", "valid") if validated else ("train",):
        parts = [_event(_begin(history), version="brain.Event:2")]
        parts += [_event(figures.time, n + 1, scalars_of(figures, run)) for n, figures in enumerate(history)]
        path = folder / run / FILE
        content = b"".join(map(_record, parts))
        make_folder(path.parent)
        if not _extend(path, content):
            write_atomic(path, content)


def scalars_of(figures: EpochFigures, run: str) -> dict[str, float]:
    """Values of an epoch by tag, of the run "train" or "valid"."""
    if run == "train":
        return {"loss": figures.loss, "accuracy": figures.accuracy}
    return {"loss": figures.valid_loss, "accuracy": figures.valid_accuracy}


def _extend(path: Path, content: bytes) -> bool:
    """Appends the missing end of a file, so that an open TensorBoard sees it; False if its beginning differs."""
    try:
        before = path.read_bytes()
        if not content.startswith(before):
            return False
        with open(path, "ab") as file:
            file.write(content[len(before) :])
    except OSError:
        return False
    return True


def _begin(history: Sequence[EpochFigures]) -> float:
    return history[0].time - history[0].seconds if history else 0.0


def _event(time: float, step: int = 0, scalars: Mapping[str, float] | None = None, version: str = "") -> bytes:
    event = b"\x09" + struct.pack("<d", time) + b"\x10" + _varint(step)
    if version:
        event += _field(3, version.encode())
    if scalars:
        values = [_field(1, tag.encode()) + b"\x15" + struct.pack("<f", value) for tag, value in scalars.items()]
        event += _field(5, b"".join(_field(1, value) for value in values))
    return event


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + struct.pack("<I", _masked(length)) + content + struct.pack("<I", _masked(content))


def _masked(content: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF
