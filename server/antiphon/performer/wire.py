"""Connects to a server: OSC over TCP, its beat, and its messages to subscribers."""

import contextlib
import socket
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from antiphon.client import LOCAL
from antiphon.client.connection import OscConnection
from antiphon.files.owner_token import TokenProof, find_token, nonce
from antiphon.kernel.errors import EngineError
from antiphon.kernel.wire.osc import Arg, Double, Long, Message, encode, encode_bundle
from antiphon.live.records import MIDI, OUTSIDE
from antiphon.performer.outgoing import SentEvent

_MAX_UNSENT = 8 << 20
"""Maximum unsent bytes; a server that reads nothing is treated as gone."""
_TEMPO_SECONDS = 0.5
"""Window in seconds of the tempo measurement."""
_MAX_EXTRAPOLATION = 0.05
"""Maximum extrapolation of the beat after its last answer, in seconds."""


class ServerConnection:
    """A connection that reconnects. `connected`: whether it is open."""

    def __init__(self, port: int) -> None:
        """Makes a closed connection. `port`: the server's OSC port."""
        self.port = port
        self.connected = False
        self._connection: OscConnection | None = None
        self._out = bytearray()

    def fileno(self) -> int:
        """Descriptor for `select`; -1 while closed."""
        return -1 if self._connection is None else self._connection.socket.fileno()

    @property
    def own_port(self) -> int:
        """Local port of the connection; 0 while closed."""
        return 0 if self._connection is None else int(self._connection.socket.getsockname()[1])

    def open(self) -> bool:
        """Opens the connection and subscribes; returns whether a server answers."""
        self.close()
        try:
            self._connection = OscConnection(LOCAL, self.port, tcp=True, timeout=1.0)
        except EngineError:
            return False
        self._connection.socket.setblocking(False)
        self._out, self.connected = bytearray(), True
        self.send("/notify", 1)
        return True

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self.connected = None, False

    def send(self, address: str, *args: Arg) -> None:
        """Sends a message; ignored without a connection."""
        if self._connection is not None:
            self._out += self._connection.wrap(encode(address, *args))
        self.flush()

    def play(self, event: SentEvent) -> None:
        """Sends a message that takes effect at its beat."""
        self.send("/at", Double(event.beat), event.address, *map(_exact, event.args))

    def flush(self) -> None:
        """Sends as much as the connection accepts."""
        if self._connection is None:
            return
        try:
            while self._out:
                del self._out[: self._connection.socket.send(self._out)]
        except BlockingIOError:
            if len(self._out) > _MAX_UNSENT:
                self.close()
        except OSError:
            self.close()

    def messages(self) -> Iterator[Message]:
        """Reads the messages that have arrived. Closes the connection when the server ends it."""
        self.flush()
        if self._connection is None:
            return
        try:
            yield from self._connection.messages_of_now()
        except OSError:
            self.close()


class BeatClock:
    """Estimate of the server's beat from its answers."""

    def __init__(self) -> None:
        self._answers: deque[tuple[float, float]] = deque()
        self._tempo = 120.0

    def tempo(self, bpm: float) -> None:
        """Sets the server's tempo, used until there are enough answers to measure it."""
        self._tempo = bpm

    def answer(self, beat: float, at: float) -> None:
        """Adds the server's beat, from an answer received at a time in seconds."""
        answers = self._answers
        if answers and beat < answers[-1][1]:
            answers.clear()
        answers.append((at, beat))
        while len(answers) > 1 and at - answers[1][0] >= _TEMPO_SECONDS:
            answers.popleft()  # one stays that is older: a gap is no tempo of before

    @property
    def running(self) -> bool:
        """Whether an answer arrived since the connection was opened."""
        return bool(self._answers)

    def forget(self) -> None:
        """Clears the measurements when the connection is lost."""
        self._answers.clear()

    def bpm(self) -> float:
        """Tempo; 0 while the clock is stopped."""
        (first, begin), (last, end) = self._answers[0], self._answers[-1]
        if last - first < _TEMPO_SECONDS / 2:
            return self._tempo
        return (end - begin) / (last - first) * 60.0

    def beat_at(self, at: float) -> float:
        """Beat at a time in seconds; never ahead of the server's."""
        last, beat = self._answers[-1]
        return beat + min(max(at - last, 0.0), _MAX_EXTRAPOLATION) * self.bpm() / 60.0


def _exact(value: Any) -> Arg:
    if isinstance(value, float):
        return Double(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Long(value) if abs(value) >= 1 << 31 else value
    return value if isinstance(value, bool | str) else str(value)


_EPOCH = 2_208_988_800
"""Seconds from 1900, the epoch of OSC, to 1970."""
_STATUS = {"@/note/on": 0x90, "@/note/off": 0x80, "@/cc": 0xB0}


def to_midi(event: SentEvent) -> SentEvent:
    """The message `/midi/out` for an event that goes to a MIDI port."""
    number, value, channel, port = event.args
    status = _STATUS[event.address] + int(channel) - 1
    return replace(event, address="/midi/out", args=(str(port).removeprefix(MIDI), status, int(number), round(value)))


class OutsidePrograms:
    """UDP socket to other programs; unsendable messages are counted in `lost`."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self.lost = 0

    def send(self, address: str, args: tuple[Any, ...], later: float) -> None:
        """Sends a message with a timetag `later` seconds from now."""
        host, _, rest = address.removeprefix(OUTSIDE).partition(":")
        port, _, path = rest.partition("/")
        tag = int((time.time() + max(later, 0.0) + _EPOCH) * 2**32)
        packet = encode_bundle(tag, [encode(f"/{path}", *args)])
        try:
            self._socket.sendto(packet, (host, int(port)))
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Closes the socket."""
        with contextlib.suppress(OSError):
            self._socket.close()


class Handover:
    """The performing program's end of `antiphon.performer.script_gate`."""

    def __init__(self, folder: Path) -> None:
        """Accepts nothing before `begin`. `folder`: the configuration folder, with the token."""
        self._folder = folder
        self._token = self._asked = ""
        self._proof: TokenProof | None = None
        self._number = 0

    def begin(self) -> str:
        """Nonce for a new connection; "" if this user has no token."""
        self._token, self._proof, self._number = "", None, 0
        with contextlib.suppress(OSError):
            self._token = find_token(self._folder)
        self._asked = nonce() if self._token else ""
        return self._asked

    def answer(self, port: int, given: str, proof: object) -> str:
        """Response to a server's challenge.

        It proves the token to the server; "" if the server has not proved its own, or was not asked.
        """
        asked, self._asked = self._asked, ""  # one answer to each question
        found = TokenProof(self._token, port, asked, given)
        if not asked or not found.check(proof, "server"):
            return ""
        self._proof, self._number = found, 0
        return found.make("performer")

    def takes(self, script: str, number: int, proof: object) -> bool:
        """Whether to perform a script: its proof is valid, and its number above all accepted ones."""
        found = self._proof
        if found is None or number <= self._number or not found.check(proof, "perform", str(number), script):
            return False
        self._number = number
        return True
