"""File job operations: files, jobs and their results."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from antiphon.demo import BAND, HUM
from antiphon.jobs.board import JobBoard
from antiphon.jobs.files import MAX_FILE
from antiphon.jobs.job import Job, Missing, Task
from antiphon.jobs.live_sets import live_set
from antiphon.jobs.request import Render, RenderLive, Run, live_task, render_task, run_task
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.errors import FileError, WireError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.shortening import shorten
from antiphon.kernel.runtime.suggestion import instead
from antiphon.web.access import CodeGuard
from antiphon.web.api import types
from antiphon.web.api.server_state import known_plugin
from antiphon.web.http_message import HttpRequest, Response, answer
from antiphon.web.operations import operation, to_plain
from antiphon.web.server import HttpServer

# ---- File in a form (`multipart/form-data`), as sent by `curl -F file=@take.wav` and browsers, piece by piece

MAX_HEADER = 4096
"""Maximum bytes of the headers of one part."""


class FormFile:
    """First part of a form with a file name; parts before and after it are read and dropped."""

    def __init__(self, content_type: str, pieces: AsyncIterator[bytes]) -> None:
        """Starts idle. The header `content_type` names the boundary. Raises WireError: the header names no boundary."""
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise WireError("the Content-Type of the form names no boundary")
        self.name = ""  # the file's name, set by `begin`
        self._pieces, self._found = pieces, deque[bytes]()
        self._field, self._header, self._header_bytes = b"", b"", 0
        self._inside = self._over = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_field,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
            },
        )

    async def begin(self) -> AsyncIterator[bytes]:
        """Reads up to the file's name, and returns the file's bytes, piece by piece.

        Raises WireError: the form has no file, or is invalid.
        """
        while not (self._inside or self._over):
            if not await self._more():
                raise WireError("the form holds no file; send one as curl does with -F file=@take.wav")
        return self._content()

    async def _content(self) -> AsyncIterator[bytes]:
        while True:
            while self._found:
                yield self._found.popleft()
            if not await self._more():
                break
        if not self._over:
            raise WireError("the form ends before its file does")

    async def _more(self) -> bool:
        """Parses the next piece; False at the end of the body."""
        async for piece in self._pieces:
            try:
                self._parser.write(piece)
            except MultipartParseError:
                raise WireError("the body is not the form that its Content-Type says") from None
            return True
        return False

    def _begin_part(self) -> None:
        self._field = self._header = b""
        self._header_bytes = 0

    def _count(self, more: int) -> None:
        self._header_bytes += more
        if self._header_bytes > MAX_HEADER:
            raise WireError(f"the headers of a part of the form have more than {MAX_HEADER} bytes")

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header += data[start:end]

    def _end_header(self) -> None:
        if not self._over and self._field.lower() == b"content-disposition":
            name = parse_options_header(self._header)[1].get(b"filename", b"")
            self.name, self._inside = name.decode("utf-8", "replace"), bool(name)
        self._field = self._header = b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self._found.append(data[start:end])

    def _end_part(self) -> None:
        self._over |= self._inside
        self._inside = False


log = logging.getLogger("antiphon.jobs")
FILE = "1df5005f9868"
"""Identifier of a file in examples."""
JOB = "9d0673aa3316"
"""Identifiers in examples, of a file that was sent and of a job."""
EXAMPLES = {path.name: path for path in (HUM.with_name("voice.ogg"), HUM, BAND)}
"""Shipped example sounds, by name."""
TYPES = {
    ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".mp3": "audio/mpeg", ".aiff": "audio/aiff",
    ".aif": "audio/aiff", ".au": "audio/basic", ".mid": "audio/midi", ".midi": "audio/midi",
    ".m4a": "audio/mp4", ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
    ".mkv": "video/x-matroska", ".json": "application/json", ".png": "image/png",
}  # fmt: skip
"""Media types of results, by ending."""


class JobRoutes:
    """Job routes; the job table is opened by the first request that needs it, or if jobs were left."""

    def __init__(self, server: HttpServer, catalog: Catalog, folder: Path, guard: CodeGuard | None = None) -> None:
        """Adds the routes; WebSocket clients of `server` get every change of a job.

        `guard` decides who may have a script from the page evaluated; None allows no request.
        """
        self._server, self._catalog, self._folder = server, catalog, folder
        self._guard = CodeGuard() if guard is None else guard
        self._opened: JobBoard | None = None
        server.serve(self)

    def start(self) -> None:
        """Resumes jobs left by an earlier web process."""
        if (self._folder / "jobs.sqlite").exists():
            try:
                self._board()
            except FileError as error:
                log.warning("no work on files: %s", error)

    async def close(self) -> None:
        """Ends the running jobs; they restart with the next start."""
        if self._opened is not None:
            await self._opened.close()

    def drain(self) -> int:
        """Stops starting jobs; returns the number of running ones."""
        return 0 if self._opened is None else self._opened.drain()

    def path(self, key: str) -> Path:
        """File of that identifier, or the first result of a job; raises `Missing` if there is neither."""
        return self._board().path(key)

    def find_result(self, key: str) -> tuple[Job, Path]:
        """A job and the file of its first result. Raises `Missing` without them."""
        return self._board().job(key), self._board().path(key)

    def _board(self) -> JobBoard:
        if self._opened is None:
            self._opened = JobBoard(
                self._folder, self._changed, self._server.listeners.files, own_scripts=self._guard.evaluates
            )
            self._opened.start()
        return self._opened

    def _changed(self, job: Job) -> None:
        self._server.listeners.job(job.id, job.plain())

    @operation("GET", "/api/files", types.list_of(types.File))
    async def files(self, request: HttpRequest) -> object:
        """The files that were sent."""
        return list(self._board().files.entries.values())

    @operation("POST", "/api/files", types.File, 201, upload=MAX_FILE, form=True, example={"name": "take.wav"})
    async def receive(self, request: HttpRequest, pieces: AsyncIterator[bytes], query: types.UploadQuery) -> Response:
        """Send a file, sound or MIDI: as the body, or a form (`curl -F`)."""
        name, kind = query.name, request.headers.get("content-type", "")
        if kind.lower().startswith("multipart/form-data"):
            form = FormFile(kind, pieces)
            pieces = await form.begin()
            name = name or form.name
        entry = await self._board().receive(name, pieces)
        return answer(to_plain(entry, types.File), 201, (("Location", f"/api/files/{entry.id}"),))

    @operation("GET", "/api/files/{id}", types.File, example={"id": FILE})
    async def file(self, request: HttpRequest, id: str) -> object:
        """One file."""
        files = self._board().files
        files.path(id)
        return files.entries[id]

    @operation("GET", "/api/files/{id}/content", bytes, example={"id": FILE})
    async def content(self, request: HttpRequest, id: str) -> Response:
        """A file's bytes."""
        files = self._board().files
        return download(files.path(id), files.entries[id].name)

    @operation("GET", "/api/files/{id}/overview", types.Overview, example={"id": FILE})
    async def overview(self, request: HttpRequest, id: str) -> object:
        """A file's length and waveform."""
        self._board().files.path(id)
        return await self._board().overview(id)

    @operation("POST", "/api/files/{id}/keep", types.Kept, example={"id": FILE})
    async def keep(self, request: HttpRequest, id: str) -> object:
        """Put a file, or a job's first result, into the library's folder `files`."""
        return {"kept": await asyncio.to_thread(self._board().keep, id, paths.added_files_folder())}

    @operation("GET", "/api/examples/{name}", bytes, example={"name": "hum.flac"})
    async def example(self, request: HttpRequest, name: str) -> Response:
        """A sound that ships: voice.ogg, hum.flac, band.flac."""
        if name not in EXAMPLES:
            raise Missing(f"there is no example {shorten(name)!r}{instead(name, EXAMPLES)}")
        return download(EXAMPLES[name], name)

    @operation("DELETE", "/api/files/{id}", status=204, example={"id": FILE})
    async def remove_file(self, request: HttpRequest, id: str) -> Response:
        """Remove a file."""
        self._board().remove_file(id)
        return Response(204)

    @operation(
        "POST",
        "/api/run/{plugin}",
        types.Job,
        202,
        body=Run,
        plain=True,
        example={"plugin": "denoise", "body": {"file": FILE, "params": {"threshold": -40}, "format": "flac"}},
    )
    async def run(self, request: HttpRequest, plugin: str, body: object) -> Response:
        """Run a plugin over a file."""
        name, board = known_plugin(plugin, self._catalog).type, self._board()
        return self._add_task_and_answer(await asyncio.to_thread(run_task, self._catalog, name, body, board.path))

    @operation(
        "POST",
        "/api/render/{patch}",
        types.Job,
        202,
        body=Render,
        plain=True,
        example={"patch": "bed", "body": {"seconds": 4}},
    )
    async def render(self, request: HttpRequest, patch: str, body: object) -> Response:
        """Render a patch, over a file or for a time."""
        board = self._board()
        return self._add_task_and_answer(await asyncio.to_thread(render_task, self._catalog, patch, body, board.path))

    @operation(
        "POST",
        "/api/live/sets/{name}/render",
        types.Job,
        202,
        body=RenderLive,
        plain=True,
        example={"name": "bells", "body": {"bars": 2, "midi": True}},
    )
    async def render_set(self, request: HttpRequest, name: str, body: object) -> Response:
        """Render a script by its name."""
        board = self._board()
        await asyncio.to_thread(self._check_script, request, name)
        return self._add_task_and_answer(await asyncio.to_thread(live_task, self._catalog, name, body, board.path))

    @operation("GET", "/api/jobs", types.list_of(types.Job))
    async def jobs(self, request: HttpRequest) -> object:
        """The jobs, newest first."""
        return [job.plain() for job in reversed(self._board().jobs.values())]

    @operation("GET", "/api/jobs/{id}", types.Job, example={"id": JOB})
    async def job(self, request: HttpRequest, id: str) -> object:
        """One job."""
        return self._board().job(id).plain()

    @operation("DELETE", "/api/jobs/{id}", types.Job, example={"id": JOB})
    async def cancel(self, request: HttpRequest, id: str) -> object:
        """Cancel a job; forget one that has ended."""
        return self._board().cancel(id).plain()

    @operation("POST", "/api/jobs/{id}/repeat", types.Job, 202, example={"id": JOB})
    async def repeat(self, request: HttpRequest, id: str) -> Response:
        """Do a job once more."""
        board = self._board()
        task = board.job(id).task
        if task.command == "live":
            await asyncio.to_thread(self._check_script, request, task.name)
        return self._answer(board.repeat(id))

    @operation("GET", "/api/jobs/{id}/overview", types.Overview, example={"id": JOB})
    async def job_overview(self, request: HttpRequest, id: str) -> object:
        """The length and waveform of a job's first result."""
        board = self._board()
        return await board.overview(board.job(id).id)

    @operation("GET", "/api/jobs/{id}/result", bytes, example={"id": JOB})
    async def first_result(self, request: HttpRequest, id: str) -> Response:
        """A job's first result."""
        return self._result(id, "")

    @operation("GET", "/api/jobs/{id}/result/{name}", bytes, example={"id": JOB, "name": "out.flac"})
    async def result(self, request: HttpRequest, id: str, name: str) -> Response:
        """A job's result of that name."""
        return self._result(id, name)

    def _result(self, key: str, name: str) -> Response:
        board = self._board()
        path, shown = board.result(key, name), board.name(key)
        # out.wav has the whole name, the others their own behind it
        return download(path, shown if path.stem == "out" else f"{Path(shown).stem} {path.name}")

    def _check_script(self, request: HttpRequest, name: str) -> None:
        """Raises `HttpRefusal` for a script that HTTP may have saved, unless this request may have it evaluated."""
        if live_set(name).own:
            self._guard.check(request)

    def _add_task_and_answer(self, task: Task) -> Response:
        return self._answer(self._board().add(task))

    def _answer(self, job: Job) -> Response:
        return answer(job.plain(), 202, (("Location", f"/api/jobs/{job.id}"),))


def download(path: Path, name: str) -> Response:
    """Download response for a file under that name, or for a part of it."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    shown = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    kind = TYPES.get(path.suffix, "application/octet-stream")
    return Response(200, b"", kind, (("Content-Disposition", shown),), path)
