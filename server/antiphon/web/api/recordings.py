"""Recording operations: what `/record/start` and `/record/tracks/start` wrote, listed, and given to another machine."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

from antiphon.files.containers.chunks import written_wav
from antiphon.files.containers.pieces import SplicedFile
from antiphon.jobs.errors import Missing
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.shortening import shorten
from antiphon.web.api import types
from antiphon.web.api.jobs import download
from antiphon.web.http_message import HttpRequest, Response, answer
from antiphon.web.operations import TokenLevel, operation
from antiphon.web.server import HttpServer

PIECE_BYTES = 256 * 1024
"""Bytes read from a file in a step."""


class RecordingRoutes:
    """Handlers of recordings, which need the owner's token: they hold what a microphone heard."""

    def __init__(self, server: HttpServer) -> None:
        server.serve(self)

    @operation("GET", "/api/recordings", types.list_of(types.Recording), level=TokenLevel.OWNER)
    async def recordings(self, request: HttpRequest) -> Response:
        """The recordings of the output, the folders of tracks, and captures, newest first."""
        return answer(await asyncio.to_thread(_listed))

    @operation("GET", "/api/recordings/{name}", bytes, level=TokenLevel.OWNER, example={"name": "set.wav"})
    async def recording(self, request: HttpRequest, name: str) -> Response:
        """A recording or a capture, up to now where it is still written; a folder of tracks as a zip file."""
        path = paths.path_inside(paths.recordings(), name)
        if not path.exists():
            path = paths.path_inside(paths.captures(), name)
        if path.is_file():
            return await asyncio.to_thread(_as_it_is, path)
        if not path.is_dir():
            raise Missing(f"there is no recording {shorten(name)!r}; GET /api/recordings lists them")
        head = download(path, f"{path.name}.zip").headers
        return Response(200, type="application/zip", headers=head, pieces=_in_threads(zipped(path)))


def _as_it_is(path: Path) -> Response:
    """A recording up to now; one that is still written is a whole file as well."""
    with path.open("rb") as file:
        head, length = written_wav(file.fileno())
    return replace(download(path, path.name), head=head, length=length)


def _listed() -> list[dict[str, object]]:
    found = []
    for path in (
        one for folder in (paths.recordings(), paths.captures()) if folder.is_dir() for one in folder.iterdir()
    ):
        files = _files(path) if path.is_dir() else [path] * path.is_file()
        if files and not path.name.startswith("."):
            sizes, times = zip(*((one.stat().st_size, one.stat().st_mtime) for one in files), strict=True)
            found.append(
                {
                    "name": path.name,
                    "bytes": sum(sizes),
                    "tracks": len(files) if path.is_dir() else 0,
                    "capture": path.parent == paths.captures(),
                    "ended": max(times),
                }
            )
    return sorted(found, key=lambda one: -float(str(one["ended"])))


def _files(folder: Path) -> list[Path]:
    """The files of a folder of tracks; no links, which might lead elsewhere."""
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())


class _Outgoing(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._held += data
        return len(data)

    def take(self) -> bytes:
        """What was written since the last call."""
        taken = bytes(self._held)
        self._held.clear()
        return taken


def zipped(folder: Path) -> Iterator[bytes]:
    """A zip file of a folder's files in pieces, without compression: sound that fills a memory nowhere."""
    out = _Outgoing()
    with zipfile.ZipFile(out, "w") as archive:
        for path in _files(folder):
            head = zipfile.ZipInfo.from_file(path, f"{folder.name}/{path.name}")
            with path.open("rb") as file, archive.open(head, "w", force_zip64=True) as entry:
                written, length = written_wav(file.fileno())
                source = SplicedFile(file.fileno(), (written, range(len(written), length)))
                while piece := source.read(PIECE_BYTES):
                    entry.write(piece)
                    yield out.take()
    yield out.take()


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece
