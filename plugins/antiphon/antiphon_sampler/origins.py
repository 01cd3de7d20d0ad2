"""Where the files of a pack are read from: a folder, a ZIP file, addresses. Each gives bytes within a limit."""

import contextlib
import http.client
import lzma
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol
from urllib.parse import quote, urljoin, urlsplit

from antiphon.api import FileError
from antiphon.api.backends.files import printable_path, reason_of_os_error

MAX_ENTRIES = 100_000
"""Files of a folder or a ZIP file that are looked at."""
PIECE = 1 << 18
STALLED = 30.0
"""Seconds without a byte after which a server has gone."""
_AGENT = "antiphon"


class Origin(Protocol):
    """Files by their paths, with `/` between the parts."""

    shown: str

    def names(self) -> list[str]:
        """Paths of the files; none where they cannot be listed."""
        ...

    def pieces(self, name: str) -> Iterator[bytes]:
        """Content of a file. Raises FileError: it cannot be read to its end; KeyError: there is none."""
        ...


class FolderOrigin:
    """Files below a folder; links are followed where they stay in it."""

    def __init__(self, folder: Path) -> None:
        self.shown, self._root = printable_path(folder), folder.resolve()

    def names(self) -> list[str]:
        found = []
        for path in self._root.rglob("*"):
            if path.is_file() and path.resolve().is_relative_to(self._root):
                found.append(path.relative_to(self._root).as_posix())
            if len(found) > MAX_ENTRIES:
                raise FileError(f"{self.shown} holds more than {MAX_ENTRIES} files; add a folder of it")
        return sorted(found)

    def pieces(self, name: str) -> Iterator[bytes]:
        try:
            path = (self._root / name).resolve()
            there = path.is_relative_to(self._root) and path.is_file()
        except (OSError, ValueError, RuntimeError):  # a name that no file has
            there = False
        if not there:
            raise KeyError(name)
        with path.open("rb") as file:
            yield from _read(file)


class ZipOrigin:
    """Files of a ZIP file; one folder that holds all of them is left out of their names."""

    def __init__(self, path: Path, shown: str = "") -> None:
        self.shown = shown or printable_path(path)
        try:
            self._zip = zipfile.ZipFile(path)
            entries = [one for one in self._zip.infolist() if not one.is_dir() and one.external_attr >> 28 != 10]
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise FileError(f"cannot read {self.shown} as a ZIP file: {error}") from None
        if len(entries) > MAX_ENTRIES:
            raise FileError(f"{self.shown} holds more than {MAX_ENTRIES} files")
        tops = {one.filename.split("/", 1)[0] for one in entries}
        inner = len(tops) == 1 and all("/" in one.filename for one in entries)
        self._entries = {one.filename.split("/", 1)[1] if inner else one.filename: one for one in entries}

    def names(self) -> list[str]:
        return sorted(self._entries)

    def pieces(self, name: str) -> Iterator[bytes]:
        try:
            with self._zip.open(self._entries[name]) as file:
                yield from _read(file)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError, ValueError) as error:
            # a password, a checksum that differs, a method that is not known
            raise FileError(f"cannot read {name[:200]!r} of {self.shown}: {error}") from None


class WebOrigin:
    """Files by addresses relative to one, all of one host, which no answer leads away from."""

    def __init__(self, base: str) -> None:
        self.shown = self._base = base
        self._opener = urllib.request.build_opener(_SameHost)
        self._opener.addheaders = [("User-Agent", _AGENT)]

    def names(self) -> list[str]:
        return []

    def pieces(self, name: str) -> Iterator[bytes]:
        try:
            address = urljoin(self._base, quote(name, safe="/%:?&=+,;@!~*'()$-._"))
            same = urlsplit(address)[:2] == urlsplit(self._base)[:2]
        except ValueError as error:
            raise FileError(f"{self.shown} names {name[:200]!r}, which is no address: {error}") from None
        if not same:
            raise FileError(f"{self.shown} names {name[:200]!r}, on another server; a pack's sounds are on one")
        try:
            with self._opener.open(address, timeout=STALLED) as answer:
                promised, came = answer.headers.get("Content-Length"), 0
                for piece in _read(answer):
                    came += len(piece)
                    yield piece
                if promised is not None and came != int(promised):
                    raise FileError(f"{address} broke off after {came} of {promised} bytes; try again")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise KeyError(name) from None
            raise FileError(f"{address} answers {error.code} {error.reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            said = reason_of_os_error(reason) if isinstance(reason, OSError) else str(reason)
            raise FileError(f"cannot read {address}: {said}; nothing was added") from None


class _SameHost(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            raise FileError(f"{req.full_url} leads to another server, {urlsplit(newurl).netloc[:100]}; not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def whole(origin: Origin, name: str, most: int) -> bytes:
    """Content of a file of at most `most` bytes. Raises FileError, KeyError."""
    content = bytearray()
    with contextlib.closing(origin.pieces(name)) as pieces:  # type: ignore[type-var]
        for piece in pieces:
            content += piece
            if len(content) > most:
                raise FileError(f"{name[:200]!r} of {origin.shown} has more than {most >> 20} MiB")
    return bytes(content)


def plain_path(text: str) -> str:
    """A relative path without `.`; "" for one that leads elsewhere."""
    parts = [part for part in PurePosixPath(text).parts if part != "."]
    return "" if text.startswith("/") or ".." in parts or "\0" in text else "/".join(parts)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece
