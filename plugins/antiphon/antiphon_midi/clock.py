"""MIDI clock: the server's clock follows it, or with `--midi-clock` sends it.

Following: `TickLoop` computes the clock's tempo and position from the times of its ticks. The server's clock is steered
by its tempo, which differs from the measured one in proportion to the remaining error, so that no beat is repeated or
left out. It jumps only if the MIDI clock starts, continues or jumps, and once at the end of the first beat. While a
node of the patch leads the server's clock, the MIDI clock is not followed, and the status says so. A beat coincides
with a note that arrives with its tick: a constant block and `SLACK` later.

Sending: 24 ticks a beat, start, stop, continue and song position. A tick belongs to a sample of the engine's clock. It
is sent a block and `SLACK` after that sample is computed, when its sound leaves the sound card at the earliest: with
the latency of an incoming note. If the backend supports timestamps (JACK), ticks are queued up to `SEND_AHEAD` before
with their times, so that a busy process delays none; otherwise a timer of this process sends each.
"""

import asyncio
import contextlib
import logging
import math
from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.backends.transports import (
    LEAP,
    Command,
    EngineEffect,
    Now,
    NudgeBeat,
    Sample,
    SetTempo,
    SetTransport,
    TransportServer,
    same_tempo,
    steered_tempo,
)
from antiphon_midi import messages as midi
from antiphon_midi.ports import MIDI_CLOCK, Ports
from antiphon_midi.ticks import PPQN, TickLoop

log = logging.getLogger("antiphon.control")

SLACK = 0.001
"""Time in seconds for this process to forward a note or a beat."""
SIXTEENTH = PPQN // 4
"""Ticks of a unit of the song position pointer, by the MIDI 1.0 specification."""
FIRST = 6
"""Number of ticks before the tempo is first set."""
CORRECTION_INTERVAL = 0.1
"""Minimum seconds between two corrections."""
MAX_NUDGE = 16.0
"""Range of `NudgeBeat` in beats."""
SILENT, SILENT_TICKS = 0.5, 6
"""Silence after which a clock counts as stopped: both this many seconds, and the duration of this many ticks."""


class MidiClock:
    """The MIDI clock of a server that neither follows nor sends one; subclasses do."""

    def install(self) -> None:
        """Starts the clock with the server."""

    def status(self) -> dict[str, Any] | None:
        """The clock's part of `midi` in `GET /api/status`; None unless a clock is followed or led."""
        return None

    def message(self, message: midi.Short, port: str, ns: int) -> None:
        """Handles a clock message received from a port at `ns`, within a turn of the server; ignores any other."""

    def lose_port(self, port: str) -> None:
        """Handles a port that was closed or has stopped ticking: the tempo stays."""

    def look(self) -> None:
        """Detects a stopped clock."""

    def close(self) -> None:
        """Sends a stop to the following devices."""


def midi_clock(server: TransportServer, ports: Ports) -> MidiClock:
    """The clock that the settings ask for."""
    match server.settings.value(MIDI_CLOCK):
        case "follow":
            return ClockFollower(server)
        case "lead":
            return ClockLeader(server, ports)
    return MidiClock()


