"""MIDI clock of `--midi-clock`: the leader sends 24 ticks a beat, start, stop, continue and the song position.

A tick belongs to a sample of the engine's clock. It is sent a block and `SLACK` after that sample was computed, when
its sound leaves the sound card at the earliest: with the same latency as an incoming note. If the backend supports
timestamps (JACK), ticks are queued up to `SEND_AHEAD` before, with their times, a busy process delays none; otherwise a
timer of this process sends each.
"""

import asyncio
import math
from typing import Any

from antiphon.api.backends.transports import TransportServer
from antiphon_midi import messages as midi
from antiphon_midi.clock.follow import SIXTEENTH, SLACK, ClockFollower
from antiphon_midi.clock.ticks import PPQN
from antiphon_midi.devices.ports import Ports
from antiphon_midi.options import MIDI_CLOCK

SEND_AHEAD = 0.05
"""Seconds a tick is queued ahead of its time; also the maximum delay of a tempo change."""
TURN = 0.02
"""Maximum seconds between two readings of the server's clock."""
JUMP_SECONDS = 0.08
"""Error in seconds of the next tick that means the server's clock jumped: a song position is sent."""
MAX_LAG = 0.5
"""Lag in seconds beyond which ticks are skipped, and a song position is sent instead."""
MIN_TICK_DISTANCE = 0.25
"""Minimum distance of two ticks, as a share of a period."""
LATE = 0.001
"""Delay in seconds from which a tick counts as late."""
_TICK, _START, _CONTINUE, _STOP = (bytes((kind,)) for kind in (midi.TICK, midi.START, midi.CONTINUE, midi.STOP))


class ClockLeader:
    """One clock for all outputs. Ticks continue while the server's beat is stopped, so that devices know the tempo."""

    def __init__(self, server: TransportServer, ports: Ports) -> None:
        self._server, self._ports = server, ports
        self.ticks = self.late = self.leaps = 0  # ticks sent more than `LATE` after their time
        self._tick: int | None = None
        self._last, self._placed = 0, 0.0  # when the last tick was sent, and when it was due
        self._known: set[str] = set()
        self._joining: set[str] = set()
        self._block = 0

    def status(self) -> dict[str, Any]:
        """The clock's part of `midi` in `GET /api/status`."""
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
        while True:
            delay = self.step()
            await asyncio.sleep(delay)

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
        _, bpm, playing = server.tempo()
        period = 60e9 / (PPQN * bpm)
        place = PPQN * server.beat_at(server.sample_at(now)) - self._lag() / period
        self._transport(playing, place, period, now)
        reach = now + (SEND_AHEAD * 1e9 if ports.dated else 0.0)
        due = self._due(place, period, now)
        while due <= reach:
            self._placed = self._place_ns(place, period, now)
            self._send_tick(max(round(due), now), self._placed < now - LATE * 1e9)
            due = self._due(place, period, now)
        return TURN if ports.dated else min(TURN, max(0.0, (due - server.now_ns()) / 1e9))

    def close(self) -> None:
        """Sends a stop to all outputs."""
        if self._tick is not None:
            self._tick = None
            self._send(_STOP, 0)

    def _lag(self) -> float:
        """Latency from a sample to its tick, ns."""
        self._block = self._block or self._server.block
        return (self._block / self._server.rate + SLACK) * 1e9

    def _transport(self, playing: bool, place: float, period: float, now: int) -> None:
        """Starts, stops or moves the devices with the server's clock, which is at `place`, in ticks."""
        if self._tick is not None:
            if not playing:
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
        # a beginning at beat 0 is noticed a moment after it, and its tick is sent late rather than not
        self._tick = 0 if 0.0 <= place < 1.0 else math.ceil(place)
        self._placed = self._place_ns(place, period, now) - period
        self._joining = set(self._known)

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
                    if self._tick:
                        self._send(midi.encode_position(self._tick // SIXTEENTH), ns, name)
                    self._send(_CONTINUE if self._tick else _START, ns, name)
                self._joining.clear()
            self._tick += 1
        self._send(_TICK, ns)
        self._last = ns
        self.ticks += 1
        self.late += late

    def _send(self, message: bytes, ns: int, only: str = "") -> None:
        self._ports.send(message, only=only, ns=ns)


class MidiClock:
    """The clock of one server.

    `follower`: follows a clock, where the settings say so; else None. `leader`: gives the clock to the outputs, where
    the settings say so; else None.
    """

    def __init__(self, server: TransportServer, ports: Ports) -> None:
        asked = server.settings.value(MIDI_CLOCK)
        self.follower = ClockFollower(server) if asked == "follow" else None
        self.leader = ClockLeader(server, ports) if asked == "lead" else None
        self._server = server

    def install(self) -> None:
        """Starts the clock with the server, if one is led."""
        if self.leader is not None:
            self._server.service(self.leader.run)

    def status(self) -> dict[str, Any] | None:
        """The clock's part of `midi` in `GET /api/status`; None unless a clock is followed or led."""
        part = self.follower or self.leader
        return None if part is None else part.status()

    def message(self, message: midi.Short, port: str, ns: int) -> None:
        """Handles a message of a clock that came at `ns`, within a turn of the server; ignores any other."""
        if self.follower is not None and message.kind in midi.CLOCK:
            self.follower.message(message, port, ns)

    def gone(self, port: str) -> None:
        """Handles a port that was closed."""
        if self.follower is not None:
            self.follower.gone(port)

    def look(self) -> None:
        """Detects a stopped clock."""
        if self.follower is not None:
            self.follower.look()

    def close(self) -> None:
        """Sends a stop to the following devices."""
        if self.leader is not None:
            self.leader.close()
