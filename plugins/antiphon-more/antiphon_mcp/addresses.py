"""The performer's switches for the co-performer, by OSC; kept in control, and in a file for the next start.

Each switch also works as a cue, `/cue mcp.off`, and so from a pad of the page or, by `/learn /cue mcp.off`, of a MIDI
controller. A new mode is announced as `/cue mcp.is.off`. A recorded session's log has every cue.
"""

import asyncio
import contextlib
import os
import threading
import time
from functools import partial
from pathlib import Path

from antiphon.api.backends.files import PRIVATE_FOLDER, library_folder, make_folder
from antiphon.api.backends.transports import AddressList, OscRequest, RequestError
from antiphon_mcp.desk import CUE, MODE_PREFIX, MODES, DeskMemory

EXPIRY_SECONDS = 120.0
"""Seconds after which a capture file is removed, also where its requester has gone: no rehearsal reads it longer."""
MAX_LOCKS, MAX_NAME = 64, 100
MODE_DOCS = {
    "on": "Lets the co-performer land what was rehearsed.",
    "off": "Switches the co-performer off: nothing is proposed, nothing lands, waiting changes are dropped.",
    "hold": "Lets the co-performer rehearse; nothing lands.",
    "ask": "Makes each change of the co-performer wait for /mcp/land.",
}
ACTS = {
    "veto": "Drops the waiting changes of the co-performer.",
    "undo": "Brings back what played before the co-performer's last change, within a beat.",
}

LAND_DOC = "Lands the waiting change of the co-performer, or the rehearsed one with that ID."


class PerformerSwitches:
    """OSC handlers of the switches. `mode`: one of `MODES`; `locked`: tracks that the co-performer may not change."""

    def __init__(self) -> None:
        self._memory = DeskMemory("switches")
        known = self._memory.read()
        self.mode: str = known.get("mode", MODES[0])
        self.locked: list[str] = known.get("locked", [])

    def add_to(self, osc: AddressList) -> None:
        """Registers the addresses, and removes files left by an earlier server."""
        # rehearsals beside a server make these lists too: what it has just written is not theirs to remove
        until = time.time() - EXPIRY_SECONDS
        threading.Thread(target=_sweep, args=(library_folder() / "captures", until), daemon=True).start()
        for mode in MODES:
            osc.add(f"/mcp/{mode}", "", partial(self._switch, mode), MODE_DOCS[mode], surfaces=True)
        for act, doc in ACTS.items():
            osc.add(f"/mcp/{act}", "", partial(_tell, act), doc, surfaces=True)
        osc.add("/mcp/land", "[s:id]", _land, LAND_DOC, surfaces=True)
        osc.add("/mcp/lock", "s:track", self._lock, "Locks a track or loop: no change of its notes lands.")
        osc.add("/mcp/unlock", "s:track", self._unlock, "Unlocks a track or loop.")
        osc.add(
            "/mcp/state", "", self._state, "Answers `/mcp/state.reply s:mode s:track…`, the tracks that are locked."
        )
        osc.add(
            "/mcp/hear",
            "i:bars [s:node]",
            hear,
            "Writes the last bars of a node, else of the output, into a file for `POST /api/mcp/hear`. Answers "
            "`/mcp/hear.reply s:file i:beats`.",
        )

    def _switch(self, mode: str, request: OscRequest) -> None:
        if mode != self.mode:
            self.mode = mode
            self._keep()
            _tell(
                f"{MODE_PREFIX}{mode}", request
            )  # not as a pad asks for it: an answer to that would come back for ever

    def _lock(self, request: OscRequest) -> None:
        name = str(request.args[0])
        if not name or len(name) > MAX_NAME or len(self.locked) >= MAX_LOCKS:
            raise RequestError(f"track is a name of at most {MAX_NAME} characters, and {MAX_LOCKS} can be locked")
        if name not in self.locked:
            self.locked.append(name)
            self._keep()
            _tell("locked", request, name)

    def _unlock(self, request: OscRequest) -> None:
        if str(request.args[0]) not in self.locked:
            raise RequestError(
                f"{str(request.args[0])[:40]!r} is not locked; there are {', '.join(self.locked) or 'none'}"
            )
        self.locked.remove(str(request.args[0]))
        self._keep()
        _tell("unlocked", request, str(request.args[0]))

    def _keep(self) -> None:
        self._memory.write(mode=self.mode, locked=self.locked)

    def _state(self, request: OscRequest) -> None:
        request.reply("/mcp/state.reply", self.mode, *self.locked)


async def hear(request: OscRequest) -> None:
    """Answers `/mcp/hear.reply s:file i:beats`: a new file among the captures, which the requester removes."""
    bars, node = (*request.args, "out")[:2]
    folder = make_folder(library_folder() / "captures", PRIVATE_FOLDER)
    path = folder / f".hear-{os.urandom(4).hex()}.wav"
    try:
        beats = await request.server.capture(path, str(node), int(bars))  # type: ignore[arg-type]
    finally:
        loop = asyncio.get_running_loop()
        loop.call_later(EXPIRY_SECONDS, loop.run_in_executor, None, _sweep, folder, time.time())
    request.reply("/mcp/hear.reply", str(path), beats)


def _sweep(folder: Path, until: float) -> None:
    """Removes capture files written before `until`: their requesters are gone."""
    for path in folder.glob(".hear-*.wav"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime <= until:
                path.unlink()


def _land(request: OscRequest) -> None:
    _tell("land", request, *map(str, request.args))


def _tell(act: str, request: OscRequest, *what: str) -> None:
    request.server.message("/cue", f"{CUE}{act}", *what, source=request.sender)
