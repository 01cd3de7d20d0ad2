"""A server's clock in virtual time, and MIDI clocks with jitter, drop-outs and tempo changes."""

import heapq
import itertools
import random
from collections.abc import Callable, Iterable

from antiphon.api.backends.transports import (
    Command,
    NudgeBeat,
    RequestError,
    Sample,
    ServeSettings,
    SetTempo,
    SetTransport,
)
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO, TempoMap
from antiphon_midi import messages as midi
from antiphon_midi.clock import ClockFollower

RATE, BLOCK = 48000, 256
LAG = BLOCK / RATE + 0.001
"""Seconds from a tick to its beat."""
START_NS = 5_000_000_000
PPQN = 24


class ClockServer:
    """What follower and leader use of a server: commands take effect at their sample, or with the next block.

    Attributes:
        map: The engine's musical clock, as published with the last block.
        done: Every command that took effect, with its sample.
        leads: The node that leads the clock.
    """

    rate, block = RATE, BLOCK

    def __init__(self, tempo: float = 120.0, clock: str = "follow") -> None:
        self.settings = ServeSettings(options={"midi": True, "midi-clock": clock})
        self.map = TempoMap(RATE, tempo, end_bpm=tempo)
        self.ns = START_NS
        self.done: list[tuple[float, Command]] = []
        self.late = 0
        self.leads = ""
        self._waiting: list[tuple[int, int, Command]] = []
        self._serial = itertools.count()

    def now_ns(self) -> int:
        return self.ns

    def leader(self) -> str:
        return self.leads

    def sample_at(self, ns: int) -> float:
        return (ns - START_NS) * RATE / 1e9

    def tempo(self) -> tuple[float, float, bool]:
        at = self._published()
        return self.map.beat_at(at), self.map.tempo_at(at), self.map.playing

    def beat_at(self, sample: float) -> float:
        beat, bpm, playing = self.tempo()
        return beat + (sample - self._published()) / RATE * bpm / 60.0 if playing else beat

    def _published(self) -> int:
        return int(self.sample_at(self.ns)) // BLOCK * BLOCK

    def do(self, command: Command, source: str) -> None:
        if isinstance(command, SetTempo) and not MIN_TEMPO <= command.bpm <= MAX_TEMPO:
            raise RequestError(f"tempo takes {MIN_TEMPO:g} to {MAX_TEMPO:g} bpm, not {command.bpm:g}")
        at = command.when.n if isinstance(command.when, Sample) else self._published() + BLOCK
        if at < self.sample_at(self.ns):
            self.late += 1
        heapq.heappush(self._waiting, (at, next(self._serial), command))

    def until(self, ns: int) -> None:
        """Time passes; what is due takes effect."""
        self.ns = max(self.ns, ns)
        while self._waiting and self._waiting[0][0] <= self.sample_at(self.ns):
            at, _, command = heapq.heappop(self._waiting)
            self.done.append((at, command))
            match command:
                case SetTempo(bpm, beats):
                    self.map.set_tempo(at, bpm, beats)
                case SetTransport(playing, beat):
                    self.map.set_transport(at, playing, beat)
                case NudgeBeat(beats):
                    self.map.set_transport(at, None, self.map.beat_at(at) + beats)


class GearClock:
    """A MIDI clock: the beat as a function of seconds is known, ticks come late or early by `jitter`.

    Args:
        seconds: The time of each tick, counted from 0, without jitter.
        jitter: Seconds either way, of an even distribution.
        seed: Random seed of the jitter.
    """

    def __init__(self, seconds: Callable[[float], float], jitter: float = 0.0, seed: int = 0) -> None:
        self.seconds, self.jitter = seconds, jitter
        self._random = random.Random(seed)

    def ns(self, tick: float) -> int:
        return START_NS + round((1.0 + self.seconds(tick)) * 1e9)

    def times(self, ticks: Iterable[int]) -> list[int]:
        """When the ticks arrive: none before the one it follows."""
        late = [self.ns(tick) + round(self._random.uniform(-self.jitter, self.jitter) * 1e9) for tick in ticks]
        return list(itertools.accumulate(late, max))


def steady(bpm: float) -> Callable[[float], float]:
    return lambda tick: tick * 60.0 / (bpm * PPQN)


def feed(server: ClockServer, follower: ClockFollower, times: Iterable[int], port: str = "gear") -> None:
    """The ticks come, and what they lead to takes effect."""
    for ns in times:
        server.until(ns)
        follower.message(midi.Short(midi.TICK), port, ns)


def say(server: ClockServer, follower: ClockFollower, *data: int, port: str = "gear") -> None:
    """Another message comes now."""
    follower.message(midi.Short(*data), port, server.ns)


def distance(server: ClockServer, clock: GearClock, tick: float, beat: float | None = None) -> float:
    """Seconds by which the server's beat is ahead of the clock's at a tick; server time must be near it.

    beat: what the tick is, by default tick / 24.
    """
    wanted = tick / PPQN if beat is None else beat
    sample = server.sample_at(clock.ns(tick)) + LAG * RATE
    return (server.map.beat_at(round(sample)) - wanted) * 60.0 / server.map.tempo_at(round(sample))