class ClockFollower(MidiClock):
    """Follows one clock, of the port that ticked first; another port's after that one has stopped."""

    def __init__(self, server: TransportServer) -> None:
        self._server = server
        self.port = ""  # the port whose clock is followed, "" before the first tick
        self.leaps = 0  # how often the server's clock was moved because it was too far from the MIDI clock
        self._loop = TickLoop()
        self._last_ns = 0
        self._next_ns = 0
        self._present = False
        self._settled = False
        self._block = 0
        self._armed: int | None = None
        self._first: int | None = None
        self._place = 0
        self._tempo = 0.0
        self._distance = 0.0
        self._reason = ""

    def status(self) -> dict[str, Any]:
        loop = self._loop
        state, summary = self._state()
        return {
            "mode": "follow",
            "port": self.port,
            "state": state,
            "summary": summary,
            "bpm": round(loop.bpm, 3),
            "jitter_ms": round(loop.jitter * 1000.0, 3),
            "distance_ms": round(self._distance * 60000.0 / loop.bpm, 3) if loop.bpm else 0.0,
            "ticks": loop.count + 1,
            "lost": loop.lost,
            "leaps": self.leaps,
        }

    def _state(self) -> tuple[str, str]:
        """The state by name, and as a sentence."""
        if not self.port:
            return "waiting", "no MIDI clock has come"
        clock = f"the MIDI clock of {self.port}"
        if not self._present:
            tempo = self._tempo or self._server.tempo()[1]
            return "stopped", f"{clock} has stopped; the tempo stays at {tempo:.2f}"
        if self._reason:
            return "refused", f"{clock} is not followed: {self._reason}"
        return "following", f"{self._loop.bpm:.2f} bpm, by {clock}"

    def message(self, message: midi.Short, port: str, ns: int) -> None:
        ns = ns or self._server.now_ns()
        if message.kind not in midi.CLOCK or (port != self.port and not self._adopt(port)):
            return
        match message.kind:
            case midi.TICK:
                self._tick(ns)
            case midi.START:
                self._place = self._armed = 0
            case midi.CONTINUE:
                self._armed = self._place
            case midi.STOP:
                self._stop(ns)
            case midi.POSITION:
                self._place = (message.a | message.b << 7) * SIXTEENTH
                if self._first is not None:
                    self._armed = self._place

    def look(self) -> None:
        silent = (self._server.now_ns() - self._last_ns) / 1e9
        if self._present and silent > max(SILENT, SILENT_TICKS * self._loop.period):
            self.lose_port(self.port)

    def lose_port(self, port: str) -> None:
        if port == self.port and self._present:
            self._present = False
            log.warning("%s", self._state()[1])

    def _adopt(self, port: str) -> bool:
        """Starts following the port's clock; returns False while another port's clock is followed."""
        if self._present:
            return False
        self.port, self._loop = port, TickLoop()
        self._armed = self._first = None
        self._place = 0
        self._settled, self._reason = False, ""
        return True

    def _tick(self, ns: int) -> None:
        loop = self._loop
        expected = loop.tick(ns)
        self._last_ns = ns
        if not self._present:
            self._present = True
            log.info("following the MIDI clock of %s", self.port)
        if self._armed is not None:
            if not expected:
                loop.anchor(ns)
            self._first, self._armed = self._armed - loop.count, None
            self._move(True)
        if loop.used >= FIRST and ns >= self._next_ns:
            self._next_ns = ns + round(CORRECTION_INTERVAL * 1e9)
            self._steer()

    def _stop(self, ns: int) -> None:
        if self._first is not None:
            self._place = self._loop.count + 1 + self._first
        self._first = self._armed = None
        self._do(SetTransport(False, None, Sample(round(self._sample(ns)))))

    def _lag(self) -> float:
        """Latency from a tick to its beat, in samples."""
        self._block = self._block or self._server.block
        return self._block + SLACK * self._server.rate

    def _sample(self, ns: int) -> float:
        """Sample on which the beat of a tick received at `ns` falls."""
        return self._server.sample_at(ns) + self._lag()

    def _ticks(self, sample: float) -> float:
        """Tick count of the clock, from its first, whose beat falls on a sample."""
        server = self._server
        now = server.now_ns()
        ahead = sample - self._lag() - server.sample_at(now)
        return self._loop.ticks_at(now + round(ahead * 1e9 / server.rate))

    def _move(self, playing: bool | None) -> None:
        """Moves the server's clock to the MIDI clock's position, at the last tick if there is time."""
        assert self._first is not None
        loop, server = self._loop, self._server
        at = self._sample(loop.ns_of(loop.count))
        beat = loop.count + self._first
        soonest = server.sample_at(server.now_ns()) + self._block
        sample = max(round(at), round(soonest))
        place = beat + (sample - at) / (loop.period * server.rate) if loop.period > 0.0 else float(beat)
        self._do(SetTransport(playing, place / PPQN, Sample(sample)))

    def _steer(self) -> None:
        loop, server = self._loop, self._server
        if leader := server.leader():
            self._refuse(f"{leader} leads the clock; send /node/{leader}/on 0 first")
            return
        now = server.sample_at(server.now_ns())
        _, _, playing = server.tempo()
        bpm = loop.bpm
        if playing:
            ticks = self._ticks(now) - PPQN * server.beat_at(now) + (self._first or 0)
            if self._first is None:
                # no start said which beat it is: the nearest tick will do
                ticks -= round(ticks)
            self._distance = away = ticks / PPQN
            if not self._settled:
                if loop.used >= PPQN:
                    self._settled = True
                    self._do(NudgeBeat(max(-MAX_NUDGE, min(MAX_NUDGE, away))))
            elif abs(away) > LEAP:
                self.leaps += 1
                self._move(None)
            else:
                bpm = steered_tempo(bpm, away)
        if same_tempo(bpm, self._tempo) and same_tempo(server.tempo()[1], self._tempo) and not self._reason:
            return
        if self._do(SetTempo(bpm)):
            self._tempo = bpm

    def _do(self, command: Command) -> bool:
        """Executes a command; the status shows why a command was refused."""
        try:
            self._server.do(command, f"midi:{self.port}")
        except AntiphonError as error:
            self._refuse(str(error))
            return False
        if isinstance(command, SetTempo):
            self._reason = ""
        return True

    def _refuse(self, reason: str) -> None:
        """Reports once why the clock is not followed."""
        if not self._reason:
            log.warning("the MIDI clock of %s is not followed: %s", self.port, reason)
        self._reason = reason


