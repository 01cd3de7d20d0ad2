"""The present patch's file, looked at while it plays: what is saved is swapped in, what is bad is said."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.control.reload_report import reloaded
from antiphon.errors import AntiphonError, PatchError
from antiphon.graph import patch as patches
from antiphon.session.nodes import FADE

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp

log = logging.getLogger("antiphon.control")
said = logging.getLogger("antiphon.said")
"""What is no trouble and is printed all the same."""
PERIOD = 0.03
"""Seconds between two looks; a file is taken once it has stood still from one to the next."""
Stamp = tuple[int, int, int]


async def watch(app: ControlApp) -> None:
    """For as long as the server runs. Built-in patches are looked at too: a checkout's are edited."""
    path, known, seen = "", None, None
    while True:
        await asyncio.sleep(PERIOD)
        if app.session.path != path:
            path, known, seen = app.session.path, None, None
        now = stamp(path)
        if now is not None and now != known and now == seen:
            known = now
            app.faults.attempt("the patch's file", partial(take_new, app, path))
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


def differs(app: ControlApp, path: str) -> bool:
    """Whether the file says something else than what was loaded last, good or bad."""
    try:
        text = patches.read_text(Path(path))
    except PatchError:
        return True  # whoever loads it says why
    return app.plans.patch is None or app.plans.patch.text != text


def take_new(app: ControlApp, path: str) -> None:
    if differs(app, path):
        take(app)


def take(app: ControlApp) -> None:
    """The file as it is now, if it is a patch; else the last good one plays on."""
    path, was, mended = app.session.path, app.plans.patch, app.plans.failed

    def plays() -> None:
        said.info("%s", reloaded(was, patch, Path(path).name, mended=mended))

    try:
        patch = app.plans.read_again()
        app.plans.load(patch, FADE, None, "", (), plays)
    except AntiphonError as error:
        app.plans.failed = True
        log.warning("%s", error)
        app.feedback.event("/patch/failed", str(error))
        app.happened("patch", name=app.session.name, reason=str(error))
    app.finish()
