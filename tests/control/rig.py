"""A whole control process on real sockets with a fake engine, driven step by step."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.control.fake_engine import FakeEngine, FakeTime
from tests.waiting import comes

from antiphon.joining import learning, monitor, note_watch, operations, patch_lists, set_lists
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT
from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.commands.executor import WallClock
from antiphon.kernel.control.osc.served import ControlOptions
from antiphon.kernel.graph.graph import NodeSpec, in_series
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.wire.osc import Bundle, Message, decode, encode, encode_bundle
from antiphon.performer import script_gate

JOINING = (
    patch_lists.join, set_lists.join, learning.join, monitor.join, note_watch.join, operations.join,
    script_gate.open_gate,
)  # fmt: skip

GAIN = ProcessorInfo(
    "gain",
    "Louder or softer.",
    "test",
    (AUDIO_IN,),
    (AUDIO_OUT,),
    (
        Param("gain", default=1.0, low=0.0, high=2.0, smooth=0.004),
        Param("trim", default=0.1, low=-0.1, high=0.1),
        Param("steps", "int", 3, 0, 8),
        Param("mode", "choice", "gate", choices=("gate", "wavelet")),
        Param("learn", "trigger", False),
        Param("label", "text", ""),
        Param("size", "int", 256, 64, 1024, restart=True),
        Param("level", default=0.0, low=0.0, high=1.0, readonly=True),
        Param("cutoff", default=100.0, low=20.0, high=2000.0, unit="Hz", warp="log"),
    ),
)
CATALOG = Catalog({"gain": GAIN})
FILE = Param("reference", "file", "")
CAST = ProcessorInfo("cast", "By a reference.", "test", (AUDIO_IN,), (AUDIO_OUT,), (FILE, Param("depth")))
WITH_FILES = Catalog({"gain": GAIN, "cast": CAST})
GRAPH = in_series([NodeSpec("a", "gain", {"gain": 0.5}), NodeSpec("b", "gain")], CATALOG)


class Client:
    """A UDP socket that speaks OSC. host: its own address, one of 127.0.0.0/8."""

    def __init__(self, rig: Rig, port: int = 0, host: str = "127.0.0.1") -> None:
        self._rig = rig
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, port))
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]

    def send(self, address: str, *args: Any) -> None:
        self.raw(encode(address, *args))

    def bundle(self, timetag: int, *packets: bytes) -> None:
        self.raw(encode_bundle(timetag, list(packets)))

    def raw(self, data: bytes) -> None:
        self.sock.sendto(data, ("127.0.0.1", self._rig.app.osc_port))

    async def ask(self, address: str, *args: Any) -> list[tuple[str, tuple[Any, ...]]]:
        """Sends, lets everything settle, and returns all that came back."""
        self.send(address, *args)
        await self._rig.settle()
        return self.heard()

    async def refused(self, address: str, *args: Any) -> str:
        """The reason for which a message is refused."""
        ((sort, (of, reason)),) = await self.ask(address, *args)
        assert (sort, of) == ("/fail", address), (sort, of)
        return str(reason)

    async def later(self, address: str, *args: Any) -> list[tuple[str, tuple[Any, ...]]]:
        """Sends, and returns what comes back from a thread."""
        self.send(address, *args)
        found: list[tuple[str, tuple[Any, ...]]] = []
        await comes(lambda: found.extend(self.heard()) or found, "an answer")  # type: ignore[func-returns-value]
        return found

    def heard(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Messages received so far, bundles opened."""
        found: list[tuple[str, tuple[Any, ...]]] = []
        while True:
            try:
                packet = decode(self.sock.recv(65536))
            except BlockingIOError:
                return found
            items = packet.items if isinstance(packet, Bundle) else (packet,)
            for item in items:
                assert isinstance(item, Message), item
                found.append((item.address.decode(), item.args))

    def close(self) -> None:
        self.sock.close()


class Rig:
    def __init__(self, app: ControlApp, engine: FakeEngine, time: FakeTime) -> None:
        self.app, self.engine, self.time = app, engine, time
        self._clients: list[Client] = []

    def client(self, port: int = 0, host: str = "127.0.0.1") -> Client:
        made = Client(self, port, host)
        self._clients.append(made)
        return made

    async def settle(self, ticks: int = 1) -> None:
        """Lets what was sent be handled, the engine compute up to now, and its reports be read."""
        for _ in range(12):
            await asyncio.sleep(0)
        for _ in range(ticks):
            self.engine.run()
            self.app.feedback._flushed = -1.0  # a period has passed
            self.app.turns.tick()
        self.engine.run()
        for _ in range(6):
            await asyncio.sleep(0)

    async def move(self, seconds: float) -> None:
        self.time.move(seconds)
        await self.settle()

    def close(self) -> None:
        for client in self._clients:
            client.close()


async def save_three(live: Rig) -> None:
    """Saves what plays as the patches one, two and three, each with another gain."""
    for name, gain in (("one", 0.25), ("two", 0.5), ("three", 0.75)):
        await live.client().ask("/node/a/gain", gain)
        await live.client().ask("/patch/save", name)


async def refusal(client: Client, line: str) -> str:
    """What `/fail` says to a line of accepted sentences, an address and its arguments as Python writes them."""
    address, _, args = line.partition(" ")
    return await client.refused(address, *eval(f"[{args}]"))


def bind() -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same free port."""
    while True:
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        udp.bind(("127.0.0.1", 0))
        try:
            tcp.bind(udp.getsockname())
            return udp, tcp
        except OSError:
            udp.close()
            tcp.close()


def make_app(folder: Path, engine: FakeEngine, time: FakeTime, catalog: Catalog = CATALOG, **given: Any) -> ControlApp:
    udp, tcp = bind()
    clock = WallClock(time.realtime, time.monotonic)
    options = ControlOptions(clock=clock, now_ns=time.monotonic, **given)
    app = ControlApp(engine, catalog, folder, udp=udp, tcp=tcp, options=options)
    for join in JOINING:
        join(app, ServeSettings(), {})
    return app


@asynccontextmanager
async def rig(
    folder: Path, *, engine: FakeEngine | None = None, patch: bool = True, **given: Any
) -> AsyncIterator[Rig]:
    """A running control process with `GRAPH` loaded and playing, unless `patch` is False."""
    time = engine.time if engine is not None else FakeTime()
    engine = engine or FakeEngine(time)
    app = make_app(folder, engine, time, **given)
    restored = await app.start()
    made = Rig(app, engine, time)
    try:
        if patch and not restored:
            app.executor.perform(app.session.state.load(GRAPH, "two gains"))
            app.structure_changed()
        await made.settle()
        yield made
    finally:
        await app.stop()
        made.close()
        app.close()
