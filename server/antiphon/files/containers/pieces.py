"""Records of the sounds in a file, and files spliced from pieces of another."""

from __future__ import annotations

import bisect
import io
import itertools
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Piece = bytes | range
"""Bytes, or a range of offsets in a file."""


class Refused(Exception):
    """A file that is not decoded. The message completes "cannot read NAME: …"."""


def open_file(path: str | bytes | os.PathLike[str]) -> int:
    """Opens an ordinary file. Raises `Refused` for another kind; `OSError`, and `ValueError` for its name."""
    # O_NONBLOCK: opening a named pipe would otherwise wait for its writer
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise Refused(f"it is {'a folder' if stat.S_ISDIR(mode) else 'not an ordinary file'}; name a sound file")


@dataclass(frozen=True, slots=True)
class Link:
    """One of the sounds chained in a file, each with its own headers.

    `pieces`: the bytes to decode, if the whole file would be decoded wrongly; else empty.
    """

    pieces: tuple[Piece, ...] = ()
    frames: int | None = None  # counted, where no header says how many there are; else None
    guessed: bool = False  # whether the whole file is read rightly where libsndfile guesses as many frames


@dataclass(frozen=True, slots=True)
class SoundLayout:
    """Kind of a sound file, one of `KINDS`; its sounds in order; a remark for the user, or "".

    `demuxer`: FFmpeg's name of the container, if FFmpeg reads it; else empty.
    """

    kind: str
    links: tuple[Link, ...] = (Link(),)
    remark: str = ""
    demuxer: str = ""


class SplicedFile(io.RawIOBase):
    """Pieces of a file, and bytes between them, read as one file."""

    def __init__(self, fd: int, pieces: Sequence[Piece]) -> None:
        self._fd, self._pieces, self._at = fd, pieces, 0
        self._ends = list(itertools.accumulate(len(piece) for piece in pieces))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._ends[-1])[whence])
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fills a buffer; only at the end is it partly filled, since libsndfile asks once."""
        into, done = memoryview(buffer).cast("B"), 0
        while done < len(into) and (n := bisect.bisect_right(self._ends, self._at)) < len(self._pieces):
            piece = self._pieces[n]
            rest = piece[self._at - (self._ends[n] - len(piece)) :][: len(into) - done]
            if isinstance(rest, range):
                got = os.preadv(self._fd, [into[done : done + len(rest)]], rest.start)
            else:
                got = len(rest)
                into[done : done + got] = rest
            if not got:
                break
            done, self._at = done + got, self._at + got
        return done


class FileWindow:
    """Bytes of a file, read a mebibyte at a time."""

    def __init__(self, fd: int, end: int) -> None:
        self._fd, self.end = fd, end
        self._start, self._held = 0, b""

    def get(self, at: int, count: int) -> bytes:
        """Returns bytes from an offset; fewer at the end of the file."""
        count = min(count, self.end - at)
        if count <= 0:
            return b""
        if not self._start <= at <= at + count <= self._start + len(self._held):
            self._start, self._held = at, os.pread(self._fd, min(max(count, 1 << 20), self.end - at), at)
        return self._held[at - self._start : at - self._start + count]
