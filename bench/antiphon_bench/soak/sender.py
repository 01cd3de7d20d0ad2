"""The OSC of `bench soak`: parameters, notes and queries at a steady rate, from a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import socket
import time
from multiprocessing.connection import Connection
from types import TracebackType

import numpy as np

from antiphon_bench.rig import bundle, message, ntp

VALUES = {
    "/node/voice/gain": (0.0, 1.0),
    "/node/keys/level": (-20.0, 0.0),
    "/node/limiter/ceiling": (-12.0, -1.0),
    "/node/limiter/release": (0.05, 0.5),
    "/node/voice/wet": (0.0, 1.0),
    "/node/in/gain": (-6.0, 0.0),
}
"""Parameters of every patch with their ranges."""
QUERIES = ("/status", "/version", "/ping", "/tempo", "/beat", "/node/list", "/node/voice/gain", "/node/keys/level")
VARIANTS = 32
"""Messages of each kind encoded in advance, so that sending uses little time."""
NOTES_EVERY, QUERY_EVERY, DATED_EVERY = 50, 10, 100
"""One message in this many begins or ends a note, queries, or is a bundle with a time tag `AHEAD` seconds ahead."""
AHEAD = 0.1
_LOOK = 0.005
MAX_BEHIND = 200
"""Most overdue messages sent at once after a stall of the machine; the others are skipped."""


class Sender:
    """Sends `rate` messages a second to a port of this machine until the context ends. `sent` counts them then."""

    def __init__(self, port: int, rate: int, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.sent = 0
        self._here, there = context.Pipe()
        self._process = context.Process(target=_send, args=(port, rate, seed, there), daemon=True)
        self._process.start()
        there.close()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._here.send(None)
            if self._here.poll(10.0):
                self.sent = self._here.recv()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _send(port: int, rate: int, seed: int, end: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bench ends this process, by the pipe
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    random = np.random.default_rng(seed)
    values = [message(a, float(random.uniform(*ends))) for a, ends in VALUES.items() for _ in range(VARIANTS)]
    queries = [message(a) for a in QUERIES]
    begun, due_before, sent, turn = time.monotonic(), 0, 0, 0
    with contextlib.suppress(EOFError, OSError):
        while not end.poll(_LOOK):
            due = int((time.monotonic() - begun) * rate)
            for _ in range(min(due - due_before, MAX_BEHIND)):
                turn += 1
                with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                    sock.send(_packet(turn, values, queries, random))
                    sent += 1
            due_before = due
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                while True:
                    sock.recv(65536)
        end.send(sent)


def _packet(turn: int, values: list[bytes], queries: list[bytes], random: np.random.Generator) -> bytes:
    """Message of a turn; a note-off follows its note-on two notes later."""
    if turn % NOTES_EVERY == 0:
        place = turn // NOTES_EVERY
        note = 48 + place // 4 * 7 % 36 + place % 2
        if place % 4 < 2:
            return message("/note/on", note, 40 + turn % 60, 1, "keys")
        return message("/note/off", note, 0, 1, "keys")
    if turn % DATED_EVERY == 1:
        return bundle(ntp(time.time() + AHEAD), values[turn // DATED_EVERY % len(values)])
    if turn % QUERY_EVERY == 2:
        return queries[turn // QUERY_EVERY % len(queries)]
    return values[int(random.integers(len(values)))]
