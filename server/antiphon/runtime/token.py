"""The owner's token, in a file of the configuration folder that only the owner can read."""

from __future__ import annotations

import logging
import os
import re
import secrets
import stat
from pathlib import Path

from antiphon.errors import FileError, UsageError
from antiphon.runtime import paths

log = logging.getLogger("antiphon.lan")

TOKEN_FILE = "token"
TOKEN = re.compile(r"[0-9a-f]{32}")


def read_secret(path: Path) -> str:
    """Reads a token that a platform gives; the mode of its file there is not looked at.

    Args:
        path: The file.

    Returns:
        Its text without the end of the line; not checked.

    Raises:
        FileError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(256).decode("latin-1").strip()
    except OSError as error:
        raise FileError(f"the token's file {path} cannot be read ({error.strerror})") from None


def store_token(folder: Path, token: str) -> None:
    """Replaces the token.

    Args:
        folder: The configuration folder.
        token: 32 hexadecimal digits, in small letters.

    Raises:
        UsageError: It is something else; what it is, is not repeated.
        FileError: The file cannot be written.
    """
    if not TOKEN.fullmatch(token):
        raise UsageError(
            "a token is 32 hexadecimal digits in small letters, which this one is not; `openssl rand -hex 16` makes one"
        )
    paths.write_atomic(paths.make_folder(folder) / TOKEN_FILE, token.encode() + b"\n", 0o600)


def load_token(folder: Path) -> str:
    """Reads the token; creates a new one where there is none, or where it is damaged or others could have read it.

    Args:
        folder: The configuration folder.

    Returns:
        32 hexadecimal digits.

    Raises:
        FileError: The file cannot be read or written.
    """
    path = folder / TOKEN_FILE
    descriptor = -1
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        private = stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077 == 0
        token = os.read(descriptor, 64).decode("latin-1").strip()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise FileError(f"the token {path} cannot be read ({error.strerror}); remove it, a new one is made") from None
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    if descriptor >= 0:
        if private and TOKEN.fullmatch(token):
            return token
        log.warning("the token in %s was damaged or could be read by others: a new one was made", folder)
    token = secrets.token_hex(16)
    paths.write_atomic(path, token.encode() + b"\n", 0o600)
    return token
