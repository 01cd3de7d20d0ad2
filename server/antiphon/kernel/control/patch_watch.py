"""Reloads the present patch after its file changed on disk, and reports an invalid file."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from pathlib import Path

from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.control.patches.reload_report import reload_line
from antiphon.kernel.errors import AntiphonError, PatchError
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.session.graph_state import FADE

log = logging.getLogger("antiphon.control")
printed_log = logging.getLogger("antiphon.said")
"""Logger of lines that are printed although they are no warnings."""
PERIOD = 0.03
"""Seconds between two checks; a changed file is loaded once two successive ones agree."""
Stamp = tuple[int, int, int]
"""Modification time in ns, size in bytes, inode."""


async def watch(server: OscServer) -> None:
    """Checks the file every `PERIOD` seconds until it is cancelled.

    Built-in patches are checked too, for those of a checkout may be edited.
    """
    path, known, seen = "", None, None
    while True:
        await asyncio.sleep(PERIOD)
        if server.session.state.path != path:
            path, known, seen = server.session.state.path, None, None
        now = stamp(path)
        if now is not None and now != known and now == seen:
            known = now
            server.faults.attempt("the patch's file", partial(reload_if_changed, server, path))
        seen = now


def stamp(path: str) -> Stamp | None:
    """Time, size and inode of a file; None while it does not exist, as when an editor replaces it."""
    if not path:
        return None
    try:
        # a Path would put its parts into the interpreter's table of strings, thirty times a second
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def differs(server: OscServer, path: str) -> bool:
    """True if the file's text differs from the loaded one, or cannot be read."""
    try:
        text = patches.read_text(Path(path))
    except PatchError:
        return True  # loading it reports the reason
    return server.plans.patch is None or server.plans.patch.text != text


def reload_if_changed(server: OscServer, path: str) -> None:
    """Loads the file if its text differs from the loaded one; reports an error corrected back to that text."""
    if differs(server, path):
        reload(server)
    elif server.plans.failed:
        server.plans.failed = False
        printed_log.info("%s is without the error again, and as what plays", Path(path).name)
        server.events.publish("patch", name=server.session.state.name)


def reload(server: OscServer) -> None:
    """Loads the file; an invalid one is reported, and the last valid patch continues to play."""
    path, previous, mended = server.session.state.path, server.plans.patch, server.plans.failed

    def report() -> None:
        printed_log.info("%s", reload_line(previous, patch, Path(path).name, mended=mended))

    try:
        patch = server.plans.read_again()
        server.plans.load(patch, FADE, None, "", (), report)
    except AntiphonError as error:
        server.plans.failed = True
        log.warning("%s", error)
        server.feedback.event("/patch/failed", str(error))
        server.events.publish("patch", name=server.session.state.name, reason=str(error))
    server.turns.finish()
