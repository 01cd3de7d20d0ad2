"""Files of the performer's folders, for commands and plugins: locks, copies, folders of sounds."""

import contextlib
import filecmp
import glob
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from antiphon.kernel.errors import AntiphonError, FileError
from antiphon.kernel.runtime.paths import (
    PRIVATE,
    claim,
    drop_empty,
    in_library,
    make_folder,
    os_error_text,
    path_as_spelled,
    path_inside,
    temporary_beside,
)
from antiphon.kernel.runtime.platform import lock_file, lock_number, unlock_number

OTHER_FOLDER = "name an empty folder, or {} to replace those that are named as a track is"
"""Advice for a request to write tracks among other files; {} is how it would be forced."""
_SHOWN = 3


def lock(path: Path, mode: int = PRIVATE, *, shared: bool = False) -> int | None:
    """Locks a file, created if missing, until the descriptor is closed or the process ends.

    Several processes may hold a `shared` lock. Returns the descriptor, which appends to the file; None if another
    process has the lock. Raises `FileError` if the file cannot be opened.
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

    They are record locks of a file, which is created if missing and stays empty; `FileError` if it cannot be opened. A
    process may open it only once, because closing it releases all locks of the process.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        except OSError as error:
            raise FileError(f"cannot write {path}: {os_error_text(error)}") from None

    def take(self, number: int) -> bool:
        """Takes a number, 0 to 2 ** 62; returns False if another process has it."""
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


def copy_into(folder: Path, source: Path, name: str) -> str:
    """Copies a file into a folder, created if missing; returns its name there.

    If another file has the name, the copy gets a number from `claim`; an identical copy is reused. Raises FileError:
    the folder does not accept the name, or nothing can be written.
    """
    make_folder(folder)
    place = path_inside(folder, name)
    for there in (place, *folder.glob(f"{glob.escape(place.stem)}-*{glob.escape(place.suffix)}")):
        if there.is_file() and filecmp.cmp(source, there, shallow=False):
            return there.name
    place = claim(place)
    temporary = temporary_beside(place)
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(place)
    except OSError as error:
        drop_empty(place)
        raise FileError(f"{name} could not be written: {os_error_text(error)}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return place.name


def folder_in_library(name: str, holds: str, error: type[AntiphonError] = FileError) -> Path:
    """Finds the folder of sounds that a parameter names. Raises FileError, or `error`, if there is none."""
    path = path_as_spelled(Path(os.path.expanduser(name)))
    if not path.is_absolute():
        path = in_library(name, error)
    if not path.is_dir():
        raise error(f"library takes a folder of {holds}, and there is none at {name[:200]!r}")
    return path


def size_of(path: Path) -> int:
    """Bytes of a file; 0 if its size cannot be read, since reading it then reports the reason."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def first_entry_names(folder: str) -> str:
    """Names of a folder's first entries, which tracks might replace; "" for an empty or missing folder."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return ""
    return ", ".join([*names[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])])
