"""Live script operations: run and stop, vocabulary, shipped and own scripts.

Evaluating or writing needs the owner's token, on loopback too: a page of another site, or another user of this machine,
does not know it. It is accepted from this machine only (`CodeGuard`).
"""

import asyncio
import contextlib
import errno
import importlib
import inspect
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from antiphon.jobs.job import StorageFull
from antiphon.jobs.live_sets import SUFFIX, folders, live_sets
from antiphon.kernel.errors import AntiphonError, FileError
from antiphon.kernel.graph.clips import library_names, locate_asset
from antiphon.kernel.graph.names import PREVIOUS
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.sound_formats import FORMATS
from antiphon.kernel.runtime.typed import parse_json
from antiphon.paste.translation import prepare, translation
from antiphon.web.access import CodeGuard
from antiphon.web.api import types
from antiphon.web.control_link import ControlLink
from antiphon.web.http_message import HttpRefusal, HttpRequest
from antiphon.web.messages import MAX_SCRIPT_BYTES
from antiphon.web.operations import TokenLevel, operation
from antiphon.web.performer_link import PerformerLink
from antiphon.web.protocol.websocket import WebSocket
from antiphon.web.server import HttpServer

# ---- Shared script editing: a Yjs document, whose state the server keeps.
#
# A page sends updates of the document in pieces, each after a byte that is 0 while more follow and 1 on the last, and
# JSON with its name and cursor. It gets the whole state, then each update and message of the others. A slow reader gets
# the whole state in place of its queue, which makes the same text.

MAX_EDITORS = 8
"""Maximum pages that edit together."""
MAX_NAME_LETTERS = 24
"""Maximum characters of a name."""
MAX_UPDATE, MAX_STATE = 1 << 18, 1 << 20
"""Maximum bytes of an update, and of the state, which stores deleted text in short form."""
SIZE_CHECK_BYTES = 1 << 16
"""Bytes of updates between two checks of the state's size."""
QUEUE = 256
"""Maximum queued messages of a page."""


@dataclass(slots=True, eq=False)
class EditingPage:
    """One editing page. `said`: its name and cursor, as sent to the others; "" before its first message."""

    number: int
    said: str = ""
    pieces: bytearray = field(default_factory=bytearray)
    queue: deque[str | bytes] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, message: str | bytes) -> None:
        """Queues a message."""
        self.queue.append(message)
        self.more.set()

    def take(self) -> Iterator[str | bytes]:
        """Removes and yields queued messages, oldest first."""
        while self.queue:
            yield self.queue.popleft()


class SharedText:
    """The document, kept after all pages have left, and its editing pages."""

    def __init__(self) -> None:
        self._document: Any = None
        self._people: list[EditingPage] = []
        self._last = self._grown = 0
        self._full = False

    def __len__(self) -> int:
        return len(self._people)

    async def serve(self, socket: WebSocket) -> None:
        """Serves one page until it disconnects."""
        crdt = await asyncio.to_thread(importlib.import_module, "pycrdt")  # only where it is used: 3 MB
        if len(self._people) >= MAX_EDITORS:
            socket.close(4029, f"{MAX_EDITORS} pages edit together already; one has to leave")
            return
        first = self._document is None
        if first:
            self._document, self._full = crdt.Doc(), False
        self._last += 1
        person = EditingPage(self._last)
        person.offer(json.dumps({"you": person.number, "first": first}))
        person.offer(self._document.get_update())
        for other in self._people:
            if other.said:
                person.offer(other.said)
        self._people.append(person)
        try:
            await socket.exchange(person.more, person.take, partial(self._handle, person))
        except AntiphonError as error:
            socket.close(4000, str(error)[:120])
        finally:
            self._people.remove(person)
            self._tell(person, json.dumps({"gone": person.number}))
            if self._full and not self._people:
                self._document = None

    def _handle(self, person: EditingPage, message: str | bytes) -> str:
        if isinstance(message, str):
            self._say(person, message)
            return ""
        person.pieces += message[1:]
        if len(person.pieces) > MAX_UPDATE:
            raise HttpRefusal(413, f"a change of the shared script has at most {MAX_UPDATE >> 10} KiB")
        if message[:1] != b"\0":
            update = bytes(person.pieces)
            person.pieces.clear()
            self._update(person, update)
        return ""

    def _update(self, person: EditingPage, update: bytes) -> None:
        self._grown += len(update)
        if self._grown > SIZE_CHECK_BYTES:
            self._grown, self._full = 0, len(self._document.get_update()) > MAX_STATE
        if self._full:
            raise HttpRefusal(413, "the shared script has become too large: all leave, then one shares it again")
        try:
            self._document.apply_update(update)
        except ValueError:
            raise HttpRefusal(400, "this is no update of a Yjs document") from None
        self._tell(person, update)

    def _say(self, person: EditingPage, text: str) -> None:
        try:
            said = parse_json(text)
            name, cursor = str(said["name"])[:MAX_NAME_LETTERS], [said["anchor"], said["head"]]
        except (ValueError, KeyError, TypeError):
            raise HttpRefusal(400, "a page says its name, anchor and head") from None
        person.said = json.dumps({"who": person.number, "name": name, "anchor": cursor[0], "head": cursor[1]})
        self._tell(person, person.said)

    def _tell(self, person: EditingPage, message: str | bytes) -> None:
        for other in self._people:
            if other is person:
                continue
            if len(other.queue) >= QUEUE:
                other.queue.clear()
                other.offer(self._document.get_update())
            other.offer(message)


