"""A clock for code that is given one, which goes only when a test moves it."""

import asyncio
import time

import pytest

from antiphon.kernel.graph import overruns


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
        """Moves it: whoever sleeps by it returns at once."""
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
