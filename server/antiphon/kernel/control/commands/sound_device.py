"""Changes of the sound device by `/audio/device`: the supervisor looks for it, the engine plays it."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec.structs import asdict

from antiphon.kernel.control.commands.syncs import Syncs
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.engine.link import DeviceUsed
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import EngineError
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.paths import write_atomic
from antiphon.kernel.wire.osc import Arg, encode

TIMEOUT_SECONDS = 20.0
"""Timeout of a change in seconds, after which another may be requested."""
PATH = "/audio/device"
MAX_REMEMBERED = 64
"""Most devices for which a value is kept: the latest ones."""
T = TypeVar("T", bool, float)


@dataclass(frozen=True, slots=True)
class _Asked:
    peer: Peer
    serial: int  # CLOCK_MONOTONIC, ns: no other's, of an earlier process neither
    engine: int  # pid of the engine that may change; one that is started later does not


class ByDevice(Generic[T]):
    """Values kept for each sound device, in a file of the configuration folder."""

    def __init__(self, name: str, kind: type[T]) -> None:
        """Reads the file; a missing or invalid one holds no values."""
        self._file = paths.config() / name
        self._chosen: dict[str, T] = {}
        try:
            held = json.loads(self._file.read_bytes())
            self._chosen = {str(name): value for name, value in held.items() if isinstance(value, kind)}
        except (OSError, ValueError, AttributeError):
            pass

    def value_for(self, device: str) -> T | None:
        """Value kept for a device; None without one."""
        return self._chosen.get(device)

    def choose(self, device: str, value: T) -> None:
        """Keeps a value for a device. Raises FileError: the file cannot be written."""
        self._chosen.pop(device, None)
        self._chosen[device] = value
        self._chosen = dict(list(self._chosen.items())[-MAX_REMEMBERED:])
        write_atomic(self._file, json.dumps(self._chosen).encode())


def headphones() -> ByDevice[bool]:
    """Returns the table of output devices that are headphones, whose sound no microphone picks up."""
    return ByDevice("headphones.json", bool)


def delays() -> ByDevice[float]:
    """Returns the table of delays in ms from output to microphone, without the ring, as by `doctor --loopback`."""
    return ByDevice("delays.json", float)


class SoundDevice:
    """The device in use, and the change that is under way: one at a time."""

    def __init__(self, link: RemoteEngine, replies: Replies, syncs: Syncs) -> None:
        """Begins without a device, until `attach`; a sender's `/synced` comes after its change.

        `changed` is called with the name of the new device after a change. `input`: the name of a file in place of the
        device's input, "" for none.
        """
        self._link, self._replies, self._syncs = link, replies, syncs
        self._supervisor: socket.socket | None = None
        self._asked: _Asked | None = None
        self._name = self.input = ""
        self.changed: Callable[[str], None] = lambda name: None
        syncs.busy.append(self._busy)

    def attach(self, supervisor: socket.socket, name: str) -> None:
        """Sets the supervisor's socket, and the device in use at the start."""
        self._supervisor, self._name = supervisor, name

    @property
    def name(self) -> str:
        """The device's name for `/audio/device`; the software clock's where it replaces a lost device."""
        driver = self._link.status().driver
        return driver if driver == "headless" else self._name

    @property
    def lost_device(self) -> str:
        """Name of the lost device that the software clock replaces until it is back; "" for none."""
        engine = self._link.status()
        stands_in = engine.state == "running" and engine.driver == "headless"
        return self._name if stands_in and self._name != "headless" else ""

    @property
    def figures(self) -> tuple[Arg, Arg, Arg]:
        """Name, rate and block."""
        engine = self._link.status()
        return self.name, engine.device_rate, engine.device_block

    def ask(self, peer: Peer, device: str, rate: int, block: int) -> None:
        """Asks for a device; 0 of rate or block is the server's. Raises EngineError."""
        if self._asked is not None:
            raise EngineError("the device is being changed already; try again in a moment")
        if self._supervisor is None:
            raise EngineError("the sound device of this server is fixed")
        asked = _Asked(peer, time.monotonic_ns(), self._link.status().pid)
        wanted = {"do": "device", "device": device, "rate": rate, "block": block}
        self._tell({**wanted, "serial": asked.serial, "engine": asked.engine})
        self._asked = asked

    def read(self) -> None:
        """Reads the supervisor's messages, which say why a device is not available."""
        assert self._supervisor is not None
        try:
            data = self._supervisor.recv(1 << 16)
        except OSError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._supervisor)
            return
        message = json.loads(data)
        if "device" in message:
            self._answer(message["serial"], message["device"])

    def finish(self, report: DeviceUsed) -> None:
        """Answers a change by the engine's report: the device that plays now, or why the wanted one cannot."""
        if not report.problem:
            self._name = report.device
            self.changed(self.name)
        self._answer(report.serial, report.problem)
        self._tell({"do": "device used", **asdict(report)})

    def given_up(self, engine: int) -> None:
        """Fails a pending change after a restart of the engine, with another pid, on the previous device."""
        if self._asked is not None and self._asked.engine != engine:
            self._answer(self._asked.serial, "the engine ended while it changed the device; it plays on the one before")

    def expire(self) -> None:
        """Ends a change that takes longer than `TIMEOUT_SECONDS`, with an error."""
        if self._asked is not None and time.monotonic_ns() - self._asked.serial > TIMEOUT_SECONDS * 1e9:
            self._answer(self._asked.serial, f"no answer for {TIMEOUT_SECONDS:g} s; /audio/device says what plays")

    def _busy(self, peer: Peer) -> bool:
        return self._asked is not None and self._asked.peer.key == peer.key

    def _answer(self, serial: int, problem: str) -> None:
        asked = self._asked
        if asked is None or asked.serial != serial:
            return
        self._asked = None
        done = encode("/fail", PATH, problem) if problem else encode("/done", PATH, *self.figures)
        self._replies.reply(asked.peer, done)
        self._syncs.release()

    def _tell(self, message: dict[str, object]) -> None:
        try:
            assert self._supervisor is not None
            self._supervisor.send(json.dumps(message).encode())
        except OSError as error:
            raise EngineError("the supervisor is busy; try again in a moment") from error