# ---- Live script operations: run and stop, vocabulary, shipped and own scripts

_DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk."""
HEAD = "from antiphon.live import *\n\n"
"""First lines of example scripts."""
KIT = "kit"
"""Folder of the library that a sampler plays where it names none."""
SAMPLER = "sampler"
"""Type of nodes that play sounds by name."""


class LiveRoutes:
    """Handlers of live scripts."""

    def __init__(
        self, server: HttpServer, control: ControlLink, performer: PerformerLink, guard: CodeGuard | None = None
    ) -> None:
        """Adds no routes yet. `guard` decides who may store and evaluate; None for programs of this machine."""
        self._server, self._control, self._performer = server, control, performer
        self._guard = CodeGuard(performer.on) if guard is None else guard
        self._shared = SharedText()
        self._reading = asyncio.Lock()

    def add(self) -> None:
        """Adds the routes, and starts reading the performer's reports."""
        server, performer = self._server, self._performer
        server.serve(self)
        server.live = performer, self._guard
        performer.start()
        server.closing.append(performer.close)
        server.routes.add_websocket("/api/live/shared", self._shared.serve, partial(self._guard.check, evaluate=False))
        server.counts["live_dropped"] = lambda: performer.dropped

    @operation("GET", "/api/live", types.Live)
    async def state(self, request: HttpRequest) -> object:
        """Whether scripts are evaluated, what plays, and what failed."""
        reason = self._guard.reason(request)
        return {"on": not reason, "start": reason, **self._performer.state}

    @operation("GET", "/api/live/script", types.Script, level=TokenLevel.OWNER)
    async def script(self, request: HttpRequest) -> object:
        """The script that was run last."""
        if self._performer.script is None:
            raise HttpRefusal(404, "no page has run a script yet")
        return self._performer.script

    @operation("GET", "/api/live/words", types.Words)
    async def words(self, request: HttpRequest) -> object:
        """The words of live scripts."""
        async with self._reading:
            # the first answer imports all of the live language: in a thread, so that the loop's heartbeat goes on
            found = await asyncio.to_thread(words)
            await asyncio.to_thread(prepare)  # who reads them has an editor, and may paste
            return found

    @operation("GET", "/api/live/sounds", dict)
    async def sounds(self, request: HttpRequest) -> object:
        """The names of the sounds of each sampler of the patch."""
        found = {}
        for item in await self._control.nodes():
            if item.node.type == SAMPLER:
                # folders are read in a thread, so that a slow disk delays no other request
                found[item.node.name] = await asyncio.to_thread(sound_names, str(item.values.get("library", "")))
        return found

    @operation("GET", "/api/live/folders", dict)
    async def sound_folders(self, request: HttpRequest) -> object:
        """The names of the sounds of each folder of the library; "" is the shipped kit."""
        return await asyncio.to_thread(sounds_by_folder)

    @operation(
        "POST",
        "/api/live/eval",
        types.Version,
        202,
        example={"body": {"text": f'{HEAD}track("beat", "bd sd bd sd")\n', "version": 1}},
    )
    async def evaluate(self, request: HttpRequest, body: types.EvaluateBody) -> object:
        """With `serve --live`: perform a script from the next beat, or by `quantum` and `top`."""
        self._guard.check(request)
        _check_size(body.text)
        script = {"text": body.text, "version": body.version, "name": body.name, "by": body.by}
        self._performer.run(script, body.quantum, top=body.top)
        return {"version": body.version}

    @operation("POST", "/api/live/paste", types.Translated, example={"body": {"text": '$: s("bd*4")'}})
    async def paste(self, request: HttpRequest, body: types.PasteBody) -> object:
        """Translate a program of Strudel or Tidal into a live script, unevaluated."""
        _check_size(body.text)
        return await asyncio.to_thread(_translated, body.text)

    @operation("POST", "/api/live/stop", types.Stopped)
    async def stop(self, request: HttpRequest) -> object:
        """End the script that plays."""
        self._performer.stop()
        return {"stopped": True}

    @operation("POST", "/api/live/slider", types.Version, example={"body": {"version": 1, "place": 30, "value": 0.5}})
    async def slider(self, request: HttpRequest, body: types.SliderBody) -> object:
        """Move a slider of the script that plays: `slider(.5, 0, 1)` in its text."""
        self._performer.slide(body.version, body.place, body.value)
        return {"version": body.version}

    @operation("POST", "/api/live/tracks", types.Heard, example={"body": {"muted": ["beat"]}})
    async def tracks(self, request: HttpRequest, body: types.TracksBody) -> object:
        """Silence tracks and loops of the scripts that play."""
        self._performer.hear(body.muted, body.soloed)
        return body

    @operation("GET", "/api/live/sets", types.list_of(types.LiveSet))
    async def sets(self, request: HttpRequest) -> object:
        """The live scripts that ship, and those of the performer."""
        return sorted((await asyncio.to_thread(live_sets)).values(), key=lambda one: one.name.casefold())

    @operation("GET", "/api/live/sets/{name}", types.LiveSetText, example={"name": "bells"})
    async def set(self, request: HttpRequest, name: str) -> object:
        """One script."""
        return await asyncio.to_thread(_read, name)

    @operation(
        "PUT",
        "/api/live/sets/{name}",
        types.Saved,
        201,
        example={"name": "mine", "body": {"text": f'{HEAD}patch("band")\ntrack("beat", "bd sd bd sd")\n'}},
    )
    async def save(self, request: HttpRequest, name: str, body: types.SaveBody) -> object:
        """Save a script; one that is there only with `replace`."""
        self._guard.check(request, evaluate=False)
        _check_size(body.text)
        await asyncio.to_thread(_write, name, body.text, body.replace)
        if body.version:
            with contextlib.suppress(HttpRefusal):  # it is saved, whichever version plays
                self._performer.rename(body.version, name.encode("ascii", "replace").decode()[: types.MAX_NAME])
        return {"name": name, "own": True}


