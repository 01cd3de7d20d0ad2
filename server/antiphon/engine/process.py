"""The engine process: forked by the supervisor, warm; asks control for its plan, then runs until told to stop."""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from antiphon import scheduling
from antiphon.block import Samples, StreamSpec
from antiphon.catalog import Catalog
from antiphon.children import DEVICE_GONE, NO_DEVICE, listening
from antiphon.clock import TempoMap
from antiphon.engine.drivers.base import Driver, DriverOptions
from antiphon.engine.loop import Loop, NextPlan
from antiphon.engine.shared import Shared, Word
from antiphon.engine.stage import Stage
from antiphon.errors import AntiphonError
from antiphon.graph import Graph
from antiphon.plan import Plan, compile_plan
from antiphon.processor import Processor

FIFO_PRIORITY = 60
"""Below what jackd -R takes for itself, above all that is not sound."""
DRIVERS = {"headless": 0, "jack": 1, "portaudio": 2}
_MAX_MESSAGE = 8 << 20
LONG_LOOP = 1 << 21
"""Frames above which resampling a loop as a whole would take seconds; its ends then meet to within -60 dB."""


class FileLoop:
    """A sound that loops without a seam, by the sample clock: block in, block out, at any place."""

    def __init__(self, samples: Samples, channels: int, block: int) -> None:
        """samples: float32 `[channels, frames]`; mono goes to all channels."""
        if samples.shape[0] < channels:
            samples = np.repeat(samples[:1], channels, axis=0) if samples.shape[0] == 1 else np.concatenate(
                [samples, np.zeros((channels - samples.shape[0], samples.shape[1]), np.float32)]
            )  # fmt: skip
        self._sound = np.ascontiguousarray(samples[:channels], np.float32)
        self._out: Samples = np.zeros((channels, block), np.float32)

    def block(self, sample: int, frames: int) -> Samples:
        """The `frames` that begin at `sample` of the endless loop."""
        length = self._sound.shape[1]
        at, done = sample % length, 0
        while done < frames:
            count = min(frames - done, length - at)
            self._out[:, done : done + count] = self._sound[:, at : at + count]
            done += count
            at = 0
        return self._out[:, :frames]


class Loader:
    """The engine's second thread: makes plans, and says what the loop has to say."""

    def __init__(self, loop: Loop, peer: socket.socket, catalog: Catalog, make: Callable[[str], Processor]) -> None:
        self._loop, self._peer, self._catalog, self._make = loop, peer, catalog, make
        self._plan: Plan | None = None
        self.thread = threading.Thread(target=self._run, name="loader", daemon=True)

    def _run(self) -> None:
        self._say({"said": "started", "pid": os.getpid()})
        poll = select.poll()
        poll.register(self._peer.fileno(), select.POLLIN)
        while True:
            if poll.poll(50):
                try:
                    message = json.loads(self._peer.recv(_MAX_MESSAGE, socket.MSG_DONTWAIT))
                except (BlockingIOError, ConnectionError):
                    message = {}
                if message.get("do") == "load":
                    self._load(message)
            self._loop.stage.retired.clear()
            while self._loop.to_say:
                self._say(self._loop.to_say.popleft())

    def _load(self, message: dict[str, object]) -> None:
        serial = message["serial"]
        spec = self._loop.stage.spec
        try:
            graph = Graph.from_json(message["graph"])  # type: ignore[arg-type]
            ids: dict[str, int] = message["ids"]  # type: ignore[assignment]
            plan = compile_plan(graph, self._catalog, self._make, spec, ids, self._plan)
        except AntiphonError as error:
            self._say({"said": "refused", "serial": serial, "reason": str(error)})
            return
        except Exception as error:
            self._say({"said": "refused", "serial": serial, "reason": f"{type(error).__name__}: {error}"})
            return
        plan.watched = True
        words = self._loop.shared.words

        def at_work(number: int) -> None:
            words[Word.AT_WORK] = number

        plan.at_work = at_work
        blamed, words[Word.BLAMED] = words[Word.BLAMED], 0
        aside = (0, "")
        if blamed in plan.hosts:
            aside = (blamed, "hung or crashed the engine")
            plan.hosts[blamed].stand_aside(aside[1])
            self._say({"said": "failed", "node": blamed, "reason": aside[1]})
        self._plan = plan
        deadline = time.monotonic() + 10.0
        while self._loop.next_plan is not None and time.monotonic() < deadline:
            time.sleep(0.001)  # the plan before this one has not been taken yet
        fade = float(message.get("fade", 0.0))  # type: ignore[arg-type]
        tempo = float(message.get("tempo", 0.0))  # type: ignore[arg-type]
        text = json.dumps(message).encode()
        self._loop.next_plan = NextPlan(plan, int(serial), fade, tempo, text, aside)  # type: ignore[call-overload]

    def _say(self, message: dict[str, object]) -> None:
        try:
            self._peer.send(json.dumps(message).encode())
        except OSError as error:
            print(f"antiphon: engine could not reach control: {error}", file=sys.stderr, flush=True)


