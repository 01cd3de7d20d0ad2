"""Recording operations: lists the files of `/record/start` and `/record/tracks/start`, and sends them."""

import asyncio
import contextlib
import io
import os
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from antiphon.files.containers.chunks import complete_wav_header
from antiphon.files.containers.pieces import SplicedFile
from antiphon.jobs.job import Missing
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.shortening import shorten
from antiphon.web.api import types
from antiphon.web.api.jobs import TYPES, download
from antiphon.web.http_message import HttpRequest, Response
from antiphon.web.operations import TokenLevel, operation
from antiphon.web.server import HttpServer

EXAMPLE = {"name": "set.wav", "form": "whole"}
PIECE_BYTES = 256 * 1024
"""Bytes read from a file per step."""
MIX = "output.wav"
"""File name of the mix in a folder of tracks."""
PIECE_FRAMES = 1 << 16
"""Frames encoded per step."""
HIGHEST_MP3 = 48000
"""Maximum rate of MP3 in Hz."""
_ENCODING = threading.Lock()
"""Limits encoding to one small file at a time: it takes a core, while sound plays."""


class RecordingRoutes:
    """Handlers of recordings. They need the owner's token, since recordings contain a microphone's sound."""

    def __init__(self, server: HttpServer) -> None:
        server.serve(self)

    @operation("GET", "/api/recordings", types.list_of(types.Recording), level=TokenLevel.OWNER)
    async def recordings(self, request: HttpRequest) -> object:
        """Recordings, folders of tracks, and captures, newest first."""
        return await asyncio.to_thread(_listed)

    @operation("GET", "/api/recordings/{name}", bytes, level=TokenLevel.OWNER, example=EXAMPLE)
    async def recording(self, request: HttpRequest, name: str, query: types.RecordingQuery) -> Response:
        """A recording or a capture; a folder of tracks as a zip file."""
        path = paths.path_inside(paths.recordings(), name)
        if not path.exists():
            path = paths.path_inside(paths.captures(), name)
        if not path.exists():
            raise Missing(f"there is no recording {shorten(name)!r}; GET /api/recordings lists them")
        folder = path.is_dir()
        if query.form == "whole" and folder:
            head = download(path, f"{path.name}.zip").headers
            return Response(200, type="application/zip", headers=head, pieces=_iterate_in_threads(zip_folder(path)))
        sound = _mix(path)
        if sound is None:
            raise Missing(f"{shorten(name)!r} has no mix; form=whole gives its tracks")
        shown = path.name if folder else path.stem
        if query.form != "small":
            return await asyncio.to_thread(_recording_response, sound, f"{shown}{sound.suffix}")
        _, ending = await asyncio.to_thread(_length, sound)
        if not ending:
            raise Missing(f"no small file can be made of {shorten(name)!r}; form=mix gives it as it is")
        head, pieces = download(path, f"{shown}.{ending}").headers, _iterate_in_threads(_encode(sound, ending))
        return Response(200, type=TYPES[f".{ending}"], headers=head, pieces=pieces)


def _mix(path: Path) -> Path | None:
    """File of a recording's mix, for a folder of tracks one of its files; None if it is missing."""
    sound = path / MIX if path.is_dir() else path
    return sound if sound.is_file() and (sound is path or not sound.is_symlink()) else None


def _recording_response(path: Path, name: str) -> Response:
    """Response with a recording up to now, under that name; a recording in progress is also sent as a complete file."""
    with path.open("rb") as file:
        head, length = complete_wav_header(file.fileno())
    return replace(download(path, name), head=head, length=length)


@contextlib.contextmanager
def _open_recording(path: Path) -> Iterator[Any]:
    """Context with the sound of a recording up to now, for soundfile; None if it cannot be read."""
    import soundfile

    with path.open("rb") as file:
        head, length = complete_wav_header(file.fileno())
        try:
            sound = soundfile.SoundFile(SplicedFile(file.fileno(), (head, range(len(head), length))))
        except soundfile.SoundFileError:
            yield None
            return
        with sound:
            yield sound


def _length(path: Path) -> tuple[float, str]:
    """Seconds of a recording up to now, and the suffix of its small version; 0 and "" if there is none."""
    with _open_recording(path) as sound:
        if sound is None or not sound.frames:
            return 0.0, ""
        return round(sound.frames / sound.samplerate, 3), "mp3" if sound.samplerate <= HIGHEST_MP3 else "ogg"


def _encode(path: Path, ending: str) -> Iterator[bytes]:
    """Encodes a recording up to now as a small file, in pieces, without storing it.

    An MP3 has a constant bitrate, so that the encoder need not rewrite its beginning.
    """
    import soundfile

    out = _Outgoing()
    more = {"compression_level": 0.5, "bitrate_mode": "CONSTANT"} if ending == "mp3" else {}
    with _open_recording(path) as sound:
        form = sound.samplerate, min(2, sound.channels)
        with soundfile.SoundFile(out, "w", *form, format=ending.upper(), **more) as made:
            left = sound.frames
            while left > 0:
                with _ENCODING:
                    heard = sound.read(min(PIECE_FRAMES, left), "float32", always_2d=True)
                    made.write(heard[:, :2])
                left = left - len(heard) if len(heard) else 0
                if piece := out.take():
                    yield piece
    if piece := out.take():
        yield piece


def _listed() -> list[dict[str, object]]:
    found = []
    folders = (paths.recordings(), paths.captures())
    for path in chain.from_iterable(folder.iterdir() for folder in folders if folder.is_dir()):
        if path.is_symlink():
            continue  # it may lead elsewhere, and is not sent
        files = _files(path) if path.is_dir() else [path] * path.is_file()
        if files and not path.name.startswith("."):
            sizes, times = zip(*((one.stat().st_size, one.stat().st_mtime) for one in files), strict=True)
            mix = _mix(path)
            seconds, small = _length(mix) if mix else (0.0, "")
            found.append(
                {
                    "name": path.name,
                    "bytes": sum(sizes),
                    "tracks": len(files) if path.is_dir() else 0,
                    "capture": path.parent == paths.captures(),
                    "ended": max(times),
                    "seconds": seconds,
                    "mix": mix.stat().st_size if mix and mix is not path else 0,
                    "small": small,
                }
            )
    return sorted(found, key=lambda one: -float(str(one["ended"])))


def _files(folder: Path) -> list[Path]:
    """Files of a folder of tracks, without links, which might lead elsewhere."""
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())


class _Outgoing(io.RawIOBase):
    """Buffers written bytes until they are taken; bytes rewritten after a seek back are dropped."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._at = self._end = 0

    def writable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self._at == self._end:
            self._held += data
            self._end += len(data)
        self._at += len(data)
        return len(data)

    def take(self) -> bytes:
        """Returns the bytes written since the last call."""
        taken = bytes(self._held)
        self._held.clear()
        return taken


def zip_folder(folder: Path) -> Iterator[bytes]:
    """Yields a zip file of a folder in pieces, without compression and with little memory."""
    out = _Outgoing()
    with zipfile.ZipFile(out, "w") as archive:
        for path in _files(folder):
            # a zip holds times from 1980 to 2107; a machine without a clock begins at 1970
            head = zipfile.ZipInfo.from_file(path, f"{folder.name}/{path.name}", strict_timestamps=False)
            with path.open("rb") as file, archive.open(head, "w", force_zip64=True) as entry:
                written, length = complete_wav_header(file.fileno())
                source = SplicedFile(file.fileno(), (written, range(len(written), length)))
                while piece := source.read(PIECE_BYTES):
                    entry.write(piece)
                    yield out.take()
    yield out.take()


async def _iterate_in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece
