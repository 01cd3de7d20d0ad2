"""Waiting for what a real server does, not for the clock; and what something costs, whatever else the machine does."""

import asyncio
import contextlib
import inspect
import os
import time
from collections.abc import Callable, Iterator

import pytest

from antiphon_bench.rig import ServerProcess

BUSY, PATIENCE, SHARED = 6.0, 60.0, 3.0
SHORTEST, LONGEST = 0.005, 0.1
"""Seconds between two looks: a tenth of what has passed, so that a look takes little from what is looked at."""


def until(true: Callable[[], object], seconds: float, what: str) -> None:
    """Returns once `true()` is; fails the test, with `what`, when it is not within `seconds`.

    seconds: on an idle machine. One that does much else gets `BUSY` times as many, and `PATIENCE` at least: what is
        tested is that it comes.
    """
    began, most = time.monotonic(), max(PATIENCE, BUSY * seconds)
    while not true():
        passed = time.monotonic() - began
        if passed >= most:
            pytest.fail(f"not within {most:g} s: {what}")
        time.sleep(min(LONGEST, max(SHORTEST, passed / 10)))


async def comes(true: Callable[[], object], what: str, seconds: float = 5.0) -> None:
    """As `until`, while the event loop turns. What `true` returns may be awaited."""
    most = max(PATIENCE, BUSY * seconds)
    deadline = time.monotonic() + most
    while not (await found if inspect.isawaitable(found := true()) else found):
        if time.monotonic() >= deadline:
            pytest.fail(f"not within {most:g} s: {what}")
        await asyncio.sleep(0.005)


def play_for(server: ServerProcess, seconds: float) -> None:
    """Returns once the engine of a server that answers has played `seconds` more.

    A machine with much else to do plays slower than the clock on the wall; an engine that has just begun counts from 0.
    Of less than 0 seconds, which such a machine leaves until a moment, it returns at once.
    """
    left: float = seconds
    last = server.status()
    time.sleep(max(0.0, seconds))

    def played() -> bool:
        nonlocal left, last
        status = server.status()
        blocks = status["blocks"] - last["blocks"]
        left -= (blocks if blocks >= 0 else status["blocks"]) * status["engine"]["block"] / status["engine"]["rate"]
        last = status
        return left <= 0.0

    until(played, max(1.0, seconds), f"{seconds:g} s more are played")


def complaints(server: ServerProcess | str) -> str:
    """The standard error of a server, or a text of one, without what a busy machine or a lack of synths has it say."""
    of_the_machine = "the machine stood still for", "blocks were missed, the latest", "no synth is installed"
    lines = (server if isinstance(server, str) else server.standard_error()).splitlines(keepends=True)
    return "".join(line for line in lines if not any(words in line for words in of_the_machine))


@contextlib.contextmanager
def costs_at_most(seconds: float) -> Iterator[None]:
    """Fails the test when what is inside takes much more processor time, in this process and in its ended children.

    seconds: on an idle machine. On one that does much else the same work is counted up to `SHARED` times as long.
    """
    before = sum(os.times()[:4])
    yield
    spent = sum(os.times()[:4]) - before
    assert spent < SHARED * seconds, f"{spent:.2f} s of processor time, {SHARED * seconds} s at most"