def make_driver(name: str, options: DriverOptions) -> Driver:
    """A started driver, or EngineError."""
    if name == "jack":
        from antiphon.engine.drivers.jack import Jack

        return Jack(options)
    if name == "portaudio":
        from antiphon.engine.drivers.portaudio import PortAudio

        return PortAudio(options)
    from antiphon.engine.drivers.headless import Headless

    return Headless(options)


def run(
    shared: Shared,
    bell: int,
    peer: socket.socket,
    driver_name: str,
    options: DriverOptions,
    catalog: Catalog,
    make: Callable[[str], Processor],
    sound: Samples | None,
    *,
    fifo: bool,
) -> int:
    """The engine's life, after the fork. Returns an exit status."""
    words = shared.words
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    listening()
    words[Word.ENGINE_PID], words[Word.ENGINE_STATE] = os.getpid(), 1
    words[Word.DRIVER] = DRIVERS[driver_name]
    spec = StreamSpec(options.rate, options.block, options.channels)
    stage = Stage(spec)
    try:
        driver = make_driver(driver_name, options)
    except AntiphonError as error:
        print(f"antiphon: {error}", file=sys.stderr, flush=True)
        return NO_DEVICE
    words[Word.LATENCY_DRIVER], words[Word.LATENCY_RING] = driver.latency, driver.ring
    overlay = FileLoop(sound, options.channels, options.block) if sound is not None else None
    loop = Loop(stage, driver, shared, bell, overlay)
    # started first: a thread inherits the scheduling class, and this one is not to have the sound's
    Loader(loop, peer, catalog, make).thread.start()
    _calm(fifo, words)
    # an engine that follows a dead one goes on where the clock is, not where the other stopped
    if words[Word.ORIGIN_NS] == 0:
        words[Word.ORIGIN_NS] = time.monotonic_ns()
    origin, period = words[Word.ORIGIN_NS], options.block * 1e9 / options.rate
    died = words[Word.TAP_WRITE]
    first = max(int((time.monotonic_ns() - origin) / period) + 1, died)
    if died == 0:
        words[Word.FIRST_BLOCK] = first
    driver.start(first, origin)
    stage.sample = first * options.block
    if died:
        stage.tempo = _tempo_of(shared)
    loop.journal.started(stage.sample, died * options.block)
    words[Word.ENGINE_STATE] = 2
    while not ending:
        if not loop.run_block() and not driver.alive():
            words[Word.ENGINE_STATE] = 1
            return DEVICE_GONE
    words[Word.ENGINE_STATE] = 3
    driver.stop()
    return 0


def _tempo_of(shared: Shared) -> TempoMap:
    """The tempo map as the engine before this one left it."""
    words, floats = shared.words, shared.floats
    bpm = floats[Word.TEMPO] or 120.0
    return TempoMap(
        words[Word.RATE], bpm, words[Word.HEARTBEAT] * words[Word.BLOCK], floats[Word.BEAT], bpm, 0.0,
        bool(words[Word.PLAYING]),
    )  # fmt: skip


def _calm(fifo: bool, words: memoryview) -> None:
    """No collector, short turns at the interpreter lock, and the scheduling class that is permitted."""
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(1e-4)
    words[Word.POLICY] = int(fifo and scheduling.fifo(FIFO_PRIORITY))
    if not words[Word.POLICY]:
        scheduling.short_slices()


def load_sound(path: Path, rate: int) -> Samples:
    """A whole file at `rate`, decoded in a capped child, that still loops. Raises FileError."""
    from antiphon.io.audiofile import read

    sound = read(path)
    if sound.rate == rate:
        return sound.samples
    if sound.samples.shape[1] > LONG_LOOP:
        return read(path, rate=rate).samples
    return resampled_loop(sound.samples, sound.rate, rate)


def resampled_loop(samples: Samples, rate: int, wanted: int) -> Samples:
    """Float32 `[channels, frames]` from one rate to another as the endless loop it is part of: its ends still meet."""
    frames = samples.shape[1]
    longer = max(1, round(frames * wanted / rate))
    made: Samples = np.empty((samples.shape[0], longer), np.float32)
    for row, into in zip(samples, made, strict=True):
        spectrum = np.fft.rfft(row)
        below = (min(frames, longer) + 1) // 2  # what both rates hold; the highest bin alone has no phase
        into[:] = np.fft.irfft(spectrum[:below], longer) * (longer / frames)
    return made
