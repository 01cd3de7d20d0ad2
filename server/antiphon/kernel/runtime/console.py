"""Lines on standard output and error that never block or raise.

If the reader of a pipe has ended, the terminal is closed or the disk is full, the line is lost and counted.
"""

import errno
import os
import sys
import time
from typing import TextIO

LOG_FILE, LOG_LEVEL = "ANTIPHON_LOG_FILE", "ANTIPHON_LOG_LEVEL"
"""Environment variables of a server's processes: the file of `--log`, where there is one, and the level."""
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_TIME = "%Y-%m-%dT%H:%M:%S%z"
_GONE = (errno.EPIPE, errno.EIO)
"""Errors that are permanent: a reader that has ended, a terminal that was closed."""
_lost = 0
"""Lines lost since the last one that was written."""


def say(text: str) -> None:
    """Writes a line "antiphon: TEXT" to standard error. One that cannot be written is counted, and nothing is raised.

    In a server whose standard error is no terminal, time and level stand before it.
    """
    log("warning", text)


def log(level: str, text: str) -> None:
    """Writes a line as `say` does, of a level of `LOG_LEVELS`; none below the level of the log."""
    least = os.environ.get(LOG_LEVEL, "debug")
    if LOG_LEVELS.index(level) >= (LOG_LEVELS.index(least) if least in LOG_LEVELS else 0):
        before = f"{time.strftime(LOG_TIME)} {level.upper()} " if stamps() else ""
        _write(sys.stderr, f"{before}antiphon: {text}")


def stamps() -> bool:
    """Whether lines have a time and a level: in a server's process whose standard error is no terminal."""
    return LOG_LEVEL in os.environ and not os.isatty(2)


def write_output(text: str, *, logged: bool = True) -> None:
    """Writes a line to standard output, and unless it is secret to the log, where that is a file; errors as `say`."""
    _write(sys.stdout, text)
    if logged and LOG_FILE in os.environ:
        for line in text.split("\n"):
            log("info", line)


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
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:
        return  # no descriptor: the next line tries again
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
