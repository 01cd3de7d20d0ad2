"""The browser page at `/`: its files, and the one-time secret in its address that identifies the owner's browser.

The files are built by `make page` from the sources in `page/`, without data. Data is only ever inserted as text, not
HTML, and nothing is loaded from elsewhere. The secret is in a file that only the owner can read, a page that leads to
the address. A browser is started with the path of this file, since all users of a machine can read command lines.
"""

import contextlib
import gzip
import hmac
import re
import secrets
import time
from functools import cache
from importlib import resources
from pathlib import Path

from antiphon.kernel.runtime import paths

TYPES = {
    "app.js": "text/javascript; charset=utf-8",
    "code.js": "text/javascript; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "player.js": "text/javascript; charset=utf-8",
    "worker.js": "text/javascript; charset=utf-8",
    "index.html": "text/html; charset=utf-8",
    "manifest.webmanifest": "application/manifest+json",
    "icon.svg": "image/svg+xml",
    "icon-192.png": "image/png",
    "icon-512.png": "image/png",
    "icon-maskable-512.png": "image/png",
}
"""Files of the folder `assets` and their media types; each is served at `/page/NAME`."""
PUBLIC_PATHS = frozenset(f"/page/{name}" for name in TYPES)
"""Addresses that need no token; otherwise a browser could not show the field in which to enter it."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src blob:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def asset(name: str) -> bytes:
    """A built file, by its name in `assets`."""
    return (resources.files("antiphon.web.page") / "assets" / name).read_bytes()


def gzip_file(name: str) -> bytes:
    """A built file by gzip: a phone in a full room loads a third of the bytes."""
    return _compress_content(asset(name))


@cache
def _compress_content(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def html() -> str:
    """The page as HTML."""
    return asset("index.html").decode()


def extra(name: str) -> tuple[tuple[str, str], ...]:
    """Header fields of a file: the page's for HTML, and those of the service worker, whose scope is the page at `/`."""
    if name == "worker.js":
        return (*headers(), ("Service-Worker-Allowed", "/"))
    return headers() if name.endswith(".html") else ()


def headers() -> tuple[tuple[str, str], ...]:
    """Header fields of the page: a content security policy that allows only its own files and connections."""
    return (("Content-Security-Policy", POLICY), ("X-Frame-Options", "DENY"))


FILE = "page.html"
SECONDS = 600.0
"""Lifetime of a secret in seconds."""
_SECRET = re.compile(r"#open=([0-9a-f]{32})")


def page_address(folder: Path, http_port: int, room: str = "") -> str:
    """Page address with a new secret, stored in the server's runtime folder in place of the old one.

    room: the room to open, "" for the one that was open last. The secret is in the fragment of the address, which
    browsers do not send to servers. Raises `FileError` if it cannot be written.
    """
    url = f"http://127.0.0.1:{http_port}/#open={secrets.token_hex(16)}{f'&{room}' if room else ''}"
    text = f'<!doctype html><meta http-equiv="refresh" content="0; url={url}">\n'
    paths.write_atomic(folder / FILE, text.encode(), paths.PRIVATE)
    return url


def use_up_secret(folder: Path, given: str) -> bool:
    """Whether a text is the newest secret; true once, within `SECONDS`."""
    path = folder / FILE
    with contextlib.suppress(OSError):
        age = time.time() - path.stat().st_mtime
        found = _SECRET.search(path.read_text())
        if found and 0 <= age < SECONDS and hmac.compare_digest(found[1].encode(), given.encode()):
            path.unlink()  # fails for all but the first of two that ask at once
            return True
    return False
