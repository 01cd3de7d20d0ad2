"""Temporary folders whose content goes with their process: what a killed one left, the next one removes.

    with temporary_folder() as folder: …

Each holds a lock for as long as its process lives, from before it has its name. So a folder of one's own that can be
locked has lost its owner, whatever its age.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from antiphon.files.own_files import lock
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.platform import lock_file

FOLDER = "antiphon-work-"
"""Prefix of the names of the folders."""
_LOCK = ".lock"


class TemporaryFolder:
    """A folder that exists until `close`; at the latest until the next one is made, once its process has ended.

    Raises FileError: the system's folder for temporary files cannot be written.

    Attributes:
        path: The folder.
    """

    def __init__(self) -> None:
        sweep()
        try:
            made = Path(tempfile.mkdtemp(prefix=f".{FOLDER}"))
        except OSError as error:
            raise full(error) from None
        self._lock = lock(made / _LOCK)
        self.path = made.with_name(made.name[1:])
        made.rename(self.path)

    def close(self) -> None:
        """Removes the folder; it may be called twice."""
        _remove(self.path)
        held, self._lock = self._lock, None
        if held is not None:
            os.close(held)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Context with a temporary folder, which is removed at its end, or after a kill."""
    folder = TemporaryFolder()
    try:
        yield folder.path
    finally:
        folder.close()


def sweep() -> None:
    """Removes the folders of this user whose processes have ended."""
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        left = [Path(entry.path) for entry in entries if entry.name.startswith(FOLDER)]
        for folder in left:
            with contextlib.suppress(OSError, FileError):
                state = folder.lstat()
                if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or not (folder / _LOCK).is_file():
                    continue
                held = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
                try:
                    # on a file system without locks it raises, and whose the folder is cannot be known
                    if lock_file(held):
                        _remove(folder)
                finally:
                    os.close(held)


def _remove(folder: Path) -> None:
    """Removes a folder, its lock last: where a kill interrupts it, what is left can still be found and locked."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == _LOCK:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
    shutil.rmtree(folder, ignore_errors=True)


def full(error: OSError) -> FileError:
    """The error of a temporary folder that cannot be written; it names the folder and how to choose another."""
    folder, reason = tempfile.gettempdir(), (error.strerror or str(error)).lower()
    return FileError(
        f"the folder for temporary files {folder} cannot be written: {reason}; free some space there, or name another "
        "in the environment as TMPDIR"
    )


@contextmanager
def keeping() -> Iterator[None]:
    """Context of writing into a temporary file: an `OSError` in it is `full`."""
    try:
        yield
    except OSError as error:
        raise full(error) from None
