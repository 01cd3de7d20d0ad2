"""The routes of live scripts: run and stop them, what they can say, those that ship and the performer's own.

What evaluates or writes needs the owner's token, on loopback too: a page of another site, or another user of this
machine, does not know it. It is taken from this machine alone (`CodeGuard`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from antiphon.errors import FileError
from antiphon.io.http_message import HttpRequest, Refusal, Response, answer
from antiphon.jobs.live_sets import PREVIOUS, SUFFIX, folders, live_sets
from antiphon.runtime import paths
from antiphon.web.access import CodeGuard
from antiphon.web.api.live_words import sound_names, words
from antiphon.web.control_link import ControlLink
from antiphon.web.performer_link import PerformerLink
from antiphon.web.server import HttpServer
from antiphon.wire.script_link import LONGEST_SCRIPT, MAX_VERSION

LONGEST_NAME = 80
SAMPLER = "sampler"
"""The type of nodes that play sounds by name."""


class LiveRoutes:
    """The handlers."""

    def __init__(
        self, server: HttpServer, control: ControlLink, performer: PerformerLink, guard: CodeGuard | None = None
    ) -> None:
        """Adds nothing yet.

        Args:
            server: To add the routes to.
            control: Knows the patch.
            performer: What performs.
            guard: Decides who may store and evaluate; None for programs of this machine, where there is a performer.
        """
        self._server, self._control, self._performer = server, control, performer
        self._guard = CodeGuard(performer.on) if guard is None else guard

    def add(self) -> None:
        """Adds the routes, and reads what the performer reports."""
        server, performer = self._server, self._performer
        server.add("GET", "/api/live", self._state)
        server.add("GET", "/api/live/script", self._script, token=True)
        server.add("GET", "/api/live/words", self._words)
        server.add("GET", "/api/live/sounds", self._sounds)
        server.add("POST", "/api/live/eval", self._evaluate)
        server.add("POST", "/api/live/stop", self._stop)
        server.add("GET", "/api/live/sets", self._sets)
        server.add("GET", "/api/live/sets/*", self._set)
        server.add("PUT", "/api/live/sets/*", self._save)
        performer.start()
        server.closing.append(performer.close)
        server.counts["live_dropped"] = lambda: performer.dropped

    async def _state(self, request: HttpRequest) -> Response:
        reason = self._guard.reason(request)
        return answer({"on": not reason, "start": reason, **self._performer.state})

    async def _script(self, request: HttpRequest) -> Response:
        if self._performer.script is None:
            raise Refusal(404, "no page has run a script yet")
        return answer(self._performer.script)

    async def _words(self, request: HttpRequest) -> Response:
        return answer(words())

    async def _sounds(self, request: HttpRequest) -> Response:
        found = {}
        for item in await self._control.nodes():
            if item.node.type == SAMPLER:
                # folders are read in a thread, so that a slow disk delays no other request
                found[item.node.name] = await asyncio.to_thread(sound_names, str(item.values.get("library", "")))
        return answer(found)

    async def _evaluate(self, request: HttpRequest) -> Response:
        self._guard.check(request)
        body = _body(request)
        text, version = _text(body), body.get("version")
        if isinstance(version, bool) or not isinstance(version, int) or not 0 < version <= MAX_VERSION:
            raise Refusal(400, f"version takes a whole number from 1 to {MAX_VERSION}, another for each run")
        self._performer.run({"text": text, "version": version, "name": _short(body, "name"), "by": _short(body, "by")})
        return answer({"version": version}, 202)

    async def _stop(self, request: HttpRequest) -> Response:
        self._performer.stop()
        return answer({"stopped": True})

    async def _sets(self, request: HttpRequest) -> Response:
        return answer(await asyncio.to_thread(_listed))

    async def _set(self, request: HttpRequest) -> Response:
        return answer(await asyncio.to_thread(_read, _name(request)))

    async def _save(self, request: HttpRequest) -> Response:
        self._guard.check(request, evaluate=False)
        body = _body(request)
        text, replaces = _text(body), body.get("replace") is True
        await asyncio.to_thread(_write, name := _name(request), text, replaces)
        return answer({"name": name, "own": True}, 201)


def _body(request: HttpRequest) -> dict[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise Refusal(400, "the body is a JSON object")
    return body


def _text(body: dict[str, Any]) -> str:
    text = body.get("text")
    if not isinstance(text, str):
        raise Refusal(400, "text takes the whole script")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Refusal(400, "a script is text that UTF-8 can hold") from None
    if size > LONGEST_SCRIPT:
        raise Refusal(413, f"a script on the page has at most {LONGEST_SCRIPT:,} bytes, not {size:,}; split it")
    return text


def _short(body: dict[str, Any], key: str) -> str:
    value = body.get(key, "")
    if not isinstance(value, str) or len(value) > LONGEST_NAME or not (value.isprintable() and value.isascii()):
        raise Refusal(400, f"{key} takes at most {LONGEST_NAME} printable characters of ASCII")
    return value


def _name(request: HttpRequest) -> str:
    return request.path.removeprefix("/api/live/sets/")


def _listed() -> list[dict[str, object]]:
    """The scripts that ship and the performer's own, by name; one of the own hides one that ships."""
    return [found.plain() for found in sorted(live_sets().values(), key=lambda one: one.name.casefold())]


def _read(name: str) -> dict[str, Any]:
    """A script by its name: the performer's own, or one that ships."""
    for own, folder in zip((True, False), reversed(folders()), strict=True):
        path = paths.inside(folder, name, SUFFIX)
        try:
            with path.open("rb") as file:
                content = file.read(LONGEST_SCRIPT + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise FileError(f"cannot read {name}: {paths.why(error)}") from None
        if len(content) > LONGEST_SCRIPT:
            raise Refusal(413, f"{name} has over {LONGEST_SCRIPT:,} bytes; play it by `antiphon live`")
        return {"name": name, "own": own, "text": content.decode("utf-8", "replace")}
    raise Refusal(404, "there is no script of that name; GET /api/live/sets lists them")


def _write(name: str, text: str, replaces: bool) -> None:
    """Writes one of the performer's own scripts; the version before is kept under its name and `PREVIOUS`."""
    path = paths.inside(paths.scripts(), name, SUFFIX)
    if _shipped(path) and not path.exists():
        raise Refusal(409, f"{name} is the name of a script that ships; choose another one")
    if path.exists():
        if not replaces:
            raise Refusal(409, f"there is a script {name} already; replace it, or choose another name")
        before: Path = path.with_name(f"{path.stem}{PREVIOUS}{SUFFIX}")
        paths.write_atomic(before, path.read_bytes())
    paths.write_atomic(path, text.encode())


def _shipped(path: Path) -> bool:
    return (folders()[0] / path.name).exists()
