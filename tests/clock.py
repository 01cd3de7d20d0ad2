"""A clock for code that is given one, which goes only when a test moves it; a node of notes played on one."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle

import pytest

from antiphon.api import IO, BlockTime, Event, Processor, StreamSpec, Value
from antiphon.api.backends.rendering import prepare_processor
from antiphon.kernel.contract.params import Param
from antiphon.kernel.graph import overruns
from antiphon.kernel.graph.clock import TempoMap
from antiphon.kernel.graph.node_host import cell_of


class FakeClock:
    """Seconds that stand still.

    Attributes:
        now: What it shows.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Moves it: a sleep by it ends at once."""
        self.now += seconds

    def put(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Puts it in the place of the machine's."""
        monkeypatch.setattr(time, "monotonic", self)
        monkeypatch.setattr(time, "monotonic_ns", lambda: round(self.now * 1e9))
        monkeypatch.setattr(time, "sleep", self.sleep)


class LoopTime:
    """The clock of the event loop that runs, on which a test may pass seconds that nobody waits for."""

    def __init__(self) -> None:
        self.passed = 0.0
        loop = asyncio.get_running_loop()
        real = loop.time
        loop.time = lambda: real() + self.passed  # type: ignore[method-assign]

    def passes(self, seconds: float) -> None:
        self.passed += seconds


class ThreadTime:
    """The clock on the wall, and what the engine's thread did meanwhile, ns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.ran = self.waited = 0
        monkeypatch.setattr("antiphon.kernel.graph.node_host._time.perf_counter_ns", lambda: self.wall)
        monkeypatch.setattr("antiphon.kernel.graph.overruns.thread_clocks", lambda: (self.ran, self.waited))
        monkeypatch.setattr("antiphon.kernel.graph.overruns._thread", overruns._ThreadWatch())

    def passes(self, wall: int, ran: int = 0, waited: int = 0) -> None:
        self.wall, self.ran, self.waited = self.wall + wall, self.ran + ran, self.waited + waited


def played_live(
    node: Processor,
    spec: StreamSpec,
    notes: Iterable[Event],
    frames: int,
    settings: Mapping[str, Value] | None = None,
    changes: Sequence[tuple[int, str, object]] = (),
    blocks: Iterable[int] = (),
    tempo: float = 120.0,
    switches: Sequence[str] = (),
) -> tuple[list[Event], list[tuple[int, dict[str, float]]]]:
    """Plays a node of notes live, on a clock of its own. Returns events by sample, and reports with their block's end.

    changes: (sample, what, value), what being a parameter, or "stop", "play", "locate", "reset", "tempo"; the block is
    cut there as the engine does. blocks: sizes, over and over; without them `spec.block`. switches: those of the host.
    """
    cells = prepare_processor(node, spec, dict(settings or {}))
    for name in switches:
        cells[name] = cell_of(Param(name, "switch", False), spec, False)
    clock, at = TempoMap(spec.rate, tempo, end_bpm=tempo), 0
    todo, told = sorted(changes, key=lambda change: change[0]), sorted(notes, key=lambda event: event.offset)
    events: list[Event] = []
    reports: list[tuple[int, dict[str, float]]] = []
    sizes = cycle(tuple(blocks) or (spec.block,))
    while at < frames:
        while todo and todo[0][0] <= at:
            _, what, value = todo.pop(0)
            match what:
                case "stop" | "play":
                    clock.set_transport(at, what == "play", None)
                case "locate":
                    clock.set_transport(at, None, float(value))  # type: ignore[arg-type]
                case "tempo":
                    clock.set_tempo(at, float(value))  # type: ignore[arg-type]
                case "reset":
                    node.reset()
                case _:
                    cells.change(what, value)  # type: ignore[arg-type]
        size = min(next(sizes), frames - at, *(when - at for when, _, _ in todo[:1]))
        io = IO((), (), cells, BlockTime(at, clock.beat_at(at), clock.tempo_at(at), clock.playing), size)
        while told and told[0].offset < at + size:
            io.events_in.append(told.pop(0).moved(-at))
        cells.render(at, size)
        node.process(io)
        cells.settle(at + size)
        offsets = [event.offset for event in io.events_out]
        assert offsets == sorted(offsets)
        events += [event.moved(at) for event in io.events_out]
        at += size
        if io.reports:
            reports.append((at, dict(io.reports)))
    return events, reports


def left(events: Iterable[Event]) -> set[tuple[int, int]]:
    """Notes that are never ended; fails where one begins twice, or ends without beginning."""
    sounding: set[tuple[int, int]] = set()
    for event in events:
        if event.kind in ("on", "off"):
            key = event.channel, event.number
            assert (key in sounding) == (event.kind == "off"), event
            sounding ^= {key}
    return sounding
