"""Transport `link`: synchronises the server's clock with a Link session: tempo both ways, beat from the session.

A Link session has a tempo, and a beat phase within a quantum, common to all. With peers, the server's tempo is adjusted
so that its beat reaches the nearest point of that phase; without peers the session adopts tempo and beat of the server.
A tempo set by a performer here becomes the session's.
"""

import asyncio
import importlib
import importlib.util
import time
from typing import Any, Protocol

from antiphon.api import AntiphonError, UsageError
from antiphon.api.backends.runtime import ServeOption, say
from antiphon.api.backends.transports import (
    LEAP,
    Command,
    NudgeBeat,
    ServeSettings,
    SetTempo,
    Transport,
    TransportServer,
    same_tempo,
    steered_tempo,
)
from antiphon.api.jobs import spell

LOWEST = 20.0
"""Lowest tempo of a Link session, in beats per minute."""


class LinkLibrary:
    """Participant of a Link session. All times are ns of CLOCK_MONOTONIC."""

    def __init__(self, bpm: float) -> None:
        """Joins the session of this network, or starts one at `bpm`."""
        self._link: Any = importlib.import_module("link").Link(bpm)
        self._clock = self._link.clock()
        self._link.enabled = True

    def peers(self) -> int:
        """Number of other programs in the Link session."""
        return int(self._link.numPeers())

    def read(self, ns: int, quantum: float) -> tuple[float, float]:
        """Tempo in bpm, and beat at a time, with the session's phase within the quantum."""
        state = self._link.captureSessionState()
        return float(state.tempo()), float(state.beatAtTime(self._micros(ns), quantum))

    def set_tempo(self, bpm: float, ns: int) -> None:
        """Sets the session's tempo from a time on, for all participants."""
        state = self._link.captureSessionState()
        state.setTempo(bpm, self._micros(ns))
        self._link.commitSessionState(state)

    def set_beat(self, bpm: float, beat: float, ns: int, quantum: float) -> None:
        """Sets tempo and beat of a session without peers."""
        state = self._link.captureSessionState()
        at = self._micros(ns)
        state.setTempo(bpm, at)
        state.requestBeatAtTime(beat, at, quantum)
        self._link.commitSessionState(state)

    def close(self) -> None:
        """Leaves the session."""
        self._link.enabled = False

    def _micros(self, ns: int) -> int:
        """Time on Link's own clock, which differs from CLOCK_MONOTONIC on Linux."""
        return int(self._clock.micros()) + (ns - time.monotonic_ns()) // 1000


STEP = 0.05
"""Seconds between two synchronisation steps."""
QUANTUM = 4.0
"""Quantum in beats: a bar of four, as in most programs with Link."""
OUTPUT_LATENCY = 0.001
"""Output latency in seconds beyond a block, as for incoming notes: a beat sounds after its sample was computed."""
MAX_BEAT_ERROR = 0.002
"""Error in beats above which a session without peers is realigned to the server."""


class LinkBackend(Protocol):
    """Interface of a Link participant, as `library.LinkLibrary`."""

    def peers(self) -> int: ...
    def read(self, ns: int, quantum: float) -> tuple[float, float]: ...
    def set_tempo(self, bpm: float, ns: int) -> None: ...
    def set_beat(self, bpm: float, beat: float, ns: int, quantum: float) -> None: ...
    def close(self) -> None: ...


class LinkSession:
    """Server side of a Link session."""

    def __init__(self, server: TransportServer, backend: LinkBackend) -> None:
        self._server, self._backend = server, backend
        self._sent = 0.0
        self._asked = 0.0
        self._distance = 0.0
        self._peers = 0
        self._reason = ""
        self.leaps = 0

    def install(self) -> None:
        """Joins the session from the server's start on."""
        self._server.on_value(self._forward_tempo)
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

    def _forward_tempo(self, address: str, value: object) -> None:
        """Forwards a tempo set by a performer to the session."""
        if address == "/tempo" and isinstance(value, float) and not same_tempo(value, self._sent):
            if value < LOWEST:
                said = f"the session and the clock are at {LOWEST:g}, not {value:g}"
                say(f"Ableton Link has no tempo below {LOWEST:g}: {said}")
            self._asked = max(value, LOWEST)

    def step(self) -> None:
        """Compares and aligns the two clocks once."""
        server, backend = self._server, self._backend
        now = server.now_ns()
        sample = server.sample_at(now)
        _, bpm, playing = server.tempo()
        heard = now + round((server.block / server.rate + OUTPUT_LATENCY) * 1e9)
        self._peers = backend.peers()
        if self._asked:
            backend.set_tempo(self._asked, heard)
            self._sent, self._asked = self._asked, 0.0
        wanted, beat = backend.read(heard, QUANTUM)
        away = beat - server.beat_at(sample)
        away -= round(away / QUANTUM) * QUANTUM
        self._distance = away
        if self._peers and server.leader():
            # the session is pulled to the beat that a node of the patch leads, by the rule for the other way
            tempo = steered_tempo(bpm, -away)
            if not same_tempo(tempo, wanted):
                backend.set_tempo(tempo, heard)
                self._sent = tempo
        elif not self._peers:
            if playing and (abs(away) > MAX_BEAT_ERROR or not same_tempo(bpm, wanted)):
                backend.set_beat(bpm, server.beat_at(sample), heard, QUANTUM)
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


LINK = ServeOption("link", "Share tempo and beat by Ableton Link; needs the extra: antiphon[link].", default=False)


class LinkTransport(Transport):
    """`antiphon serve --link`."""

    options = (LINK,)

    def check(self, settings: ServeSettings) -> None:
        if settings.options.get("midi-clock") == "follow":
            raise UsageError(f"{spell('link')} and {spell('midi_clock')} follow exclude each other; both set the tempo")
        if importlib.util.find_spec("link") is None:
            raise UsageError(
                f"{spell('link')} needs the library LinkPython-extern, which is not installed because Ableton Link is "
                "GPL; install it with: pip install 'antiphon[link]'"
            )

    def start(self, server: TransportServer) -> None:

        LinkSession(server, LinkLibrary(server.tempo()[1])).install()
