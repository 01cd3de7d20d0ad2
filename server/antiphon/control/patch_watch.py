"""The present patch's file, looked at while it plays: what is saved is swapped in, what is bad is said."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import Protocol

from antiphon.control.faults import ControlFaults
from antiphon.control.osc.feedback import Feedback
from antiphon.control.plans import Plans
from antiphon.control.reload_report import reloaded
from antiphon.control.server_events import ServerEvents
from antiphon.control.turns import Turns
from antiphon.errors import AntiphonError, PatchError
from antiphon.graph import patch as patches
from antiphon.session.nodes import FADE
from antiphon.session.session import Session

log = logging.getLogger("antiphon.control")
said = logging.getLogger("antiphon.said")
"""What is no trouble and is printed all the same."""
PERIOD = 0.03
"""Seconds between two looks; a file is taken once it has stood still from one to the next."""
Stamp = tuple[int, int, int]


class WatchServer(Protocol):
    """What the watch uses of the server."""

    session: Session
    plans: Plans
    feedback: Feedback
    events: ServerEvents
    faults: ControlFaults
    turns: Turns


async def watch(server: WatchServer) -> None:
    """For as long as the server runs. Built-in patches are looked at too: a checkout's are edited."""
    path, known, seen = "", None, None
    while True:
        await asyncio.sleep(PERIOD)
        if server.session.path != path:
            path, known, seen = server.session.path, None, None
        now = stamp(path)
        if now is not None and now != known and now == seen:
            known = now
            server.faults.attempt("the patch's file", partial(take_new, server, path))
        seen = now


def stamp(path: str) -> Stamp | None:
    """What changes when a file is saved; None while it is not there (an editor may be putting another in its place)."""
    if not path:
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def differs(server: WatchServer, path: str) -> bool:
    """Whether the file says something else than what was loaded last, good or bad."""
    try:
        text = patches.read_text(Path(path))
    except PatchError:
        return True  # whoever loads it says why
    return server.plans.patch is None or server.plans.patch.text != text


def take_new(server: WatchServer, path: str) -> None:
    if differs(server, path):
        take(server)


def take(server: WatchServer) -> None:
    """The file as it is now, if it is a patch; else the last good one plays on."""
    path, was, mended = server.session.path, server.plans.patch, server.plans.failed

    def plays() -> None:
        said.info("%s", reloaded(was, patch, Path(path).name, mended=mended))

    try:
        patch = server.plans.read_again()
        server.plans.load(patch, FADE, None, "", (), plays)
    except AntiphonError as error:
        server.plans.failed = True
        log.warning("%s", error)
        server.feedback.event("/patch/failed", str(error))
        server.events.publish("patch", name=server.session.name, reason=str(error))
    server.turns.finish()
