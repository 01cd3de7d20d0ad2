"""The owner's token, in a file of the configuration folder that only the owner can read."""

from __future__ import annotations

import logging
import os
import re
import secrets
import stat
from pathlib import Path

from antiphon.errors import FileError
from antiphon.runtime import paths

log = logging.getLogger("antiphon.lan")

TOKEN_FILE = "token"
TOKEN = re.compile(r"[0-9a-f]{32}")


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
