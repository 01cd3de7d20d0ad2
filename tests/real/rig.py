"""Drivers under a real JACK server, in a process of its own: device libraries remember servers that are gone.

python -m tests.real.rig SCENARIO KIND PERIOD     prints what happened as one JSON object, its last line
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tests.sources import PYTHONPATH

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.engine.drivers.base import Driver, DriverOptions
from antiphon.kernel.engine.levels import device_pairs
from antiphon.kernel.engine.process import make_driver

RATE, GAIN = 48000, 0.5


@contextmanager
def playing(kind: str, period: int, make: Callable[[Samples, int], Samples], **options: object) -> Iterator[Driver]:
    """A driver whose blocks a thread answers, as the engine's loop would. make: (input, block) → output."""
    given = {"name": "antiphon-under-test", **options}
    driver = make_driver(kind, DriverOptions(RATE, period, 2, **given))  # type: ignore[arg-type]
    ending = threading.Event()
    driver.start(0, time.monotonic_ns())

    def answer() -> None:
        while not ending.is_set():
            block = driver.wait()
            if block >= 0:
                driver.deliver(block, make(driver.input(block), block))

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield driver
    finally:
        ending.set()
        thread.join(10.0)
        assert not thread.is_alive()
        driver.stop()


def take(sound: Samples, prefix: str, period: int, driver: Driver) -> dict[str, Any]:
    """Plays a sound into the driver under test and records what it gives, by a second client with slots to spare."""
    heard, done = np.zeros_like(sound), threading.Event()
    out = np.zeros((2, period), np.float32)
    first: list[int] = []

    def make(x: Samples, block: int) -> Samples:
        first[:] = first or [block]
        at = (block - first[0]) * period
        out.fill(0.0)
        if at + period > sound.size:
            done.set()
        else:
            heard[at : at + period] = x[0]
            out[:] = sound[at : at + period]
        return out

    # each is wired to the other by name, as `--input NAME --output NAME` would
    with playing("jack", period, make, name="antiphon-player", ahead=24, input=prefix, output=prefix) as player:
        assert done.wait(sound.size / RATE * 3 + 10), "JACK stopped calling"
        (missed, late, xruns), theirs = driver.counts(), player.counts()
    sent, came = np.flatnonzero(sound), np.flatnonzero(heard)
    return {
        "sent": sent.tolist(),
        "sent_heights": sound[sent].tolist(),
        "came": came.tolist(),
        "heights": heard[came].tolist(),
        "player": player.ring,
        "ring": driver.ring,
        "missed": missed,
        "late": late,
        # PipeWire leaves cycles of a client out without a word
        "whole": missed + xruns + theirs[0] + theirs[2] == 0 and "ANTIPHON_TEST_PIPEWIRE" not in os.environ,
    }


def clicks(frames: int) -> Samples:
    """Clicks at no multiple of any block, each of its own height."""
    sound = np.zeros(frames, np.float32)
    for n, at in enumerate(range(RATE // 2 + 13, frames - RATE // 2, 4801)):
        sound[at] = 0.25 + 0.01 * n
    return sound


NAMES = {"jack": "antiphon-under-test", "portaudio": "PortAudio"}
"""How the two show in JACK."""


def passes(kind: str, period: int) -> dict[str, Any]:
    """Clicks through a gain; and how many callbacks there were, and how many the time wants."""
    out = np.zeros((2, period), np.float32)

    def gain(x: Samples, _block: int) -> Samples:
        np.multiply(x, np.float32(GAIN), out=out)
        return out

    with playing(kind, period, gain, ahead=4) as driver:
        first, began = driver.state.calls, time.monotonic()  # type: ignore[attr-defined]
        taken = take(clicks(3 * RATE), NAMES[kind], period, driver)
        calls, seconds = driver.state.calls - first, time.monotonic() - began  # type: ignore[attr-defined]
        figures = {"rate": driver.rate, "block": driver.block, "xruns": driver.counts()[2]}
        return {**taken, **figures, "calls": calls, "wanted": seconds * RATE / period}


def stalls(kind: str, period: int) -> dict[str, Any]:
    """As `passes`, but a second in, the answer to one block takes ten blocks' time."""
    out = np.zeros((2, period), np.float32)
    stall = threading.Event()

    def slow(x: Samples, block: int) -> Samples:
        if block == RATE // period:
            stall.wait(10 * period / RATE)
        np.multiply(x, np.float32(GAIN), out=out)
        return out

    with playing(kind, period, slow) as driver:
        return take(clicks(3 * RATE), NAMES[kind], period, driver)


def pairs(kind: str, period: int) -> dict[str, Any]:
    """Six channels, the last pair the cue: the names of the ports, and the level that a second client gets on each."""
    import jack

    out = np.repeat(np.arange(1, 7, dtype=np.float32)[:, None] / 8, period, axis=1)
    played = device_pairs(2, "5-6")
    with playing("jack", period, lambda _x, _block: out, pairs=played) as driver:
        client = jack.Client("antiphon-asking", no_start_server=True)
        names = [port.shortname for port in client.get_ports(NAMES["jack"], is_output=True)]
        client.close()
        options = DriverOptions(RATE, period, 6, name="antiphon-taker", input=NAMES["jack"])
        taker, block = make_driver("jack", options), -1
        taker.start(0, time.monotonic_ns())
        levels: list[float] = []
        deadline = time.monotonic() + 10.0  # PipeWire links two clients a while after it is asked to
        while time.monotonic() < deadline:
            block = taker.wait()
            taker.deliver(block, np.zeros((6, period), np.float32))
            levels = taker.input(block)[:, -1].tolist()
            if levels == out[:, 0].tolist():
                break
        taker.stop()
        return {"names": names, "levels": levels, "channels": driver.state.outputs.shape[1]}  # type: ignore[attr-defined]


def run(scenario: str, kind: str, period: int) -> dict[str, Any]:
    """A scenario in a process of its own."""
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([PYTHONPATH, str(root)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.real.rig", scenario, kind, str(period)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines, f"exit {done.returncode}: {done.stderr[-2000:]}"
    return dict(json.loads(lines[-1]))


if __name__ == "__main__":
    told = {"passes": passes, "stalls": stalls, "pairs": pairs}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
    print(json.dumps(told), flush=True)
