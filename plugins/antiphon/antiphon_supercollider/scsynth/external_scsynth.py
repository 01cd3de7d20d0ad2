"""Client of an external scsynth: never ends it, and removes its own nodes and buffers."""

import contextlib
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

from antiphon.api import EngineError
from antiphon.api.backends import transports as osc
from antiphon.api.backends.files import built_in_folder
from antiphon.api.backends.runtime import Child, ChildLane, spawn
from antiphon.api.backends.synths import Unanswered
from antiphon.api.backends.workers import process_start
from antiphon.kernel.runtime.platform import process_at
from antiphon_supercollider.scsynth.server import Scsynth

ANSWER_SECONDS = 1.0
SILENT_SECONDS = 1.0
"""Seconds without a reply after which it counts as gone or hung."""
ASK_SECONDS = 0.2
OLDEST, NEWEST = (3, 10), (3, 99)
"""Supported versions, inclusive: 3.10 and later report their version; tested with 3.13."""
MAX_PLAIN = 60_000
"""Maximum bytes of a SynthDef sent in a datagram; scsynth reads longer ones from a file."""
NO_PROCESS = -1
"""Placeholder for a process that is not visible, because it runs in another container."""
_LEAVER = """
import os, socket, sys
packets = sys.stdin.buffer.read().split(b"\\n")
host, port = packets[0].decode().rsplit(":", 1)
speaking = socket.socket(fileno=int(sys.argv[1]))
for packet in packets[1:]:
    try:
        speaking.sendto(bytes.fromhex(packet.decode()), (host, int(port)))
    except OSError:
        pass
"""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Figures that scsynth reports about itself. `rate`: frames per second; `version`: text such as "3.13"."""

    rate: int
    version: str


def ask_scsynth(address: tuple[str, int], rate: int) -> ServerInfo:
    """Asks the scsynth at an address for its rate and version.

    Raises EngineError: it cannot be joined; in one sentence. Raises Unanswered: it does not answer.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(ANSWER_SECONDS)
        status = _asked(asking, address, "/status", b"/status.reply")
        version = _asked(asking, address, "/version", b"/version.reply")
    shown = f"{address[0]}:{address[1]}"
    if status is None:
        raise Unanswered(f"no scsynth answers at {shown}; boot it (s.boot in sclang), or leave --scsynth out")
    numbers = [value for value in (version.args if version else ()) if isinstance(value, int)]
    if version is None or version.args[0] != "scsynth" or not OLDEST <= tuple(numbers[:2]) <= NEWEST:
        words = " ".join(str(value) for value in version.args[:3]) if version else "a server without a version"
        raise EngineError(f"at {shown} there is {words}; Antiphon joins scsynth 3.10 and later")
    runs_at = round(float(status.args[7]))  # type: ignore[arg-type]
    if runs_at != rate:
        raise EngineError(
            f"the scsynth at {shown} runs at {runs_at} Hz and the server at {rate}; start with --rate {runs_at}"
        )
    return ServerInfo(runs_at, ".".join(map(str, numbers[:2])))


def _asked(asking: socket.socket, address: tuple[str, int], what: str, answer: bytes) -> osc.Message | None:
    with contextlib.suppress(OSError, ValueError):
        asking.sendto(osc.encode(what), address)
        for _ in range(4):
            packet = osc.decode(asking.recv(65536))
            if isinstance(packet, osc.Message) and packet.address == answer:
                return packet
    return None


class ExternalScsynth(Scsynth):
    """Client of an external scsynth. `number`: client number, reused on reconnection.  first: its first node number."""

    def __init__(self, address: tuple[str, int], folder: Path, number: int = -1) -> None:
        self.client, self.address, self._folder = "", address, folder
        self.provided = self.has = 0
        self.number, self._wanted = number, number
        self._open_socket()
        self.life = -1  # its end is noticed at the next look
        self.pid = process_at(address[1]) or NO_PROCESS
        self._last_reply = self._asked = time.monotonic()
        self._leaver: Child | None = None

    def register_client(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Registers as a client; `meanwhile` is called while waiting.

        Raises EngineError: it accepts no more clients. Raises Unanswered: it does not answer.
        """
        asked: tuple[osc.Arg, ...] = ("/notify", 1, self._wanted) if self._wanted >= 0 else ("/notify", 1)
        self.send(*asked)
        deadline = time.monotonic() + ANSWER_SECONDS
        while self.number < 0 or self._wanted >= 0:
            meanwhile()
            for reply in self.replies():
                if reply.address == b"/fail" and "too many" in str(reply.args[1:]):
                    raise EngineError(
                        f"the scsynth at {self.address[0]}:{self.address[1]} takes no more clients; boot it with "
                        "s.options.maxLogins = 8"
                    )
                if reply.address == b"/done" and reply.args[:1] == ("/notify",):
                    self.number = int(reply.args[1])  # type: ignore[arg-type]
                    if self._wanted in (-1, self.number):
                        self._wanted = -1
                    else:
                        raise EngineError("scsynth has given our place to another client")
            if time.monotonic() > deadline:
                raise Unanswered("scsynth does not answer")
            time.sleep(0.005)

    def numbers(self) -> list[int]:
        """Integers in its node list, among them node numbers; empty if the list is too long for a reply."""
        self.send("/g_queryTree", 0, 0)
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            for reply in self.replies():
                if reply.address == b"/g_queryTree.reply":
                    return [value for value in reply.args if isinstance(value, int)]
            time.sleep(0.005)
        return []

    def boot(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Registers as `register_client` does, and loads our SynthDefs."""
        self.register_client(meanwhile)
        for number, path in enumerate(sorted((built_in_folder("supercollider") / "compiled").glob("*.scsyndef"))):
            data = path.read_bytes()
            if len(data) > MAX_PLAIN:
                self.send("/d_load", str(path))
            else:
                self.send("/d_recv", data)
            if number % 4 == 3:
                self.sync(meanwhile)
        self.sync(meanwhile)

    def replies(self) -> list[osc.Message]:
        got = super().replies()
        if got:
            self._last_reply = time.monotonic()
        return got

    @property
    def gone(self) -> bool:
        return self.pid > 0 and not process_start(self.pid)

    def end_reason(self) -> str:
        now = time.monotonic()
        if self.gone:
            return "it ended"
        if now - self._asked > ASK_SECONDS:
            self._asked = now
            self.send("/status")
        return "it answers no more" if now - self._last_reply > SILENT_SECONDS else ""

    def kill(self) -> None:
        """Does nothing: Antiphon does not end an external scsynth."""

    def send_after_end(self, leaves: Sequence[bytes]) -> None:
        """Starts a helper process that sends packets to scsynth once this process has ended, for whatever reason."""
        speaking = self.socket.fileno()
        words = [sys.executable, "-I", "-S", "-c", _LEAVER, str(speaking)]
        self._leaver = spawn(words, lane=ChildLane(PIPE, fds=(speaking,)))
        host, port = self.address
        # scsynth knows a client by its port: the process has this socket
        lines = [f"{host}:{port}", *(packet.hex() for packet in (*leaves, osc.encode("/notify", 0)))]
        self._leaver.feed("\n".join(lines).encode())

    def close(self) -> None:
        """Removes this client's nodes and buffers from scsynth."""
        if self._leaver is None:
            self.send("/notify", 0)
        else:
            self._leaver.finish()
            self._leaver.wait()
        self.socket.close()
