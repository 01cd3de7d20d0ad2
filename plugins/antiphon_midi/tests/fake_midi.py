"""A fake MIDI system for tests of control: a backend that says it is one. No library, no thread: the test sends."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator


class FakeMidi:
    """there, sinks: names of ports there now.  sent, dates: what went out, and for when.

    gone: the whole system has.
    """

    name = "fake"
    dropped = 0
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
