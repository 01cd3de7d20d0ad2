"""The engine process: forked by the supervisor, warm; asks control for its plan, then runs until told to stop."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from antiphon.contract.block import Samples, StreamSpec
from antiphon.contract.catalog import Catalog
from antiphon.contract.processor import Processor
from antiphon.engine.drivers.base import Driver, DriverOptions
from antiphon.engine.graph_player import GraphPlayer
from antiphon.engine.loader import Loader
from antiphon.engine.loop import EngineLoop
from antiphon.engine.shared import HeaderWord, Shared
from antiphon.errors import AntiphonError
from antiphon.graph.clock import TempoMap
from antiphon.runtime import scheduling
from antiphon.runtime.child_process import DEVICE_GONE, NO_DEVICE, listening
from antiphon.runtime.console import say
from antiphon.synth import info as synths
from antiphon.workers import pool as pools
from antiphon.workers.arena import Arena, Bells
from antiphon.workers.devices import Device

FIFO_PRIORITY = 60
"""Below what jackd -R takes for itself, above all that is not sound."""
DRIVERS = {"headless": 0, "jack": 1, "portaudio": 2}
LONG_LOOP = 1 << 21
"""Frames above which resampling a loop as a whole would take seconds; its ends then meet to within -60 dB."""


class FileLoop:
    """A sound that loops without a seam: block in, block out, at any place from frame 0 on, and silence before."""

    def __init__(self, samples: Samples, channels: int, block: int) -> None:
        """samples: float32 `[channels, frames]`; mono goes to all channels."""
        if samples.shape[0] < channels:
            samples = np.repeat(samples[:1], channels, axis=0) if samples.shape[0] == 1 else np.concatenate(
                [samples, np.zeros((channels - samples.shape[0], samples.shape[1]), np.float32)]
            )  # fmt: skip
        self._sound = np.ascontiguousarray(samples[:channels], np.float32)
        self._out: Samples = np.zeros((channels, block), np.float32)

    def block(self, sample: int, frames: int) -> Samples:
        """The `frames` that begin at `sample` of the endless loop; silence where that is below 0."""
        if sample < 0:
            self._out.fill(0.0)
            return self._out[:, :frames]
        length = self._sound.shape[1]
        at, done = sample % length, 0
        while done < frames:
            count = min(frames - done, length - at)
            self._out[:, done : done + count] = self._sound[:, at : at + count]
            done += count
            at = 0
        return self._out[:, :frames]


def make_driver(name: str, options: DriverOptions) -> Driver:
    """A started driver, or EngineError."""
    if name == "jack":
        from antiphon.engine.drivers.jack import JackDriver

        return JackDriver(options)
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
    arena: Arena,
    bells: Bells,
    device: Device,
    weigher: socket.socket,
    *,
    fifo: bool,
    synth: bool,
) -> int:
    """The engine's life, after the fork. Returns an exit status. synth: its worker is started at once."""
    words = shared.words
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    listening()
    words[HeaderWord.ENGINE_PID], words[HeaderWord.ENGINE_STATE] = os.getpid(), 1
    words[HeaderWord.DRIVER] = DRIVERS[driver_name]
    spec = StreamSpec(options.rate, options.block, options.channels)
    stage = GraphPlayer(spec)
    # before the device's thread is made: it inherits them
    scheduling.short_slices()
    try:
        driver = make_driver(driver_name, options)
    except AntiphonError as error:
        say(str(error))
        return NO_DEVICE
    words[HeaderWord.LATENCY_DRIVER], words[HeaderWord.LATENCY_RING] = driver.latency, driver.ring
    overlay = FileLoop(sound, options.channels, options.block) if sound is not None else None
    pool = pools.Pool(arena, bells, device)
    pools.use(pool)
    if synth:
        choice = synths.chosen()
        pool.open(choice.info.worker(spec.rate, spec.block, dict(choice.settings)))
    loop = EngineLoop(stage, driver, shared, bell, overlay, pool)
    # started first: a thread inherits the scheduling class, and this one is not to have the sound's
    Loader(loop, peer, catalog, make, pool, weigher).thread.start()
    _calm(fifo, words)
    # an engine that follows a dead one goes on where the clock is, not where the other stopped
    if words[HeaderWord.ORIGIN_NS] == 0:
        words[HeaderWord.ORIGIN_NS] = time.monotonic_ns()
    origin, period = words[HeaderWord.ORIGIN_NS], options.block * 1e9 / options.rate
    died = words[HeaderWord.TAP_WRITE]
    first = max(int((time.monotonic_ns() - origin) / period) + 1, died)
    if died == 0:
        words[HeaderWord.FIRST_BLOCK] = first
    driver.start(first, origin)
    if died:
        stage.tempo = _tempo_of(shared)
    loop.begin(first, died)
    words[HeaderWord.ENGINE_STATE] = 2
    while not ending:
        if not loop.run_block() and not driver.alive():
            words[HeaderWord.ENGINE_STATE] = 1
            return DEVICE_GONE
    loop.end()
    words[HeaderWord.ENGINE_STATE] = 3
    driver.stop()
    return 0


def _tempo_of(shared: Shared) -> TempoMap:
    """The tempo map as the engine before this one left it."""
    words, floats = shared.words, shared.floats
    bpm = floats[HeaderWord.TEMPO] or 120.0
    return TempoMap(
        words[HeaderWord.RATE],
        bpm,
        words[HeaderWord.HEARTBEAT] * words[HeaderWord.BLOCK],
        floats[HeaderWord.BEAT],
        bpm,
        0.0,
        bool(words[HeaderWord.PLAYING]),
    )


def _calm(fifo: bool, words: memoryview) -> None:
    """No collector, short turns at the interpreter lock, and the scheduling class that is permitted."""
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(1e-4)
    words[HeaderWord.POLICY] = int(fifo and scheduling.fifo(FIFO_PRIORITY))
    if not words[HeaderWord.POLICY]:
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
