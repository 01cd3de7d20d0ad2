"""The start of a server: the token of its owner, its log, and what its recordings would be in the way of."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from antiphon.files.own_files import OTHER_FOLDER, first_entry_names, lock
from antiphon.files.owner_token import TOKEN, TOKEN_FILE, find_token, load_token
from antiphon.kernel.errors import AntiphonError, FileError, UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.console import LOG_FILE, LOG_LEVEL, log, log_plugin_prints
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.runtime.terms import spell

_IN_USE = "token.lock"


def read_secret(path: Path) -> str:
    """Reads a platform's token, unchecked and whatever the mode of its file. Raises `FileError` if it cannot."""
    try:
        with path.open("rb") as file:
            return file.read(256).decode("latin-1").strip()
    except OSError as error:
        raise FileError(f"the token's file {path} cannot be read ({error.strerror})") from None


def store_token(folder: Path, token: str) -> None:
    """Replaces the token by 32 lower-case hexadecimal digits, unless a running server uses another token.

    Raises UsageError: the text has another form (it is not repeated), or a running server uses another token. Raises
    FileError: the file cannot be written.
    """
    if not TOKEN.fullmatch(token):
        raise UsageError(
            "a token is 32 hexadecimal digits in small letters, which this one is not; `openssl rand -hex 16` makes one"
        )
    with contextlib.suppress(OSError):
        if find_token(folder) == token:
            return
    free = lock(folder / _IN_USE)
    if free is None:
        raise UsageError(
            "a server of yours runs by another token; give this one the same token, or a home of its own "
            f"({paths.HOME}=FOLDER)"
        )
    paths.write_atomic(folder / TOKEN_FILE, token.encode() + b"\n", 0o600)
    os.close(free)


def create_and_lock_token(folder: Path) -> None:
    """Creates a missing token, and keeps other starts from replacing it while this process runs.

    Otherwise each process that uses it would create its own.
    """
    with contextlib.suppress(FileError):  # a folder that cannot be written, which web reports
        load_token(folder)
        lock(folder / _IN_USE, shared=True)


# ---- What goes to standard output and error while a server runs in this process: its log, and the lines of plugins


@contextlib.contextmanager
def server_log(path: str, level: str) -> Iterator[None]:
    """Context in which standard error goes to a file ("" leaves it), with time and level. Raises FileError."""
    before = {name: os.environ.get(name) for name in (LOG_FILE, LOG_LEVEL)}
    error_stream = os.dup(2)
    try:
        if path:
            _redirect_stderr(path)
            os.environ[LOG_FILE] = os.path.abspath(path)
        os.environ[LOG_LEVEL] = level
        yield
    except AntiphonError as error:
        if LOG_FILE in os.environ:
            log("error", str(error))  # the command line prints it too
        raise
    finally:
        sys.stderr.flush()
        os.dup2(error_stream, 2)
        os.close(error_stream)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _redirect_stderr(path: str) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise FileError(f"--log: cannot write {path}: {paths.os_error_text(error)}; name another file") from None
    sys.stderr.flush()
    os.dup2(file, 2)
    os.close(file)


@contextlib.contextmanager
def log_prints_by_plugin() -> Iterator[None]:
    """Context of `log_plugin_prints`."""
    before = sys.stdout, sys.stderr
    log_plugin_prints()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


# ---- What recordings of a server that is started would be in the way of


def check_recordings(settings: ServeSettings, folder: Path) -> None:
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