def _check_size(text: str) -> None:
    """Raises `HttpRefusal` for a script that is too long, or not valid UTF-8."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise HttpRefusal(400, "a script is text that UTF-8 can hold") from None
    if size > MAX_SCRIPT_BYTES:
        raise HttpRefusal(413, f"a script on the page has at most {MAX_SCRIPT_BYTES:,} bytes, not {size:,}; split it")


def _translated(text: str) -> dict[str, object]:
    made = translation(text)
    prepare()
    return {"text": made.text, "left_out": made.left_out}


def _read(name: str) -> dict[str, Any]:
    for own, folder in zip((True, False), reversed(folders()), strict=True):
        path = paths.path_inside(folder, name, SUFFIX)
        try:
            with path.open("rb") as file:
                content = file.read(MAX_SCRIPT_BYTES + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise FileError(f"cannot read {name}: {paths.os_error_text(error)}") from None
        if len(content) > MAX_SCRIPT_BYTES:
            raise HttpRefusal(413, f"{name} has over {MAX_SCRIPT_BYTES:,} bytes; play it by `antiphon live`")
        return {"name": name, "own": own, "text": content.decode("utf-8", "replace")}
    raise HttpRefusal(404, "there is no script of that name; GET /api/live/sets lists them")


def _write(name: str, text: str, replaces: bool) -> None:
    """Writes one of the performer's scripts; the previous version is kept under its name with the suffix `PREVIOUS`."""
    path = paths.path_inside(paths.scripts(), name, SUFFIX)
    if (folders()[0] / path.name).exists() and not path.exists():
        raise HttpRefusal(409, f"{name} is the name of a script that ships; choose another one")
    if path.exists() and not replaces:
        raise HttpRefusal(409, f"there is a script {name} already; replace it, or choose another name")
    written = paths.temporary_beside(path)
    try:
        paths.write_atomic(written, text.encode())
        if path.exists():
            path.replace(path.with_name(f"{path.stem}{PREVIOUS}{SUFFIX}"))
        written.replace(path)
    except (FileError, OSError) as error:
        # the path is not for the client
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        fault = StorageFull if cause.errno in _DISK_FULL_ERRORS else FileError
        raise fault(f"the script could not be written: {paths.os_error_text(cause)}; nothing was changed") from None


