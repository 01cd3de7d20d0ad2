"""A control process with MIDI open on a fake system of ports."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.control.fake_engine import RATE, FakeEngine, FakeTime
from tests.control.rig import CATALOG, Rig, make_app
from tests.control.test_notes import HEARS, PLAYS, events
from tests.waiting import comes

from antiphon.api.backends.transports import ServeSettings
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.graph.graph import End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.session.commands import Panic
from antiphon_midi.ports import Ports
from antiphon_midi.ports_input import MidiInput

BLOCK = 256
LAG = BLOCK + round(0.001 * RATE)
GRAPH = Graph(
    (NodeSpec("a", "gain"), NodeSpec("k", "plays"), NodeSpec("h", "hears")),
    (
        Wire(End("in", "in"), End("a", "in")),
        Wire(End("in", "in"), End("h", "in")),
        Wire(End("k", "out"), End("out", "out")),
        Wire(End("a", "out"), End("out", "out")),
    ),
)
GAIN, K, H = 1, 2, 3
"""The nodes' numbers."""


class MidiStage(Rig):
    """A control process with MIDI open on `fake`, its ports looked at when asked."""

    fake: FakeMidi
    ports: Ports
    midi: MidiInput

    async def look(self) -> None:
        """What a second's wait does."""
        self.midi._changed(self.ports.look())
        self.midi.out.follow()
        await self.settle()

    async def play(self, *data: int, port: str = "antiphon", ns: int = 0) -> list[tuple[Any, ...]]:
        """Sends; returns the events that come of it, without their sample."""
        self.fake.put(port, *data, ns=ns)
        await self.settle()
        return [done[:-1] for done in events(self)]


def panics_of(live: MidiStage) -> list[Panic]:
    """A list to which each panic that the engine is asked for is added from now on."""
    found: list[Panic] = []
    live.midi._server.on_effect(lambda effect: found.append(effect) if isinstance(effect, Panic) else None)
    return found


@asynccontextmanager
async def staged(folder: Path, engine: FakeEngine | None = None, **wanted: Any) -> AsyncIterator[MidiStage]:
    time = engine.time if engine is not None else FakeTime()
    engine = engine or FakeEngine(time)
    app = make_app(folder, engine, time, Catalog({**CATALOG.types, "plays": PLAYS, "hears": HEARS}))
    fake = FakeMidi()
    fake.there = wanted.pop("there", [])
    fresh = wanted.pop("fresh", True)
    settings = ServeSettings(options={"midi": True, "midi-clock": wanted.pop("clock", "")})
    ports = Ports("test", virtual=wanted.pop("virtual", True), make=fake.make, **wanted)
    midi = MidiInput(app.transports.host("midi", settings, fresh=fresh), ports)
    midi.install()
    restored = await app.start()
    made = MidiStage(app, engine, time)
    made.fake, made.ports, made.midi = fake, ports, midi
    if not restored:
        app.plans.load(Patch("three", 120.0, GRAPH), 0.0, None, "", ())
    await made.settle()
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    await comes(lambda: fake.calls, "its ports are asked for")
    await made.look()
    engine.applied.clear()
    try:
        yield made
    finally:
        stop.set()
        await running
        await app.stop()
        made.close()
        app.close()


def with_midi(live: MidiStage, **midi: str) -> None:
    """The patch that plays has this [midi]; "cc_21" for "cc 21"."""
    assert live.app.session.state.shown.patch is not None
    written = {name.replace("_", " "): target for name, target in midi.items()}
    live.app.session.state.keep(patch=replace(live.app.session.state.shown.patch, midi=written))


class FakeMidi:
    """there, sinks: names of ports there now.  sent, dates: what went out, and for when.

    gone: the whole system has.
    """

    name = "fake"
    drop_count = 0
    dated = False

    def __init__(self) -> None:
        self.there: list[str] = []
        self.sinks: list[str] = []
        self.sent: list[tuple[str, bytes]] = []
        self.dates: list[int] = []
        self.calls: list[str] = []
        self.gone = False
        self.refuse = ""
        self.broken: set[str] = set()
        self._bell = -1
        self._queue: deque[tuple[str, int, bytes]] = deque()

    def make(self, client: str, bell: int, virtual: str) -> FakeMidi:
        """As `make_backend`."""
        self._bell, self.gone = bell, False
        self.calls.append(f"made {client} {virtual}".strip())
        return self

    def put(self, port: str, *data: int, ns: int = 0) -> None:
        """A port sends bytes; 0 ns is now."""
        self._queue.append((port, ns, bytes(data)))
        os.eventfd_write(self._bell, 1)

    def inputs(self) -> list[str]:
        if self.gone:
            raise OSError("gone")
        return list(self.there)

    def outputs(self) -> list[str]:
        return list(self.sinks)

    def open_input(self, name: str) -> None:
        if name == self.refuse:
            raise OSError(f"{name} is taken")
        self.calls.append(f"in {name}")

    def open_output(self, name: str) -> None:
        self.calls.append(f"out {name}")

    def hold(self, name: str) -> bool:
        held = name in self.broken
        self.broken.discard(name)
        return held

    def close_input(self, name: str) -> None:
        self.calls.append(f"end {name}")

    def close_output(self, name: str) -> None:
        self.calls.append(f"end {name}")

    def close(self) -> None:
        self.calls.append("closed")

    def take(self, most: int) -> Iterator[tuple[str, int, bytes]]:
        for _ in range(min(most, len(self._queue))):
            yield self._queue.popleft()

    def send(self, name: str, message: bytes, ns: int = 0) -> None:
        self.sent.append((name, message))
        self.dates.append(ns)
