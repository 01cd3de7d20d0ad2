"""Backup of the files that the previous run left in the server's folder, until this run is ready.

A run that crashed leaves its process list, its patch and values, and the note of what it recorded. A start overwrites
them; if it then fails, the backup is restored, so that the next `serve` can still continue from the crash.
"""

import shutil
from pathlib import Path

from antiphon.kernel.control import state
from antiphon.kernel.engine.recording import recorder
from antiphon.kernel.errors import FileError
from antiphon.kernel.plugins.version_files import VERSIONS
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.settings import ServeSettings

_BACKUP = "before"


def begin(folder: Path, settings: ServeSettings) -> None:
    """Backs up the previous run's files, and clears the state unless this run continues from it.

    Call it once the ports are bound: until then the folder may belong to a server that runs. A patch or set that
    `settings` name, other than the crashed run's, begins anew. Raises FileError: the backup cannot be written; nothing
    is changed.
    """
    restore(folder)  # a start before this one was killed midway
    shutil.rmtree(folder / VERSIONS, ignore_errors=True)  # every start begins with the plugins' own files
    back_up(folder)
    left = pidfile.crashed_settings(folder)
    if left is None and (folder / pidfile.LIST).exists():
        say(
            "the last run crashed, and another version of Antiphon had started it: its patch and values as they stood "
            "are not restored; what was saved is as it was"
        )
    if left is None or not _continues(settings, left):
        state.clear(folder)
    else:
        say("the last run crashed: its patch and values are restored; to begin anew, press Ctrl-C and start again")


def _continues(asked: ServeSettings, left: ServeSettings) -> bool:
    """Whether to continue from a crashed run: not where this start names another patch or set."""
    named = (asked.patch, asked.set)
    return not any(named) or named == (left.patch, left.set)


def back_up(folder: Path) -> None:
    """Copies the run's files into the backup; `FileError` where it cannot, and nothing is changed."""
    backup, part = folder / _BACKUP, folder / f"{_BACKUP}.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        for name in _names(folder):
            if (folder / name).exists():
                shutil.copy2(folder / name, part / name)
        part.rename(backup)  # atomic: a backup is complete or absent
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise FileError(f"cannot keep the last run's state in {folder}: {paths.os_error_text(error)}") from None


def restore(folder: Path) -> None:
    """Replaces the run's files by those in the backup, and removes the backup; does nothing without one."""
    backup = folder / _BACKUP
    if not backup.is_dir():
        return
    for name in {*_names(folder), *_names(backup)}:
        if (backup / name).exists():
            (backup / name).replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    drop_backup(folder)


def drop_backup(folder: Path) -> None:
    """Removes the backup, once this run is ready."""
    shutil.rmtree(folder / _BACKUP, ignore_errors=True)


def clear(folder: Path) -> None:
    """Removes the run's files after a regular end, so that the next run begins anew."""
    for name in _names(folder):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / VERSIONS, ignore_errors=True)


def _names(folder: Path) -> tuple[str, ...]:
    return (pidfile.LIST, recorder.NOTE, *state.files(folder))
