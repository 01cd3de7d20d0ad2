"""Reloads the present patch after its file changed on disk, and reports an invalid file."""

import asyncio
import logging
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antiphon.kernel.contract.params import Value
from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.errors import AntiphonError, PatchError
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.runtime.shortening import shorten
from antiphon.kernel.session.graph_state import FADE

MAX_LISTED_CHANGES = 4
"""Maximum changes listed in a line; the others are counted."""


def reload_line(was: Patch | None, now: Patch, file: str, *, mended: bool) -> str:
    """Line on a reload, "reloaded demo.toml: echo.feedback 0.4"; `mended`: the previous version was invalid."""
    differences = list(changes(was, now)) if was is not None else []
    more = [f"and {len(differences) - MAX_LISTED_CHANGES} more"] if len(differences) > MAX_LISTED_CHANGES else []
    named = ", ".join([*differences[:MAX_LISTED_CHANGES], *more])
    return f"reloaded {file}{' after the error' if mended else ''}{': ' if named else ''}{named}"


def changes(was: Patch, now: Patch) -> Iterator[str]:
    """The differences in nodes, values, wires, tempo, scenes and MIDI, each in a few words."""
    before, after = _nodes(was.graph), _nodes(now.graph)
    yield from (f"{name} removed" for name in before if name not in after)
    for name, (kind, values) in after.items():
        if name not in before or before[name][0] != kind:
            yield f"{name} added" if name not in before else f"{name} is a {kind}"
            continue
        old = before[name][1]
        for key in {**values, **old}:
            if values.get(key) != old.get(key):
                yield f"{name}.{key} {_value_text(values[key])}" if key in values else f"{name}.{key} at its default"
    if set(was.graph.wires) != set(now.graph.wires):
        yield "wires"
    if was.tempo != now.tempo:
        yield f"tempo {now.tempo:g}"
    for what in ("scenes", "clips", "midi"):
        if getattr(was, what) != getattr(now, what):
            yield what
    yield from (name for name in {**was.tables, **now.tables} if was.tables.get(name) != now.tables.get(name))


def _nodes(graph: Graph) -> dict[str, tuple[str, dict[str, Value]]]:
    return {node.name: (node.type, dict(node.values)) for node in graph.nodes}


def _value_text(value: Value) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:g}"
    return shorten(str(value))


log = logging.getLogger("antiphon.control")
printed_log = logging.getLogger("antiphon.said")
"""Logger of lines that are printed although they are no warnings."""
PERIOD = 0.03
"""Interval in seconds between checks; a changed file is loaded when two successive checks agree."""
Stamp = tuple[int, int, int]
"""Modification time in ns, size in bytes, inode."""


def join(app: ControlApp, settings: ServeSettings, fds: Mapping[str, int]) -> None:
    """Lets control watch the patch's file; a function of `Companions.control`."""
    app.services.append(("patch", partial(watch, app)))


async def watch(server: OscServer) -> None:
    """Check of the patch's file every `PERIOD` seconds until cancelled; a built-in one may be edited too."""
    path, known, seen = "", None, None
    while True:
        await asyncio.sleep(PERIOD)
        if server.session.state.shown.path != path:
            path, known, seen = server.session.state.shown.path, None, None
        now = file_stamp(path)
        if now is not None and now != known and now == seen:
            known = now
            server.faults.attempt("the patch's file", partial(reload_if_changed, server, path))
        seen = now


def file_stamp(path: str) -> Stamp | None:
    """Time, size and inode of a file; None while it does not exist, for example while an editor replaces it."""
    if not path:
        return None
    try:
        # a Path would put its parts into the interpreter's table of strings, thirty times a second
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def is_changed(server: OscServer, path: str) -> bool:
    """True if the file's text differs from the loaded one, or cannot be read."""
    try:
        text = patches.read_text(Path(path))
    except PatchError:
        return True  # loading it reports the reason
    return server.session.state.shown.patch is None or server.session.state.shown.patch.text != text


def reload_if_changed(server: OscServer, path: str) -> None:
    """Loads the file if its text differs from the loaded one; reports an error that was corrected back to that text."""
    if is_changed(server, path):
        reload(server)
    elif server.plans.problem:
        server.plans.problem = ""
        printed_log.info("%s is without the error again, and as what plays", Path(path).name)
        server.events.publish("patch", name=server.session.state.shown.name)


def reload(server: OscServer) -> None:
    """Loads the file. An invalid one is reported, and the last valid patch continues to play."""
    path, previous, mended = (
        server.session.state.shown.path,
        server.session.state.shown.patch,
        bool(server.plans.problem),
    )

    def report() -> None:
        printed_log.info("%s", reload_line(previous, patch, Path(path).name, mended=mended))

    try:
        patch = server.plans.read_again()
        server.plans.load(patch, FADE, None, "", (), report)
    except AntiphonError as error:
        server.plans.problem = str(error)
        log.warning("%s", error)
        server.feedback.event("/patch/failed", str(error))
        server.events.publish("patch", name=server.session.state.shown.name, reason=str(error))
    server.turns.finish()
