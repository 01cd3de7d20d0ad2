"""Entry point of the performer, started by the supervisor with `--live` when a page first runs a script."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from antiphon.kernel.errors import EngineError, WireError
from antiphon.kernel.io.log_lines import log_lines
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.processes.child_process import unblock_signals
from antiphon.kernel.runtime.shortening import escape_unprintable
from antiphon.performer.branch import reap_closed
from antiphon.performer.outgoing import SentEvent
from antiphon.performer.performing import Performing
from antiphon.performer.scripts import Begin, Version
from antiphon.web.messages import MAX_MESSAGE_BYTES, MAX_STEPS, pack, unpack

# ---- Scripts that browsers and OSC send

NAME = "page.py"
"""Script name in its own errors; pages show the line alone."""
IDLE = 1000
"""Signal check interval in milliseconds while idle."""
MAX_RUNS = 4
"""Maximum versions with known names."""
_NAMED = re.compile(r"page\.py:? ")
_SENTENCE = re.compile(r"page\.py(?: line (\d+))?: (.*)", re.DOTALL)


class _Lighting(Performing):
    """Performance that collects the highlights of its events.

    `steps`: for events sent since the last read: beat, length in beats, places, track or loop.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        self.steps: dict[tuple[float, str], tuple[float, float, list[int], str]] = {}
        self.dropped = 0  # steps over `MAX_STEPS`
        super().__init__(*given, **options)

    def _send(self, event: SentEvent) -> None:
        super()._send(event)
        if event.lit is None:
            return
        length, places = event.lit
        key = event.beat, str(places)  # the notes of a chord are one step
        if key in self.steps or len(self.steps) < MAX_STEPS:
            self.steps[key] = event.beat, length, [number for place in places for number in place], event.source
        else:
            self.dropped += 1


