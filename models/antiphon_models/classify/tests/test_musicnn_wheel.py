"""What ships is what the conversion makes of musicnn's wheel, without TensorFlow and without pickles."""

import hashlib
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from antiphon.api import FileError
from antiphon.api.backends.models import manifest_entry
from antiphon_models.classify.musicnn import NETWORKS, convert

WHEEL = Path(os.environ.get("ANTIPHON_MUSICNN_WHEEL", "musicnn-0.1.0-py3-none-any.whl"))


@pytest.mark.skipif(not WHEEL.is_file(), reason=f"no {WHEEL.name}: ANTIPHON_MUSICNN_WHEEL names one, from pip download")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_wheel_gives_the_file_that_ships(name: str) -> None:
    content = save({key: np.ascontiguousarray(value) for key, value in convert(WHEEL, name).items()})
    assert hashlib.sha256(content).hexdigest() == manifest_entry(name)["sha256"]


def number(value: int) -> bytes:
    found = b""
    while value >= 0x80:
        found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
    return found + bytes([value])


def block(rows: list[tuple[bytes, bytes]]) -> bytes:
    """A block of a sorted table: keys share what they begin with, one place to begin at, no compression."""
    made, before = b"", b""
    for key, value in rows:
        shared = next(
            (n for n, (a, b) in enumerate(zip(before, key, strict=False)) if a != b), min(len(before), len(key))
        )
        made += number(shared) + number(len(key) - shared) + number(len(value)) + key[shared:] + value
        before = key
    return made + struct.pack("<II", 0, 1) + b"\0" + b"\0\0\0\0"


def wheel(path: Path, index: bytes, data: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for folder in NETWORKS.values():
            archive.writestr(f"musicnn/{folder}/.index", index)
            archive.writestr(f"musicnn/{folder}/.data-00000-of-00001", data)
    return path


def test_a_checkpoint_is_read_by_its_table(tmp_path: Path) -> None:
    kernel, bias = np.arange(600, dtype="<f4").reshape(2, 300), np.array([1.5, -2.0], "<f4")
    shape = b"".join(b"\x12" + number(len(size)) + size for size in (b"\x08\x02", b"\x08" + number(300)))
    rows = [
        (b"", b"\x08\x01"),
        (b"model/dense/bias", b"\x08\x01\x12\x04\x12\x02\x08\x02\x20" + number(2400) + b"\x28\x08"),
        (b"model/dense/bias/Adam", b"\x08\x01"),
        (b"model/dense/kernel", b"\x08\x01\x12" + number(len(shape)) + shape + b"\x28" + number(2400)),
    ]
    first = block(rows)
    handle = number(0) + number(len(first) - 5)
    second = block([(b"model/z", handle)])
    footer = (number(0) * 2 + number(len(first)) + number(len(second) - 5)).ljust(40, b"\0")
    index = first + second + footer + struct.pack("<Q", 0xDB4775248B80FB57)
    found = convert(wheel(tmp_path / "a.whl", index, kernel.tobytes() + bias.tobytes()), "musicnn-msd")
    assert {key: (value.dtype, value.tolist()) for key, value in found.items()} == {
        "dense/kernel": (np.float16, kernel.tolist()),
        "dense/bias": (np.float32, bias.tolist()),
    }


@pytest.mark.parametrize("content", [b"", b"\0" * 60])
def test_what_is_no_wheel_of_it_is_refused(tmp_path: Path, content: bytes) -> None:
    for path in (wheel(tmp_path / "a.whl", content, b""), tmp_path / "none.whl"):
        with pytest.raises(FileError, match=r"no wheel of musicnn 0\.1\.0"):
            convert(path, "musicnn-mtt")
