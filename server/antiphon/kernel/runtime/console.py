"""Lines on standard output and error that never block or raise.

If the reader of a pipe has ended, the terminal is closed or the disk is full, the line is lost and counted.
"""

import errno
import io
import os
import sys
import time
from types import FrameType
from typing import TextIO

LOG_FILE, LOG_LEVEL = "ANTIPHON_LOG_FILE", "ANTIPHON_LOG_LEVEL"
"""Environment variables of a server's processes: the file of `--log`, where there is one, and the level."""
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_TIME = "%Y-%m-%dT%H:%M:%S%z"
_GONE = (errno.EPIPE, errno.EIO)
"""Errors that are permanent: a reader that has ended, a terminal that was closed."""
MAX_PRINTED, MAX_LETTERS, PRINT_SECONDS = 20, 500, 10.0
"""Maximum lines that one plugin prints, maximum letters of a line, and seconds in which the lines are counted."""
_lost = 0
"""Number of lines lost since the last line written."""


def say(text: str) -> None:
    """Writes a line "antiphon: TEXT" to standard error. A line that cannot be written is counted; nothing is raised.

    In a server whose standard error is no terminal, the line begins with time and level.
    """
    log("warning", text)


def log(level: str, text: str) -> None:
    """Writes a line as `say` does, at a level of `LOG_LEVELS`; nothing below the level of the log."""
    least = os.environ.get(LOG_LEVEL, "debug")
    if LOG_LEVELS.index(level) >= (LOG_LEVELS.index(least) if least in LOG_LEVELS else 0):
        before = f"{time.strftime(LOG_TIME)} {level.upper()} " if stamps() else ""
        _write(sys.stderr, f"{before}antiphon: {text}")


def stamps() -> bool:
    """Whether lines have a time and a level: in a server's process whose standard error is no terminal."""
    return LOG_LEVEL in os.environ and not os.isatty(2)


def write_output(text: str, *, logged: bool = True) -> None:
    """Writes a line to standard output, and unless `logged` is False to a log that is a file; errors as for `say`."""
    _write(sys.stdout, text)
    if logged and LOG_FILE in os.environ:
        for line in text.split("\n"):
            log("info", line)


def _write(stream: TextIO | None, text: str) -> None:
    global _lost
    if isinstance(stream, Prints):
        stream = stream.real
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


class Prints(io.TextIOBase):
    """Standard stream of a server's process that turns printed lines into lines of the log, with the plugin's name.

    Antiphon's own output goes to `real` unchanged.
    """

    def __init__(self, real: TextIO) -> None:
        self.real = real
        self._begun: dict[str, str] = {}  # by plugin, a line without its end
        self._counts: dict[str, tuple[float, int]] = {}  # by plugin, when its first line came, and how many since

    def write(self, text: str) -> int:
        """Takes a plugin's text line by line; any other text is written unchanged."""
        name = _printing_module(sys._getframe(1))
        if not name:
            return self.real.write(text)
        *lines, rest = (self._begun.pop(name, "") + text).split("\n")
        if rest:
            self._begun[name] = rest[: MAX_LETTERS + 1]
        for line in filter(None, map(str.strip, lines)):
            self._line(name, line)
        return len(text)

    def _line(self, name: str, line: str) -> None:
        since, count = self._counts.get(name, (0.0, 0))
        now = time.monotonic()
        if now - since >= PRINT_SECONDS:
            if count > MAX_PRINTED:
                say(f"{name}: {count - MAX_PRINTED} more lines were printed")
            since, count = now, 0
        self._counts[name] = since, count + 1
        if count < MAX_PRINTED:
            shown = line if len(line) <= MAX_LETTERS else f"{line[:MAX_LETTERS]}..."
            log("info", f"{name}: {''.join(c if c.isprintable() else ' ' for c in shown)}")

    def flush(self) -> None:
        """Flushes Antiphon's own output; a plugin's line waits for its end."""
        if not self.real.closed:
            self.real.flush()

    def fileno(self) -> int:
        """The descriptor of the stream itself."""
        return self.real.fileno()

    def isatty(self) -> bool:
        """Returns False, since a plugin's colours would be written to the log."""
        return False

    def writable(self) -> bool:
        """Returns True."""
        return True


def log_plugin_prints() -> None:
    """Turns plugins' printed output in this process into lines of the log; see `Prints`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Prints):
            setattr(sys, name, Prints(stream))


_OWN = frozenset({"antiphon", "click", "__main__"})
"""Packages whose output is Antiphon's own: itself, and those with which its command line writes."""


def _printing_module(frame: FrameType | None) -> str:
    """The plugin that is writing, by the code that Antiphon called; "" for Antiphon itself."""
    found = ""
    while frame is not None:
        top = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if top in _OWN and found:
            break
        if top not in _OWN and top not in sys.stdlib_module_names:
            found = top
        elif top == "antiphon":
            break
        frame = frame.f_back
    return found.removeprefix("antiphon_")


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
