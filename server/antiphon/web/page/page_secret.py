"""The one-time secret in the page's address by which the owner's browser is known, in a file that the owner can read.

The file is a page that leads to that address: a browser is started with the path of the file, since all users of a
machine can read its command lines.
"""

from __future__ import annotations

import contextlib
import hmac
import re
import secrets
import time
from pathlib import Path

from antiphon.kernel.runtime import paths

FILE = "page.html"
SECONDS = 600.0
"""How long a secret can be exchanged."""
_SECRET = re.compile(r"#open=([0-9a-f]{32})")


def page_address(folder: Path, http_port: int) -> str:
    """Makes a secret in place of the one before, in the server's runtime folder; the page's address with it.

    It is in the part of the address that browsers send to no server. Raises `FileError` where it cannot be written.
    """
    url = f"http://127.0.0.1:{http_port}/#open={secrets.token_hex(16)}"
    text = f'<!doctype html><meta http-equiv="refresh" content="0; url={url}">\n'
    paths.write_atomic(folder / FILE, text.encode(), paths.PRIVATE)
    return url


def take_secret(folder: Path, given: str) -> bool:
    """Whether a text is the secret that was made last; it is so once, within `SECONDS`."""
    path = folder / FILE
    with contextlib.suppress(OSError):
        age = time.time() - path.stat().st_mtime
        found = _SECRET.search(path.read_text())
        if found and 0 <= age < SECONDS and hmac.compare_digest(found[1].encode(), given.encode()):
            path.unlink()  # fails for all but the first of two that ask at once
            return True
    return False
