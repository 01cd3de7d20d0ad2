"""Keeps the server's clock and a Link session together: the tempo either way, the beat by the session's.

A Link session has a tempo, and a beat whose place within a quantum is the same for all. Where others take part, the
server's tempo is steered so that its beat comes to the nearest such place; without others the session takes tempo and
beat of the server. A tempo that a performer sets here becomes the session's.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from antiphon.api import AntiphonError
from antiphon.api.backends.transports import (
    LEAP,
    Command,
    NudgeBeat,
    SetTempo,
    TransportServer,
    same_tempo,
    steered_tempo,
)

STEP = 0.05
"""Seconds between two looks."""
QUANTUM = 4.0
"""Beats: a bar of four, as most programs with Link have it."""
SLACK = 0.001
"""Seconds: as for notes that come in, a beat sounds a block and so much after its sample was computed."""
OFF = 0.002
"""Beats by which a session without others may be off the server before it is placed again."""


class LinkBackend(Protocol):
    """One participant of a Link session, as `library.LinkLibrary`."""

    def peers(self) -> int: ...
    def read(self, ns: int, quantum: float) -> tuple[float, float]: ...
    def set_tempo(self, bpm: float, ns: int) -> None: ...
    def place(self, bpm: float, beat: float, ns: int, quantum: float) -> None: ...
    def close(self) -> None: ...


class LinkSession:
    """The server's part in a Link session.

    Attributes:
        leaps: How often the server's clock was moved because it was too far from the session's.
    """

    def __init__(self, server: TransportServer, backend: LinkBackend) -> None:
        self._server, self._backend = server, backend
        self._sent = 0.0
        self._asked = 0.0
        self._distance = 0.0
        self._peers = 0
        self._reason = ""
        self.leaps = 0

    def install(self) -> None:
        """From the server's start on it takes part."""
        self._server.on_value(self._changed)
        self._server.status(self.status)
        self._server.service(self._serve)

    def status(self) -> dict[str, Any]:
        """The transport's part of `GET /api/status`."""
        bpm = self._server.tempo()[1]
        return {
            "peers": self._peers,
            "bpm": round(bpm, 3),
            "distance_ms": round(self._distance * 60000.0 / bpm, 3),
            "leaps": self.leaps,
            "reason": self._reason,
        }

    async def _serve(self) -> None:
        try:
            while True:
                self._server.attempt("Ableton Link", self.step)
                await asyncio.sleep(STEP)
        finally:
            self._backend.close()

    def _changed(self, address: str, value: object) -> None:
        """A tempo that was not set here is a performer's."""
        if address == "/tempo" and isinstance(value, float) and not same_tempo(value, self._sent):
            self._asked = value

    def step(self) -> None:
        """Compares the two clocks once."""
        server, backend = self._server, self._backend
        now = server.now_ns()
        sample = server.sample_at(now)
        _, bpm, playing = server.tempo()
        heard = now + round((server.block / server.rate + SLACK) * 1e9)
        self._peers = backend.peers()
        if self._asked:
            backend.set_tempo(self._asked, heard)
            self._sent, self._asked = self._asked, 0.0
        wanted, beat = backend.read(heard, QUANTUM)
        away = beat - server.beat_at(sample)
        away -= round(away / QUANTUM) * QUANTUM
        self._distance = away
        if not self._peers:
            if playing and (abs(away) > OFF or not same_tempo(bpm, wanted)):
                backend.place(bpm, server.beat_at(sample), heard, QUANTUM)
        elif not playing:
            self._set(wanted)
        elif abs(away) > LEAP:
            self.leaps += 1
            self._set(wanted)
            self._do(NudgeBeat(away))
        else:
            self._set(steered_tempo(wanted, away))

    def _set(self, bpm: float) -> None:
        if not (same_tempo(bpm, self._sent) and same_tempo(self._server.tempo()[1], bpm)):
            self._sent = bpm
            self._do(SetTempo(bpm))

    def _do(self, command: Command) -> None:
        try:
            self._server.command(command, "link")
            self._reason = ""
        except AntiphonError as error:
            self._reason = str(error)