MAX_SOUNDS = 4000
"""Maximum names of one folder."""
_MODULE = re.compile(r"\b(?:antiphon|collections|fractions|typing|types)(?:\.\w+)*\.")
_CLASSES = frozenset({"ControlPattern", "LiveNode", "NodeNote", "Pattern", "Scale"})


@cache
def words() -> dict[str, Any]:
    """Words as JSON data: each with its name, signature and docstring.

    Returns `words`, the methods of patterns (`changes`) and of nodes (`nodes`), the names of `scales` and `chords`, and
    all words by chapter with an example (`reference`, as `antiphon words` prints them).
    """
    from antiphon import live  # when an editor asks first: a web process without one needs none of it
    from antiphon.live.reference import CHAPTERS, entries
    from antiphon.signal.harmony import CHORDS, SCALES

    def methods(kind: type) -> list[dict[str, str]]:
        members = inspect.getmembers(kind, callable)
        return [_word(name, value, method=True) for name, value in members if not name.startswith("_")]

    return {
        "words": [_word(name, getattr(live, name)) for name in live.__all__ if name not in _CLASSES],
        "changes": methods(live.ControlPattern),
        "nodes": methods(live.LiveNode),
        "scales": sorted(SCALES),
        "chords": sorted(CHORDS),
        "reference": [one.plain() for group in CHAPTERS for one in entries() if one.group == group],
    }


def _word(name: str, value: Any, *, method: bool = False) -> dict[str, str]:
    if not callable(value):
        return {"name": name, "signature": "", "doc": _variable(name) or _signals().get(name, "A signal.")}
    try:
        given = inspect.signature(value)
    except (TypeError, ValueError):
        return {"name": name, "signature": "", "doc": inspect.getdoc(value) or ""}
    kept = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in given.parameters.values()]
    shown = given.replace(
        # of a method without its pattern, which is `self` or, of a word of the table, `p`
        parameters=kept[1:] if method and inspect.isfunction(value) else kept,
        return_annotation=inspect.Signature.empty,
    )
    return {"name": name, "signature": _MODULE.sub("", str(shown)), "doc": inspect.getdoc(value) or ""}


def _signals() -> dict[str, str]:
    from antiphon.live.reference import entries

    return {entry.names[0]: entry.doc for entry in entries() if entry.group == "signals"}


def _variable(name: str) -> str:
    """Docstring below a signal's assignment, which Python does not keep with the value."""
    from antiphon.live.patterns import pattern, signals

    source = inspect.getsource(signals) + inspect.getsource(pattern)
    found = re.search(rf'^{re.escape(name)}\b[^\n]*\n"""(.*?)"""', source, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def sounds_by_folder() -> dict[str, list[str]]:
    """Sound names, sorted, of the library's folders and the shipped ones, by folder, without empty folders."""
    found = {"": sound_names("")}
    for name in sorted({*library_names(), *(entry.name for entry in resources.folder("library").iterdir())} - {KIT}):
        if names := sound_names(name):
            found[name] = names
    return found


def sound_names(library: str) -> list[str]:
    """Sorted sound names of a sampler's folder, "" for the shipped kit; empty if it cannot be read."""
    try:
        folder = Path(locate_asset(library or KIT))
        names = {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
        names |= {entry.stem for entry in folder.iterdir() if entry.suffix.lower() in FORMATS and entry.is_file()}
    except (OSError, AntiphonError):
        return []
    return sorted(names)[:MAX_SOUNDS]
