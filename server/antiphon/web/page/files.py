"""Files of the browser page at `/`, built by `make page` from the sources in `page/`, without data.

Data is only ever inserted as text, not HTML, and nothing is loaded from elsewhere.
"""

import gzip
from functools import cache
from importlib import resources

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
"""Addresses that need no token: without them a browser could not show the field to enter it."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src blob:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def asset(name: str) -> bytes:
    """A built file, by its name in `assets`."""
    return (resources.files("antiphon.web.page") / "assets" / name).read_bytes()


def packed(name: str) -> bytes:
    """A built file by gzip: a phone in a full room loads a third of the bytes."""
    return _compressed(asset(name))


@cache
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def html() -> str:
    """The page as HTML."""
    return asset("index.html").decode()


def extra(name: str) -> tuple[tuple[str, str], ...]:
    """Header fields of a file: the page's own for HTML and for the service worker, whose scope is the page at `/`."""
    if name == "worker.js":
        return (*headers(), ("Service-Worker-Allowed", "/"))
    return headers() if name.endswith(".html") else ()


def headers() -> tuple[tuple[str, str], ...]:
    """Header fields of the page: a content security policy that allows only its own files and connections."""
    return (("Content-Security-Policy", POLICY), ("X-Frame-Options", "DENY"))
