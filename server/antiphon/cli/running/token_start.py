"""The owner's token at the start of a server: one that a platform gives, and its lock while the server runs."""

import contextlib
import os
from pathlib import Path

from antiphon.files.own_files import lock
from antiphon.files.owner_token import TOKEN, TOKEN_FILE, find_token, load_token
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime import paths

_IN_USE = "token.lock"


def read_secret(path: Path) -> str:
    """Reads a token that a platform gives, unchecked, whatever the mode of its file; `FileError` if it cannot."""
    try:
        with path.open("rb") as file:
            return file.read(256).decode("latin-1").strip()
    except OSError as error:
        raise FileError(f"the token's file {path} cannot be read ({error.strerror})") from None


def store_token(folder: Path, token: str) -> None:
    """Replaces the token by 32 hexadecimal digits in small letters, unless a server runs by another one.

    Raises UsageError: it is something else, which is not repeated; or a server runs by another token. Raises FileError:
    the file cannot be written.
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


def keep_token(folder: Path) -> None:
    """Makes the token where there is none, and lets no other start replace it as long as this process runs.

    The processes that use it would each make one.
    """
    with contextlib.suppress(FileError):  # a folder that cannot be written, which web reports
        load_token(folder)
        lock(folder / _IN_USE, shared=True)