class PagePerformer:
    """Performs scripts received on a socket. `ending`: set to end `run`."""

    def __init__(self, sock: socket.socket, folder: Path, osc_port: int) -> None:
        sock.setblocking(False)
        self._sock, self._path, self._osc_port = sock, str(folder / NAME), osc_port
        self._performing: _Lighting | None = None
        self._next: Version | None = None
        self._runs: dict[int, dict[str, Any]] = {}
        self._fault: dict[str, Any] | None = None
        self._new: list[dict[str, Any]] = []
        self._told: tuple[int, dict[str, Any]] | None = None
        self._foretold: list[Any] = []
        self._heard: dict[str, frozenset[str]] = {"muted": frozenset(), "soloed": frozenset()}
        self._ended = False
        self.ending = False

    def run(self) -> None:
        """Performs until `ending` is set, or the socket is closed."""
        try:
            while not (self.ending or self._ended):
                self.turn()
        finally:
            self._end()

    def turn(self) -> None:
        """Waits briefly, then runs one step."""
        if self._performing is None:
            poll = select.poll()
            poll.register(self._sock, select.POLLIN)
            poll.poll(IDLE)
            reap_closed()
        self._receive()
        if self._performing is None and self._next is not None:
            self._performing = _Lighting(self._path, self._show, osc_port=self._osc_port, serve=None, source=self)
        if self._performing is not None:
            out = self._performing.player.out
            out.muted, out.soloed = self._heard["muted"], self._heard["soloed"]
            self._perform(self._performing)
        self._report()

    def look(self, now: float) -> Version | None:
        """Version that a page has sent since the last call; see `ScriptSource`."""
        version, self._next = self._next, None
        return version

    def _perform(self, performing: _Lighting) -> None:
        player = performing.player
        waited = player.reading or self._next is not None
        try:
            performing.turn()
        except EngineError as error:
            self._show(str(error), fault=True)
            self._end()
            waited = True
        # what failed while it was read is the version that was run last; else it is the one that plays
        read = waited and not player.reading and player.version != player.tried
        if waited and not player.reading and not read:  # it was taken: what failed before it was is no fault of it
            self._fault = None
            self._new = [fault for fault in self._new if fault["version"] == player.version]
        for fault in self._new:
            self._fault = {**fault, "version": player.tried} if read else fault
        self._new = []

    def _end(self) -> None:
        if self._performing is not None:
            self._performing.end()
        self._performing = None

    # ---- to and from web

    def _receive(self) -> None:
        while not self._ended:
            try:
                data = self._sock.recv(2 * MAX_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._ended = True
                return
            with contextlib.suppress(WireError, KeyError, TypeError, ValueError):
                self._answer(unpack(data))

    def _answer(self, message: dict[str, Any]) -> None:
        match message["do"]:
            case "run":
                version = int(message["version"])
                self._runs[version] = {one: str(message[one]) for one in ("name", "by", "text")}
                how = {one: bool(message.get(one)) for one in ("top", "keep", "back")}
                begin = Begin(float(message.get("quantum", 0.0)), **how)
                self._next, self._fault = Version(str(message["text"]), version, begin), None
                playing = 0 if self._performing is None else self._performing.player.version
                for old in [number for number in self._runs if number not in (playing, version)][: -MAX_RUNS + 2]:
                    del self._runs[old]
            case "rename" if (version := int(message["version"])) in self._runs:
                self._runs[version]["name"] = str(message["name"])
            case "tracks":
                self._heard = {one: frozenset(map(str, message[one])) for one in ("muted", "soloed")}
            case "slide" if self._performing is not None:
                place = int(message["version"]), int(message["place"])
                self._performing.player.slide(*place, float(message["value"]))
            case "stop":
                self._end()
                self._next = self._fault = None
            case "state":  # of a web process that knows nothing yet
                self._told = None
                version = 0 if self._performing is None else self._performing.player.version
                if version in self._runs:
                    self._tell({"script": {"version": version, **self._runs[version]}})

    def _state(self) -> dict[str, Any]:
        player = None if self._performing is None else self._performing.player
        version = 0 if player is None else player.version
        tried = version if player is None else player.tried
        run = self._runs.get(version, {})
        return {
            "playing": player is not None and player.playing,
            "reading": self._next is not None or (player is not None and player.reading),
            "silent": player is not None and player.out.silent,
            "version": version,
            "tried": tried,
            "begins": 0.0 if player is None else player.begins,
            "origin": 0.0 if player is None else float(player.out.offset or 0),
            **{one: run.get(one, "") for one in ("name", "by")},
            "fault": self._fault,
            "tracks": [] if player is None or not version else [list(one) for one in player.tracks],
            **{name: sorted(names) for name, names in self._heard.items()},
        }

    def _report(self) -> None:
        state = self._state()
        performing = self._performing
        port = 0 if performing is None else performing.wire.own_port
        if (port, state) != self._told and self._tell({"state": state, "port": port}):
            self._told = port, state
        coming = [] if performing is None else performing.player.coming
        if coming != self._foretold and self._tell({"coming": coming}):
            self._foretold = coming
        if performing is not None and performing.steps:
            steps, performing.steps = list(performing.steps.values()), {}
            dropped, performing.dropped = performing.dropped, 0
            if not self._tell({"steps": steps, "dropped": dropped}):
                performing.dropped += dropped + len(steps)

    def _tell(self, message: dict[str, Any]) -> bool:
        try:
            self._sock.send(pack(message))
        except (OSError, WireError):
            return False  # full: web is being started again
        return True

    def _show(self, sentence: str, picture: str = "", *, fault: bool = False) -> None:
        if not fault:
            self._tell({"said": _NAMED.sub("", sentence)})
            return
        found = _SENTENCE.fullmatch(sentence)
        line, text = (int(found[1] or 0), found[2]) if found else (0, sentence)
        version = 0 if self._performing is None else self._performing.player.version
        self._new.append({"line": line, "sentence": escape_unprintable(text), "picture": picture, "version": version})


def main(argument: str) -> int:
    """Performs until SIGTERM, or until web and supervisor have closed the socket.

    `argument`: JSON from the supervisor, with osc_port and scripts (a descriptor).
    """
    given = json.loads(argument)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    log_lines()
    performer = PagePerformer(socket.socket(fileno=given["scripts"]), paths.scripts(), given["osc_port"])

    def end(_number: int, _frame: object) -> None:
        performer.ending = True

    signal.signal(signal.SIGTERM, end)
    unblock_signals()
    performer.run()
    return 0


if __name__ == "__main__":
    status = main(sys.stdin.read())
    sys.stdout.flush()
    os._exit(status)
