"""A file that one process at a time has: what two would do at once to the same folder is done by one."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.paths import PRIVATE, make_folder, os_error_text
from antiphon.kernel.runtime.platform import lock_file, lock_number, unlock_number


def lock(path: Path, mode: int = PRIVATE, *, shared: bool = False) -> int | None:
    """Locks a file, which is made where there is none, until the descriptor is closed or the process ends.

    Others may have it too where all want it `shared`. Gives the descriptor, which appends to the file; None where
    another process has the lock. Raises `FileError` where the file cannot be opened.
    """
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)
    except OSError as error:
        raise FileError(f"cannot write {path}: {os_error_text(error)}") from None
    try:
        if not lock_file(descriptor, shared=shared):
            os.close(descriptor)
            return None
    except OSError:  # a file system without locks
        pass
    return descriptor


class Claims:
    """Exclusive locks by number; those of a process that ends are released at once.

    They are record locks of a file, which is made where there is none, and stays empty; `FileError` where it cannot be
    opened. A process opens it once, for closing it gives back all that the process has.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        except OSError as error:
            raise FileError(f"cannot write {path}: {os_error_text(error)}") from None

    def take(self, number: int) -> bool:
        """Takes a number, 0 to 2 ** 62; False where another process has it."""
        try:
            return lock_number(self._descriptor, number)
        except OSError:  # a file system without locks
            return True

    def release_claim(self, number: int) -> None:
        """Frees a number for others."""
        unlock_number(self._descriptor, number)

    def close(self) -> None:
        """Releases all claims."""
        os.close(self._descriptor)


@contextlib.contextmanager
def hold_lock(path: Path, refusal: str) -> Iterator[None]:
    """Holds a lock within a context; `FileError` with the text `refusal` where another process holds it."""
    descriptor = lock(path)
    if descriptor is None:
        raise FileError(refusal)
    try:
        yield
    finally:
        os.close(descriptor)
