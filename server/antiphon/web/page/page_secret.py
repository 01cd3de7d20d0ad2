"""One-time secret in the page's address that identifies the owner's browser, in a file readable by the owner.

The file is a page that leads to that address: a browser is started with the path of the file, since all users of a
machine can read its command lines.
"""

import contextlib
import hmac
import re
import secrets
import time
from pathlib import Path

from antiphon.kernel.runtime import paths

FILE = "page.html"
SECONDS = 600.0
"""Lifetime of a secret in seconds."""
_SECRET = re.compile(r"#open=([0-9a-f]{32})")


def page_address(folder: Path, http_port: int, room: str = "") -> str:
    """Page address with a new secret, stored in the server's runtime folder in place of the old one.

    room: the room to open, "" for the one that was open last. The secret is in the part of the address that browsers
    send to no server. Raises `FileError` where it cannot be written.
    """
    url = f"http://127.0.0.1:{http_port}/#open={secrets.token_hex(16)}{f'&{room}' if room else ''}"
    text = f'<!doctype html><meta http-equiv="refresh" content="0; url={url}">\n'
    paths.write_atomic(folder / FILE, text.encode(), paths.PRIVATE)
    return url


def take_secret(folder: Path, given: str) -> bool:
    """Whether a text is the newest secret; true once, within `SECONDS`."""
    path = folder / FILE
    with contextlib.suppress(OSError):
        age = time.time() - path.stat().st_mtime
        found = _SECRET.search(path.read_text())
        if found and 0 <= age < SECONDS and hmac.compare_digest(found[1].encode(), given.encode()):
            path.unlink()  # fails for all but the first of two that ask at once
            return True
    return False
