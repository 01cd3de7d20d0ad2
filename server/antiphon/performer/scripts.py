"""Source of script versions: a file that is saved repeatedly."""

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Protocol

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.shortening import escape_unprintable
from antiphon.live.reading import MAX_LETTERS
from antiphon.performer.outgoing import Display

POLL_SECONDS = 0.02
"""Polling interval in seconds: the file is read when it is unchanged between two polls."""


class Begin(NamedTuple):
    """Start rule of a version.

    `quantum`: beats at whose multiples it begins; 0: bars. `top`: whether it starts at its beat 0, on a bar, without
    the previous state; else at the current position. `keep`: whether the previous version continues silently. `back`:
    version to return to at once, if it is kept.
    """

    quantum: float = 0.0
    top: bool = False
    keep: bool = False
    back: bool = False

    def beats(self, bar: Fraction) -> Fraction:
        """Quantum in beats, for a script with bars of this length."""
        quantum = Fraction(self.quantum).limit_denominator(1024)
        return max(quantum, bar) if self.top else quantum or bar


ON_THE_BAR = Begin()


class Version(NamedTuple):
    """A version of a script.

    `text`: its complete text; `number`: its number in the places of its events; 0 for events without places; `begin`:
    None for the player's default.
    """

    text: str
    number: int = 0
    begin: Begin | None = None


class ScriptSource(Protocol):
    """Source of the versions of a script."""

    def look(self, now: float) -> Version | None:
        """Next version, if any. `now`: seconds of the monotonic clock."""


class ScriptFile:
    """A script file, read after each save."""

    def __init__(self, path: str, show: Display) -> None:
        """Reads nothing yet. Raises UsageError: the file is missing, or holds no text."""
        if not Path(path).is_file():
            raise UsageError(
                f"cannot read {escape_unprintable(path)}: there is no such file, or it is not an ordinary one"
            )
        with suppress(OSError), open(path, "rb") as file:
            if b"\0" in file.read(MAX_LETTERS):
                raise UsageError(f"cannot read {escape_unprintable(path)}: it is no text; name a live script")
        self._path, self._show = path, show
        self._seen: object = None
        self._read: object = None
        self._looked = 0.0

    def look(self, now: float) -> Version | None:
        """Content of the file, once after each save."""
        if now - self._looked < POLL_SECONDS:
            return None
        self._looked, first = now, self._seen is None
        try:
            found = os.stat(self._path)
        except OSError:
            return None  # an editor that replaces the file has taken the old one away
        seen, self._seen = self._seen, (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._seen == self._read or (seen != self._seen and not first):
            return None
        try:
            with open(self._path, "rb") as file:
                content = file.read(4 * MAX_LETTERS + 1)
            text = content.decode("utf-8-sig")
        except OSError:
            return None
        except ValueError:
            self._read = self._seen
            self._show(f"cannot read {escape_unprintable(self._path)}: it is not UTF-8 text", fault=True)
            return None
        self._read = self._seen
        return Version(text)
