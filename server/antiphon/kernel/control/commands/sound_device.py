"""Changes of the sound device by `/audio/device`: the supervisor looks for it, the engine plays it."""

from __future__ import annotations

import json
import socket
import time

from antiphon.kernel.control.commands.syncs import Syncs
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.engine.link import DeviceUsed
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import EngineError
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.wire.osc import Arg, encode

TIMEOUT_SECONDS = 20.0
"""Seconds after which another change may be asked for, whatever became of this one."""
PATH = "/audio/device"


class SoundDevice:
    """The device in use, and the change that is under way: one at a time."""

    def __init__(self, link: RemoteEngine, replies: Replies, syncs: Syncs) -> None:
        """No device is known before `attach`; a sender's `/synced` comes after its change."""
        self._link, self._replies, self._syncs = link, replies, syncs
        self._supervisor: socket.socket | None = None
        self._asked: tuple[Peer, str] | None = None
        self._until = 0.0
        self._name = ""
        syncs.busy.append(self._busy)

    def attach(self, supervisor: socket.socket, name: str) -> None:
        """The socket of the supervisor, and the device of the start."""
        self._supervisor, self._name = supervisor, name

    @property
    def name(self) -> str:
        """The device as `/audio/device` takes it; the software clock's where it stands in for a lost one."""
        driver = self._link.status().driver
        return driver if driver == "headless" else self._name

    @property
    def figures(self) -> tuple[Arg, Arg, Arg]:
        """Name, rate and block."""
        engine = self._link.status()
        return self.name, engine.device_rate, engine.device_block

    def ask(self, peer: Peer, device: str, rate: int, block: int) -> None:
        """Asks for a device; 0 of rate or block is the server's. Raises EngineError."""
        if self._asked is not None and time.monotonic() < self._until:
            raise EngineError("the device is being changed already; try again in a moment")
        if self._supervisor is None:
            raise EngineError("the sound device of this server is fixed")
        self._tell({"do": "device", "device": device, "rate": rate, "block": block})
        self._asked, self._until = (peer, device), time.monotonic() + TIMEOUT_SECONDS

    def read(self) -> None:
        """Reads the supervisor's messages: why a device is not to be had."""
        assert self._supervisor is not None
        try:
            message = json.loads(self._supervisor.recv(1 << 16))
        except (OSError, ValueError):
            return
        if "device" in message:
            self._answer(str(message["device"]))

    def used(self, report: DeviceUsed) -> None:
        """The engine's report."""
        if not report.problem and self._asked is not None:
            self._name = self._asked[1]
        self._tell({"do": "device used", "problem": report.problem, "driver": report.driver})
        self._answer(report.problem)

    def given_up(self) -> None:
        """The engine was started again, on the device that it had."""
        if self._asked is not None:
            self._answer("the engine ended while it changed the device; it plays on the one before")

    def _busy(self, peer: Peer) -> bool:
        return self._asked is not None and self._asked[0].key == peer.key and time.monotonic() < self._until

    def _answer(self, problem: str) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            done = encode("/fail", PATH, problem) if problem else encode("/done", PATH, *self.figures)
            self._replies.reply(asked[0], done)
        self._syncs.release()

    def _tell(self, message: dict[str, object]) -> None:
        try:
            assert self._supervisor is not None
            self._supervisor.send(json.dumps(message).encode())
        except OSError as error:
            raise EngineError("the supervisor is busy; try again in a moment") from error
