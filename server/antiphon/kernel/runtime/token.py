"""The owner's token, in a file of the configuration folder that only the owner can read."""

import contextlib
import logging
import os
import re
import secrets
import stat
from pathlib import Path

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths

log = logging.getLogger("antiphon.lan")

TOKEN_FILE = "token"
TOKEN = re.compile(r"[0-9a-f]{32}")


def load_token(folder: Path) -> str:
    """Reads the token; creates one where there is none, or it is damaged or others could have read it; `FileError`."""
    path = folder / TOKEN_FILE
    try:
        token = find_token(folder)
    except OSError as error:
        raise FileError(f"the token {path} cannot be read ({error.strerror}); remove it, a new one is made") from None
    if token:
        return token
    if os.path.lexists(path):
        log.warning("the token in %s was damaged or could be read by others: a new one was made", folder)
    token = secrets.token_hex(16)
    paths.write_atomic(path, token.encode() + b"\n", 0o600)
    return token


def find_token(folder: Path) -> str:
    """Reads the token; "" where there is none, or it is damaged or others could have read it. Raises `OSError`."""
    try:
        descriptor = os.open(folder / TOKEN_FILE, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return ""
    try:
        private = stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077 == 0
        token = os.read(descriptor, 64).decode("latin-1").strip()
    finally:
        os.close(descriptor)
    return token if private and TOKEN.fullmatch(token) else ""


class OwnerToken:
    """The token of a server that runs: that of the file, whose owner may have changed it since the start."""

    def __init__(self, folder: Path) -> None:
        """Reads it, or creates one; raises as `load_token`."""
        self._folder, self._token = folder, load_token(folder)
        self._seen = self._stamp()

    def __call__(self) -> str:
        """The file's token; if it has none now, the last one read."""
        if self._seen != (seen := self._stamp()):
            self._seen = seen
            with contextlib.suppress(OSError):
                self._token = find_token(self._folder) or self._token
        return self._token

    def _stamp(self) -> object:
        try:
            found = os.lstat(self._folder / TOKEN_FILE)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_mode
