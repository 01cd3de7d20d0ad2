"""What a server that is started would read and record: its input is there, and its recordings are in no one's way."""

import contextlib
import errno
import os
from pathlib import Path

from antiphon.files.own_files import OTHER_FOLDER, first_entry_names
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.runtime.terms import spell


def check_files(settings: ServeSettings, folder: Path) -> None:
    """Checks settings that would otherwise fail only after all processes have started. `folder`: the server's own."""
    path = settings.input_file
    if path is not None and os.path.isdir(path):
        raise UsageError(f"--input: {settings.input} is a folder; name a sound file in it or a device")
    if path is not None and not os.path.isfile(path):
        raise UsageError(f"--input: there is no file {settings.input}; name a sound file or a device")
    if settings.record:
        parent = Path(settings.record).absolute().parent
        if not os.path.isdir(parent):
            raise UsageError(f"--record: there is no folder {parent}; make it first")
    _check_recordings(settings, folder)


def _check_recordings(settings: ServeSettings, folder: Path) -> None:
    """Checks that recording would overwrite neither an existing file nor the input.

    A recording that `folder` lists as left unfinished by a crashed server is allowed: `first_requests` renames it.
    Raises UsageError: a file is in the way; the message names another path to use.
    """
    from antiphon.recording.note import LIST
    from antiphon.recording.requests import SET, was_recording_to

    record = settings.record
    for path in filter(None, (record, settings.session, settings.record_tracks)):
        _check_space(Path(path))
    if record and settings.input_file is not None and paths.is_same_file(record, settings.input_file):
        raise UsageError(f"--record and --input are the same file, {record}; give --record another name")
    if record and os.path.lexists(record) and not settings.force and not was_recording_to(record, folder):
        free = _sibling_path(Path(record))
        raise UsageError(
            f"--record: there is a {record} already; give another name, for example {free}, or --force to replace it"
        )
    if settings.session and settings.record_tracks and paths.is_same_file(settings.session, settings.record_tracks):
        raise UsageError("--session and --record-tracks name the same folder; give them two")
    for option, path in (("--session", settings.session), ("--record-tracks", settings.record_tracks)):
        existing = [name for name in (*SET, LIST) if path and os.path.lexists(os.path.join(path, name))]
        if existing and not was_recording_to(path, folder):
            raise UsageError(
                f"{option}: {path} holds a set already ({', '.join(existing)}); "
                "give another name, or move that one away"
            )
    path = settings.record_tracks
    if path and (held := first_entry_names(path)) and not settings.force and not was_recording_to(path, folder):
        raise UsageError(f"--record-tracks: {path} holds files already ({held}); {OTHER_FOLDER.format(spell('force'))}")


def _sibling_path(path: Path) -> Path:
    """A free name for the continuation of a recording: take-2.wav, take-3.wav, … for take.wav."""
    from antiphon.recording.note import first_of_series

    first, number = first_of_series(path), 2
    while os.path.lexists(candidate := first.with_name(f"{first.stem}-{number}{first.suffix}")):
        number += 1
    return candidate


def _check_space(path: Path) -> None:
    """Raises `FileError` where the disk of `path` is full. If the free space cannot be read, nothing is raised."""
    with contextlib.suppress(OSError):
        if os.statvfs(path.absolute().parent).f_bavail == 0:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise FileError(f"cannot write {path}: {paths.os_error_text(full)}")
