"""A fake engine for tests of control. It makes no sound: it keeps what it was told and answers when run.

Time stands still until the test moves it.
"""

import math
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from antiphon.kernel.engine.link import (
    EngineCounters,
    EngineStarted,
    EngineStatus,
    Late,
    PlanLoaded,
    PlanRefused,
    Report,
    Synced,
)
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.session.actions import ACTIONS, Action, EngineLoad
from antiphon.kernel.session.commands import Beat, ClearSchedule, Now, Panic, Play, Sample, When

RATE = 48000


@dataclass
class FakeTime:
    """CLOCK_MONOTONIC and the wall clock, both moved by hand. The wall clock is `offset` ns ahead."""

    ns: int = 1_000_000_000
    offset: int = 1_700_000_000_000_000_000

    def monotonic(self) -> int:
        return self.ns

    def realtime(self) -> int:
        return self.ns + self.offset

    def move(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)

    def timetag(self, seconds: float) -> int:
        """NTP time tag `seconds` from now."""
        from antiphon.kernel.wire.ntp import from_unix_ns

        return from_unix_ns(self.realtime() + round(seconds * 1e9))


@dataclass
class FakeEngine:
    """Says in `status().driver` that it is a fake. Sample 0 was at monotonic 0.

    room: records the ring has left; math.inf for no bound.  refuse: a reason for which plans are refused
    that have not played before.
    hold_plans: plans stay in the making.
    """

    time: FakeTime
    room: float = math.inf
    refuse: str = ""
    hold_plans: bool = False
    pid: int = 4242
    state: str = "running"
    restarts: int = 0
    values: dict[tuple[int, int], float] = field(default_factory=dict)
    applied: list[tuple[Any, ...]] = field(default_factory=list)
    loads: list[tuple[int, Graph, dict[str, int], float, float]] = field(default_factory=list)
    versions: list[tuple[dict[str, str], float]] = field(default_factory=list)
    recorded: list[str | None] = field(default_factory=list)
    sessions: list[str | None] = field(default_factory=list)
    tracked: list[str | None] = field(default_factory=list)
    bpm: float = 120.0
    beat: float = 0.0
    playing: bool = True
    levels: dict[int, tuple[float, float]] = field(default_factory=dict)
    late: int = 0
    echoed: int = 0
    turns: int = 0

    def __post_init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._waiting: list[tuple[When, tuple[Any, ...]]] = []
        self._reports: list[Report] = []
        self._plans: list[int] = []
        self.played_before: set[int] = set()
        self._ids: set[int] = set()

    def close(self) -> None:
        os.close(self._fd)

    @property
    def sample(self) -> float:
        return self.sample_at(self.time.monotonic())

    def run(self) -> None:
        """Computes up to now: plans first, then all commands that are due, in order."""
        if not self.hold_plans:
            for serial in self._plans:
                if self.refuse and serial not in self.played_before:
                    self.say(PlanRefused(serial, self.refuse))
                else:
                    self._ids = set(next(load[2] for load in self.loads if load[0] == serial).values())
                    self.say(PlanLoaded(serial, 64, self.awaited))
            self._plans.clear()
        later = []
        for when, command in self._waiting:
            if self._due(when):
                self._apply(when, command)
            else:
                later.append((when, command))
        self._waiting = later

    def start(self, pid: int | None = None) -> None:
        """A new engine, as after a crash: knows nothing and asks for a plan."""
        self.pid = self.pid if pid is None else pid
        self.restarts += 1
        self._waiting.clear()
        self._plans.clear()
        self.values.clear()
        self._ids = set()
        self.say(EngineStarted(self.pid))

    def say(self, report: Report) -> None:
        self._reports.append(report)
        os.eventfd_write(self._fd, 1)

    def _due(self, when: When) -> bool:
        match when:
            case Now():
                return True
            case Sample(n):
                return n <= self.sample
            case Beat(b):
                return b <= self.beat

    def _apply(self, when: When, command: tuple[Any, ...]) -> None:
        at = when.n if isinstance(when, Sample) else None
        self.applied.append((*command, at))
        match command:
            case ("set", node, cell, number, _):
                if node in self._ids or node < 0:
                    self.values[node, cell] = number
            case ("sync", token):
                self.say(Synced(token))
            case ("tempo", bpm, _):
                self.bpm = bpm

    def _push(self, when: When, *command: Any) -> bool:
        if self.room <= 0:
            return False
        self.room -= 1
        if isinstance(when, Sample) and when.n < self.sample:
            self.late += 1
            if command[0] == "set":
                self.say(Late(command[1], command[2], (self.sample - when.n) / RATE))
        self._waiting.append((when, command))
        return True

    def batch(self) -> AbstractContextManager[None]:
        return nullcontext()

    def send(self, action: Action) -> bool:
        match action:
            case Panic() | ClearSchedule():
                self._waiting = [(w, c) for w, c in self._waiting if self._due(w)]
            case Play(node, event, when):
                return self._push(when, event.kind, node, event.number, event.value, event.channel)
        row = ACTIONS.row(type(action))
        return self._push(action.when, row.op, *(getattr(action, name) for name in row.names))

    def load(self, plan: EngineLoad) -> None:
        self.versions.append((dict(plan.versions), plan.quantum))
        self.loads.append((plan.serial, plan.graph, dict(plan.ids), plan.tempo, plan.fade))
        if plan.again:
            self.played_before.add(plan.serial)
        self._plans.append(plan.serial)

    def record(self, path: str | None) -> None:
        self.recorded.append(path)

    def session(self, path: str | None, header: dict[str, Any] | None = None) -> None:
        self.sessions.append(path)

    def tracks(self, path: str | None, header: dict[str, Any] | None = None) -> None:
        self.tracked.append(path)

    recording = False

    @property
    def keeping(self) -> bool:
        return bool(self.sessions and self.sessions[-1])

    @property
    def keeping_tracks(self) -> bool:
        return bool(self.tracked and self.tracked[-1])

    def note_turn(self) -> None:
        self.turns += 1

    def echo(self, node: int) -> None:
        self.echoed = node

    def reports(self) -> list[Report]:
        found, self._reports = self._reports, []
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            pass  # nothing was said since
        return found

    def filenos(self) -> tuple[int]:
        return (self._fd,)

    def sample_at(self, monotonic_ns: int) -> float:
        return monotonic_ns * RATE / 1e9

    def beat_at(self, sample: float) -> float:
        return self.beat

    def tempo_now(self) -> tuple[float, float, bool]:
        return self.beat, self.bpm, self.playing

    leader = awaited = 0

    def counters(self) -> EngineCounters:
        return EngineCounters(blocks=7, late=self.late, pending=len(self._waiting))

    def status(self) -> EngineStatus:
        return EngineStatus(self.pid, self.state, self.restarts, "fake", RATE, 256, 2, 256, 512, 64, 0.1, 0.2)

    def node_loads(self) -> dict[int, float]:
        return dict.fromkeys(self.levels, 0.125)

    def meters(self) -> dict[int, tuple[float, float]]:
        return self.levels
