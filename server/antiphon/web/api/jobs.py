"""The routes for work on files: what can be run, files, jobs and their results."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, quote

from antiphon.contract.catalog import Catalog, ProcessorInfo
from antiphon.errors import FileError, PatchError
from antiphon.graph.graph import known_type
from antiphon.io.http_message import HttpRequest, Refusal, Response, answer
from antiphon.jobs.board import JobBoard
from antiphon.jobs.files import MAX_FILE
from antiphon.jobs.job import Job, Task
from antiphon.jobs.live_sets import live_set
from antiphon.jobs.multipart import FormFile
from antiphon.jobs.request import live_task, render_task, run_task
from antiphon.web.access import CodeGuard
from antiphon.web.api.graph_json import plugin_json
from antiphon.web.server import HttpServer

log = logging.getLogger("antiphon.jobs")
TYPES = {
    ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".mp3": "audio/mpeg", ".aiff": "audio/aiff",
    ".aif": "audio/aiff", ".au": "audio/basic", ".mid": "audio/midi", ".midi": "audio/midi",
    ".json": "application/json", ".png": "image/png",
}  # fmt: skip
"""Media types of results, by ending."""


class JobRoutes:
    """Adds the routes; the table of jobs is opened by the first request that needs it, or where jobs were left."""

    def __init__(self, server: HttpServer, catalog: Catalog, folder: Path, guard: CodeGuard | None = None) -> None:
        """Adds the routes.

        Args:
            server: To add them to; its WebSocket clients get every change of a job.
            catalog: The plugins there are.
            folder: For the table, files and results.
            guard: Decides who may have a script evaluated that was saved on the page; None for no request.
        """
        self._server, self._catalog, self._folder = server, catalog, folder
        self._guard = CodeGuard() if guard is None else guard
        self._opened: JobBoard | None = None
        server.add("GET", "/api/plugins", self._plugins)
        server.add("GET", "/api/plugins/*", self._plugin)
        server.add("GET", "/api/files", self._files)
        server.add_stream("/api/files", self._receive, MAX_FILE)
        server.add("GET", "/api/files/*", self._file)
        server.add("DELETE", "/api/files/*", self._remove_file)
        server.add("POST", "/api/run/*", self._run)
        server.add("POST", "/api/render/*", self._render)
        server.add("POST", "/api/live/sets/*", self._render_set)
        server.add("GET", "/api/jobs", self._jobs)
        server.add("GET", "/api/jobs/*", self._job)
        server.add("POST", "/api/jobs/*", self._repeat)
        server.add("DELETE", "/api/jobs/*", self._cancel)

    def start(self) -> None:
        """Goes on with jobs that an earlier web process left."""
        if (self._folder / "jobs.sqlite").exists():
            try:
                self._board()
            except FileError as error:
                log.warning("no work on files: %s", error)

    async def close(self) -> None:
        """Ends the jobs that run; they begin anew with the next start."""
        if self._opened is not None:
            await self._opened.close()

    def drain(self) -> int:
        """Begins no more jobs; returns how many run."""
        return 0 if self._opened is None else self._opened.drain()

    def path(self, key: str) -> Path:
        """The file of that identifier, or the first result of a job; raises `Refusal` where there is neither."""
        return self._board().path(key)

    def _board(self) -> JobBoard:
        if self._opened is None:
            self._opened = JobBoard(
                self._folder, self._changed, self._server.listeners.files, own_scripts=self._guard.evaluates
            )
            self._opened.start()
        return self._opened

    def _changed(self, job: Job) -> None:
        self._server.listeners.job(job.id, job.plain())

    async def _plugins(self, request: HttpRequest) -> Response:
        return answer([plugin_json(self._catalog[name]) for name in sorted(self._catalog)])

    async def _plugin(self, request: HttpRequest) -> Response:
        return answer(plugin_json(self._known(_tail(request, "/api/plugins/"))))

    async def _files(self, request: HttpRequest) -> Response:
        return answer([entry.plain() for entry in self._board().files.entries.values()])

    async def _receive(self, request: HttpRequest, pieces: AsyncIterator[bytes]) -> Response:
        name = parse_qs(request.query or "").get("name", [""])[0]
        kind = request.headers.get("content-type", "")
        if kind.lower().startswith("multipart/form-data"):
            form = FormFile(kind, pieces)
            pieces = await form.begin()
            name = name or form.name
        entry = await self._board().receive(name, pieces)
        return answer(entry.plain(), 201, (("Location", f"/api/files/{entry.id}"),))

    async def _file(self, request: HttpRequest) -> Response:
        key, _, what = _tail(request, "/api/files/").partition("/")
        files = self._board().files
        path = files.path(key)
        match what:
            case "":
                return answer(files.entries[key].plain())
            case "content":
                return _download(path, files.entries[key].name)
            case "overview":
                return answer(await self._board().overview(key))
        raise Refusal(404, "a file has /content and /overview")

    async def _remove_file(self, request: HttpRequest) -> Response:
        self._board().remove_file(_tail(request, "/api/files/"))
        return Response(204)

    async def _run(self, request: HttpRequest) -> Response:
        plugin = self._known(_tail(request, "/api/run/")).type
        board, body = self._board(), request.json()
        return self._accepted(await asyncio.to_thread(run_task, self._catalog, plugin, body, board.path))

    async def _render(self, request: HttpRequest) -> Response:
        board, body, patch = self._board(), request.json(), _tail(request, "/api/render/")
        return self._accepted(await asyncio.to_thread(render_task, patch, body, board.path))

    async def _render_set(self, request: HttpRequest) -> Response:
        name, _, what = _tail(request, "/api/live/sets/").rpartition("/")
        if what != "render":
            raise Refusal(404, "a live set takes POST at /render")
        board, body = self._board(), request.json()
        await asyncio.to_thread(self._check_script, request, name)
        return self._accepted(await asyncio.to_thread(live_task, name, body, board.path))

    async def _repeat(self, request: HttpRequest) -> Response:
        key, _, what = _tail(request, "/api/jobs/").partition("/")
        if what != "repeat":
            raise Refusal(404, "a job takes POST at /repeat")
        board = self._board()
        task = board.job(key).task
        if task.command == "live":
            await asyncio.to_thread(self._check_script, request, task.name)
        return self._answer(board.repeat(key))

    def _check_script(self, request: HttpRequest, name: str) -> None:
        """Raises `Refusal` for a script that may have come by HTTP, where this request may not have it evaluated."""
        if live_set(name).own:
            self._guard.check(request)

    def _accepted(self, task: Task) -> Response:
        return self._answer(self._board().add(task))

    def _answer(self, job: Job) -> Response:
        return answer(job.plain(), 202, (("Location", f"/api/jobs/{job.id}"),))

    async def _jobs(self, request: HttpRequest) -> Response:
        return answer([job.plain() for job in reversed(self._board().jobs.values())])

    async def _job(self, request: HttpRequest) -> Response:
        key, _, rest = _tail(request, "/api/jobs/").partition("/")
        if not rest:
            return answer(self._board().job(key).plain())
        what, _, name = rest.partition("/")
        board = self._board()
        if what == "overview" and not name:
            return answer(await board.overview(board.job(key).id))
        if what != "result":
            raise Refusal(404, "a job has /result, /result/NAME and /overview")
        path = board.result(key, name)
        shown = board.name(key)
        # out.wav has the whole name, the others their own behind it
        return _download(path, shown if path.stem == "out" else f"{Path(shown).stem} {path.name}")

    async def _cancel(self, request: HttpRequest) -> Response:
        return answer(self._board().cancel(_tail(request, "/api/jobs/")).plain())

    def _known(self, name: str) -> ProcessorInfo:
        try:
            return known_type(name, self._catalog)
        except PatchError as error:
            raise Refusal(404, str(error)) from None


def _download(path: Path, name: str) -> Response:
    """A file as a download of that name, or a part of it."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    shown = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return Response(
        200, b"", TYPES.get(path.suffix, "application/octet-stream"), (("Content-Disposition", shown),), path
    )


def _tail(request: HttpRequest, prefix: str) -> str:
    return request.path.removeprefix(prefix)
