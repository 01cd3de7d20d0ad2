"""What the run before this one left in the server's folder: kept until this one is ready.

A run that crashed left its process list, its patch and values and the note of what it recorded. A start that fails
after it has written its own puts them back, so that the next `serve` still goes on where the crash was.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from antiphon.control import state
from antiphon.engine import recorder
from antiphon.errors import FileError
from antiphon.runtime import paths, pidfile
from antiphon.runtime.console import say
from antiphon.runtime.settings import ServeSettings

_KEPT = "before"


def take_up(folder: Path, settings: ServeSettings) -> None:
    """At a start whose ports are its own: keeps what is there, and clears it where this run begins anew."""
    put_back(folder)  # a start before this one was killed midway
    keep(folder)
    left = pidfile.left(folder)
    if left is None or not _goes_on(settings, left):
        state.clear(folder)
    else:
        say("the last run crashed: its patch and values are taken up; Ctrl-C and a new start begin anew")


def _goes_on(asked: ServeSettings, left: ServeSettings) -> bool:
    """Whether a run that crashed is to be taken up: not where another patch or set is asked for by name now."""
    named = (asked.patch, asked.set)
    return not any(named) or named == (left.patch, left.set)


def keep(folder: Path) -> None:
    """Copies what is there. Raises `FileError`, and changes nothing, where there is no room."""
    kept, part = folder / _KEPT, folder / f"{_KEPT}.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        for name in _names(folder):
            if (folder / name).exists():
                shutil.copy2(folder / name, part / name)
        part.rename(kept)  # whole, or not at all
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise FileError(f"cannot keep the last run's state in {folder}: {paths.why(error)}") from None


def put_back(folder: Path) -> None:
    """The folder holds what `keep` copied, and nothing later. Without a copy nothing is done."""
    kept = folder / _KEPT
    if not kept.is_dir():
        return
    for name in {*_names(folder), *_names(kept)}:
        if (kept / name).exists():
            (kept / name).replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    drop(folder)


def drop(folder: Path) -> None:
    """This run is ready: what was before it is no more."""
    shutil.rmtree(folder / _KEPT, ignore_errors=True)


def forget(folder: Path) -> None:
    """This run has ended as it should: the next one begins anew."""
    for name in _names(folder):
        (folder / name).unlink(missing_ok=True)


def _names(folder: Path) -> tuple[str, ...]:
    return (pidfile.LIST, recorder.NOTE, *state.files(folder))
