"""The token of a server's owner as a server starts: given by a platform, or made, and kept while it runs."""

import contextlib
import os
from pathlib import Path

from antiphon.files.own_files import lock
from antiphon.files.owner_token import TOKEN, TOKEN_FILE, find_token, load_token
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime import paths

VARIABLE = "ANTIPHON_TOKEN"
"""Environment variable of an external token, for platforms that pass secrets this way."""
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


def store_given_token(path: str, *, needed: bool) -> None:
    """Stores the token given by the environment or a file, as in containers, in the configuration folder."""
    given = os.environ.pop(VARIABLE, "")  # children must not have it
    if path and given:
        raise UsageError(f"--token-file and {VARIABLE} exclude each other")
    if path:
        given = read_secret(Path(path))
    if path or given:  # an empty file is refused: the token would be another than the platform's
        store_token(paths.config(), given)
    elif needed:
        load_token(paths.config())  # a folder that cannot be written is found now, not by the web process
