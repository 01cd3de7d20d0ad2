"""Checks the sizes in a sound file's header against the file's length.

libsndfile shortens a header that declares more than the file holds, without an error. A file cut short on its way
here would then be processed as if it were whole, so the promise is read first. Nothing is decoded.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from antiphon.kernel.runtime.sound_formats import MAX_CHANNELS, MAX_RATE, MIN_RATE

KINDS = "wav, flac, ogg, mp3, m4a, aiff or au"
"""The formats that are read, as words of a sentence."""
MAX_CHUNKS = 4096
# Writers that cannot seek back (pipes) leave a size near one of these limits: "until the end".
OPEN_ENDED = 0x7FFF0000
_IN_DS64 = 0xFFFFFFFF


class Refused(Exception):
    """A file that is not decoded. The message completes "cannot read NAME: …"."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a RIFF or FORM file: its name, where its content starts, its promised bytes."""

    name: bytes
    start: int
    size: int


def open_file(path: str | bytes | os.PathLike[str]) -> int:
    """A descriptor of an ordinary file. Raises `Refused` for another kind; `OSError`, and `ValueError` for its name."""
    # O_NONBLOCK: opening a named pipe would otherwise wait for its writer
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise Refused(f"it is {'a folder' if stat.S_ISDIR(mode) else 'not an ordinary file'}; name a sound file")


def check(fd: int) -> str:
    """The kind of sound file behind descriptor `fd`, by its content: one of `KINDS`.

    Raises `Refused` when it is none of them, or promises what the file does not hold.
    """
    length = os.fstat(fd).st_size
    head = os.pread(fd, 32, 0)
    if not head:
        raise Refused("it is empty (0 bytes)")
    match head[:4]:
        case b"RIFF" | b"RIFX" | b"RF64" if head[8:12] == b"WAVE":
            _check_wav(fd, length, "big" if head[:4] == b"RIFX" else "little")
            return "wav"
        case b"FORM" if head[8:12] in (b"AIFF", b"AIFC"):
            _check_aiff(fd, length)
            return "aiff"
        case b".snd":
            _check_au(head, length)
            return "au"
        case b"fLaC":
            return "flac"
        case b"OggS":
            return "ogg"
    if head[4:8] == b"ftyp":
        return "m4a"
    # without a layer it is AAC in a stream of its own
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 6):
        return "mp3"
    raise Refused(f"it is not a {KINDS} file")


def _chunks(fd: int, length: int, order: str) -> Iterator[Chunk]:
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > length:
            return
        head = os.pread(fd, 8, at)
        size = _number(head[4:8], order)
        yield Chunk(head[:4], at + 8, size)
        at += 8 + size + size % 2


def _check_wav(fd: int, length: int, order: str) -> None:
    frame, long = 1, 0
    for chunk in _chunks(fd, length, order):
        if chunk.name == b"ds64":
            # what the data chunk of an RF64 file promises, whose own length holds 32 bits
            long = _number(os.pread(fd, 8, chunk.start + 8), order)
        elif chunk.name == b"fmt ":
            form = os.pread(fd, 16, chunk.start)
            _check_channels(_number(form[2:4], order))
            _check_rate(_number(form[4:8], order))
            frame = max(1, _number(form[12:14], order))
        elif chunk.name == b"data":
            there = length - chunk.start
            if chunk.size == 0 and there > 0 and not _is_chunk(os.pread(fd, 8, chunk.start), there, order):
                raise Refused(
                    f"its recording was never finished: its header promises nothing, yet {there} bytes follow"
                )
            if long and chunk.size == _IN_DS64:
                _check_whole(long, there, frame)
            else:
                _check_held(chunk.size, there, frame)
            return


def _check_aiff(fd: int, length: int) -> None:
    wanted = 0
    for chunk in _chunks(fd, length, "big"):
        if chunk.name == b"COMM":
            form = os.pread(fd, 22, chunk.start)
            _check_channels(_number(form[0:2], "big"))
            if chunk.size < 22 or form[18:22] == b"NONE":
                wanted = _number(form[2:6], "big") * _number(form[0:2], "big") * ((_number(form[6:8], "big") + 7) // 8)
        elif chunk.name == b"SSND":
            there = length - chunk.start
            _check_held(chunk.size, there, 8)
            if chunk.size < OPEN_ENDED:
                _check_held(min(wanted, OPEN_ENDED - 1), there - 8, 1)
            return
    if wanted:
        raise Refused("its header promises sound and none follows: it was cut short, fetch or make it again")


def _check_au(head: bytes, length: int) -> None:
    order = "big"
    start, size = _number(head[4:8], order), _number(head[8:12], order)
    _check_rate(_number(head[16:20], order))
    _check_channels(_number(head[20:24], order))
    _check_held(size, length - start, 1)


def _check_held(promised: int, there: int, frame: int) -> None:
    if promised < OPEN_ENDED or there <= 0:
        _check_whole(promised, there, frame)


def _check_whole(promised: int, there: int, frame: int) -> None:
    there = max(0, there)
    if promised - there >= frame:
        raise Refused(
            f"its header promises {promised} bytes of sound and {there} follow: "
            "it was cut short, fetch or make it again"
        )


def _check_channels(channels: int) -> None:
    if not 1 <= channels <= MAX_CHANNELS:
        raise Refused(f"its header says {channels} channels; 1 to {MAX_CHANNELS} are allowed")


def _check_rate(rate: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise Refused(f"its header says a sample rate of {rate}; {MIN_RATE} to {MAX_RATE} is allowed")


def _is_chunk(head: bytes, there: int, order: str) -> bool:
    return len(head) == 8 and all(32 <= byte < 127 for byte in head[:4]) and _number(head[4:8], order) <= there - 8


def _number(data: bytes, order: str) -> int:
    return int.from_bytes(data, "big" if order == "big" else "little")
