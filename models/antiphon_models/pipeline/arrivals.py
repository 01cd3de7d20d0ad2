"""Detection of new files in a folder: by polling, reported once, when complete."""

import os
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.api.backends.files import printable_path
from antiphon.api.backends.transports import WireError
from antiphon_models.datasets.examination import SOUND
from antiphon_models.datasets.layouts.walking import files_below, relative

SETTLE_SECONDS = 0.4
"""Seconds for which a file's size and time must be stable."""
MAX_NAMES = 200_000
"""Maximum remembered files of the folder."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A waiting sound.

    `name`: the path of its file in the folder, with "/". `mtime`: of the file's last change, ns since 1970; None for
    what came over MQTT and is not kept. `begun`: seconds of the clock when it had arrived. `answer`: called with the
    result, in the stream's thread.
    """

    name: str
    path: Path
    size: int
    mtime: int | None
    begun: float = 0.0
    answer: Callable[[dict[str, Any]], None] = lambda _: None


class FolderWatch:
    """Polls a folder for new files.

    A file has arrived when its size and time have stayed for `SETTLE_SECONDS` and, where the system can say so, no
    program has it open for writing. Links and what is hidden are left out, as are names that `done` has.

    `folder`: it; `done`: by name (size, time) of what was given out before.
    """

    def __init__(self, folder: Path, done: Mapping[str, tuple[int, int]]) -> None:
        self._folder = folder
        self._done = dict(done)
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def look(self, now: float, take: Callable[[Arrival], bool]) -> int:
        """Polls once; returns the number of remaining files. `take` is called with each new file; False leaves it."""
        seen: dict[str, tuple[tuple[int, int], float]] = {}
        left = 0
        for path in files_below(self._folder, *sorted(SOUND)):
            try:
                about = os.lstat(path)
            except OSError:
                continue
            name, state = relative(path, self._folder), (about.st_size, about.st_mtime_ns)
            if not stat.S_ISREG(about.st_mode) or self._done.get(name) == state or len(seen) >= MAX_NAMES:
                continue
            before = self._seen.get(name)
            since = before[1] if before is not None and before[0] == state else now
            seen[name] = (state, since)
            if now - since < SETTLE_SECONDS or is_written(path):
                continue
            if take(Arrival(name, path, *state, now)):
                self._done[name] = state
                del seen[name]
            else:
                left += 1
        self._seen = seen
        return left


def within(folder: Path, name: str, largest: int) -> Arrival:
    """Possibly incomplete file of at most `largest` bytes, named by a client by its path below the folder.

    Raises `WireError`: it is not there, not below the folder, a link, not a sound, or too large.
    """
    said = printable_path(name[:120])
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:  # half of a character, which JSON can write
        encoded = b"\0"
    if b"\0" in encoded or len(name) > 1000:
        raise WireError(f"{said} is no name of a file")
    root = os.path.realpath(folder)
    path = os.path.normpath(os.path.join(root, name))
    if os.path.realpath(path) != path or not path.startswith(os.path.join(root, "")):
        raise WireError(f"{said} is not below the folder that is watched; name a file by its path in it")
    if os.path.splitext(path)[1].lower() not in SOUND:
        raise WireError(f"{said} has no ending of a sound file: {', '.join(sorted(SOUND))}")
    try:
        about = os.lstat(path)
    except OSError:
        raise WireError(f"there is no {said} in the folder that is watched") from None
    if not stat.S_ISREG(about.st_mode):
        raise WireError(f"{said} is no ordinary file")
    check_size(about.st_size, largest)
    return Arrival(os.path.relpath(path, root).replace(os.sep, "/"), Path(path), about.st_size, about.st_mtime_ns)


def check_size(size: int, largest: int) -> None:
    """Checks a size limit. Raises `WireError`: it is exceeded."""
    if size > largest:
        raise WireError(f"it has {size:,} bytes; watch.largest allows {largest:,}")


def is_written(path: Path) -> bool:
    """Whether a program has a file open for writing, as far as known: on Linux, for the user's own files."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # a lease for reading is refused while a program has the file open for writing
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # a file of another user, or on a network
        return False
    finally:
        os.close(fd)
    return False
