"""Lines on standard output and error that never block or raise.

If the reader of a pipe has ended, the terminal is closed or the disk is full, the line is lost and counted.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TextIO

_GONE = (errno.EPIPE, errno.EIO)
"""Errors that are permanent: a reader that has ended, a terminal that was closed."""
_lost = 0


def lost() -> int:
    """Number of lines lost since the last one that was written."""
    return _lost


def say(text: str) -> None:
    """Writes a line "antiphon: TEXT" to standard error. One that cannot be written is counted, and nothing is raised.

    Args:
        text: The line.
    """
    _write(sys.stderr, f"antiphon: {text}")


def write_output(text: str) -> None:
    """Writes a line to standard output; errors as in `say`."""
    _write(sys.stdout, text)


def _write(stream: TextIO | None, text: str) -> None:
    global _lost
    try:
        if stream is None:
            raise OSError(errno.EBADF, "closed")
        if _lost:
            _put(stream, f"antiphon: {_lost} lines before this one could not be written here")
        _put(stream, text)
        _lost = 0
    except (OSError, ValueError) as error:  # ValueError: the stream was closed
        _lost += 1
        if stream is not None and getattr(error, "errno", None) in _GONE:
            _redirect_to_null(stream)


def _put(stream: TextIO, text: str) -> None:
    line = f"{text}\n".encode(errors="backslashreplace")
    stream.flush()
    if stream in (sys.__stderr__, sys.__stdout__):
        # not through the stream's buffer: a line that fails would stay in it and fail every one after it
        os.write(stream.fileno(), line)
    else:
        stream.write(line.decode())
        stream.flush()


def _redirect_to_null(stream: TextIO) -> None:
    """Redirects the stream to /dev/null: other writers, and the interpreter at exit, would raise otherwise."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:
        return  # no descriptor: the next line tries again
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