SEND_AHEAD = 0.05
"""Seconds a tick is queued ahead of its time; also the maximum delay of a tempo change."""
TURN = 0.02
"""Maximum seconds between two readings of the server's clock."""
WATCH, WATCHED = 0.002, 0.1
"""Seconds between two readings, and for how long, after the server was asked to start, stop or move the clock."""
JUMP_SECONDS = 0.08
"""Error in seconds of the next tick above which the server's clock has jumped, and a song position is sent."""
MAX_LAG = 0.5
"""Lag in seconds beyond which ticks are skipped, and a song position is sent instead."""
MIN_TICK_DISTANCE = 0.25
"""Minimum distance of two ticks, relative to their period."""
LATE = 0.001
"""Delay in seconds from which a tick counts as late."""
_TICK, _START, _CONTINUE, _STOP = (bytes((kind,)) for kind in (midi.TICK, midi.START, midi.CONTINUE, midi.STOP))


class ClockLeader(MidiClock):
    """Sends one clock to all outputs. Ticks continue while the beat is stopped, so that devices know the tempo."""

    def __init__(self, server: TransportServer, ports: Ports) -> None:
        self._server, self._ports = server, ports
        self.ticks = self.late = self.leaps = 0  # ticks sent more than `LATE` after their time
        self._tick: int | None = None
        self._last, self._placed = 0, 0.0  # when the last tick was sent, and when it was due
        self._known: set[str] = set()
        self._joining: set[str] = set()
        self._placed_at: dict[str, int] = {}  # sixteenth that an output was sent to while the beat stands
        self._stood: float | None = None  # beat of the clock while it stands
        self._block = 0
        self._moved, self._watched = asyncio.Event(), 0.0

    def install(self) -> None:
        self._server.service(self.run)
        self._server.on_effect(self.effect)

    def status(self) -> dict[str, Any]:
        count, bpm = len(self._known), self._server.tempo()[1]
        summary = f"{bpm:.2f} bpm, to {count} MIDI output{'s' * (count != 1)}" if count else "no MIDI output is open"
        return {
            "mode": "lead",
            "state": "waiting" if not count else "stopped" if self._tick is None else "running",
            "summary": summary,
            "bpm": round(bpm, 3),
            "ticks": self.ticks,
            "late": self.late,
            "leaps": self.leaps,
            "dated": self._ports.dated,
        }

    async def run(self) -> None:
        """Sends ticks until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            delay = self.step()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(delay, WATCH) if loop.time() < self._watched else delay):
                    await self._moved.wait()
            self._moved.clear()

    def effect(self, effect: EngineEffect) -> None:
        """Reads the server's clock often while a start, stop or move takes effect."""
        if isinstance(effect, SetTransport) and isinstance(effect.when, Now):
            self._watched = asyncio.get_running_loop().time() + WATCHED
            self._moved.set()

    def step(self) -> float:
        """Sends due ticks, or queues upcoming ones with timestamps; returns the seconds to the next call."""
        server, ports = self._server, self._ports
        here = set(ports.outputs)
        if self._tick is not None:
            self._joining |= here - self._known
        self._joining &= here
        self._known = here
        now = server.now_ns()
        if not here:
            self._tick, self._last = None, 0
            return TURN
        beat, bpm, playing = server.tempo()
        period = 60e9 / (PPQN * bpm)
        place = PPQN * server.beat_at(server.sample_at(now)) - self._lag() / period
        self._transport(playing, place, period, now)
        self._stand(None if playing else beat, max(self._last, now))
        reach = now + (SEND_AHEAD * 1e9 if ports.dated else 0.0)
        due = self._due(place, period, now)
        while due <= reach:
            self._placed = self._place_ns(place, period, now)
            self._send_tick(max(round(due), now), self._placed < now - LATE * 1e9)
            due = self._due(place, period, now)
        return TURN if ports.dated else min(TURN, max(0.0, (due - server.now_ns()) / 1e9))

    def close(self) -> None:
        if self._tick is not None:
            self._tick = None
            self._send(_STOP, 0)

    def _lag(self) -> float:
        """Latency in ns from a sample to its tick."""
        self._block = self._block or self._server.block
        return (self._block / self._server.rate + SLACK) * 1e9

    def _transport(self, playing: bool, place: float, period: float, now: int) -> None:
        """Starts, stops or moves the devices with the server's clock, which is at `place`, in ticks."""
        if self._tick is not None:
            if not playing:
                if abs(place - self._tick) > SIXTEENTH:  # stopped at another beat
                    self._stood = self._tick / PPQN
                self._tick = None
                self._send(_STOP, max(self._last, now))
                return
            due = self._place_ns(place, period, now)
            if abs(due - self._placed - period) > max(JUMP_SECONDS * 1e9, 2.0 * period) or due < now - MAX_LAG * 1e9:
                self.leaps += 1
                self._send(_STOP, max(self._last, now))
                self._begin(place, period, now)
        elif playing:
            self._begin(place, period, now)

    def _begin(self, place: float, period: float, now: int) -> None:
        # a beginning is noticed a moment after it; the tick of its sixteenth is sent late rather than not
        sixteenth = math.floor(place / SIXTEENTH) * SIXTEENTH
        noticed = max(1.0, TURN * 1e9 / period)
        self._tick = sixteenth if place - sixteenth < noticed else math.ceil(place)
        self._placed = self._place_ns(place, period, now) - period
        self._joining = set(self._known)

    def _stand(self, beat: float | None, ns: int) -> None:
        """Sends a song position where a clock that stands is set to another beat. `beat`: None while it runs."""
        if beat is not None and beat >= 0.0 and self._stood not in (None, beat):
            sixteenth = math.ceil(beat * PPQN / SIXTEENTH - 1e-9)
            for name in sorted(self._known):
                self._send(midi.encode_position(sixteenth), ns, name)
                self._placed_at[name] = sixteenth
        self._stood = beat

    def _place_ns(self, place: float, period: float, now: int) -> float:
        """Time of the next tick by the server's clock, which is now at `place`."""
        if self._tick is None:
            return self._last + period if self._last else now
        return now + (self._tick - place) * period

    def _due(self, place: float, period: float, now: int) -> float:
        """Send time of the next tick: its own, or if that is past, the minimum distance after the last one."""
        return max(self._place_ns(place, period, now), self._last + MIN_TICK_DISTANCE * period)

    def _send_tick(self, ns: int, late: bool) -> None:
        if self._tick is not None:
            if self._joining and self._tick >= 0 and self._tick % SIXTEENTH == 0:
                for name in sorted(self._joining):
                    if self._tick and self._placed_at.get(name) != self._tick // SIXTEENTH:
                        self._send(midi.encode_position(self._tick // SIXTEENTH), ns, name)
                    self._send(_CONTINUE if self._tick else _START, ns, name)
                self._joining.clear()
                self._placed_at.clear()
            self._tick += 1
        self._send(_TICK, ns)
        self._last = ns
        self.ticks += 1
        self.late += late

    def _send(self, message: bytes, ns: int, only: str = "") -> None:
        self._ports.send(message, only=only, ns=ns)
