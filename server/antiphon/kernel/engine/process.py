"""The engine process: forked by the supervisor with its modules loaded; runs blocks until SIGTERM."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.engine.driver_change import DriverChange
from antiphon.kernel.engine.drivers.base import Driver, DriverOptions
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.levels import ChosenPairs, fit_channel_count
from antiphon.kernel.engine.loop import EngineLoop
from antiphon.kernel.engine.native.loop import LoopParts
from antiphon.kernel.engine.plans.loader import Loader
from antiphon.kernel.engine.shared import DRIVERS, HeaderWord, Shared
from antiphon.kernel.engine.taps import BrowserInput, NodeCapture, NodeTaps
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.graph import overruns
from antiphon.kernel.graph.clock import TempoMap
from antiphon.kernel.io.capture_memory import CaptureMemory
from antiphon.kernel.io.tap_memory import TapMemory
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.platform import fifo as real_time, short_slices
from antiphon.kernel.runtime.processes.child_process import DEVICE_GONE, NO_DEVICE, unblock_signals
from antiphon.kernel.workers import pool as pools
from antiphon.kernel.workers.arena import Arena, Bells
from antiphon.kernel.workers.devices import Device
from antiphon.kernel.workers.spec import WorkerSpec

FIFO_PRIORITY = 60
"""Real-time priority of the engine: below jackd -R, above everything that is not audio."""


def make_driver(name: str, options: DriverOptions) -> Driver:
    """Opens the driver `name` ("jack", "portaudio", "headless"). Raises EngineError when its device cannot be used."""
    return import_driver(name)(options)


def import_driver(name: str) -> Callable[[DriverOptions], Driver]:
    """Imports the driver `name`, and JACK's library, which opens nothing: engines are forked with both."""
    if name == "jack":
        import jack  # noqa: F401

        from antiphon.kernel.engine.drivers.jack import JackDriver

        return JackDriver
    if name == "portaudio":
        from antiphon.kernel.engine.drivers.portaudio import PortAudio

        return PortAudio
    from antiphon.kernel.engine.drivers.headless import Headless

    return Headless


@dataclass(frozen=True, slots=True)
class EngineParts:
    """Memory and descriptors that the engine shares with the other processes."""

    shared: Shared
    bell: int  # wakes control
    peer: socket.socket
    arena: Arena
    bells: Bells
    device: Device
    weigher: socket.socket
    taps: TapMemory
    capture: CaptureMemory | None  # where the sound of all nodes is kept, or None


def run(
    given: EngineParts, driver_name: str, options: DriverOptions, plugins: Loaded, sound: Samples | None, *, fifo: bool,
    opens: WorkerSpec | None,
) -> int:  # fmt: skip
    """Main function after the fork: 0, `NO_DEVICE` or `DEVICE_GONE`. `sound`, `[channels, frames]`, loops as input.

    `opens`: a worker that is opened at the start.
    """
    shared, words = given.shared, given.shared.words
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    # a handler of the interpreter's cannot run while machine code plays: the byte has it return
    signals, signalling = os.pipe()
    os.set_blocking(signals, False)
    os.set_blocking(signalling, False)
    signal.set_wakeup_fd(signalling, warn_on_full_buffer=False)
    unblock_signals()
    words[HeaderWord.ENGINE_PID], words[HeaderWord.ENGINE_STATE] = os.getpid(), 1
    words[HeaderWord.DRIVER] = DRIVERS.index(driver_name)
    spec = StreamSpec(options.rate, options.block, options.channels)
    player = GraphPlayer(spec)
    # before the driver starts the device's thread, which inherits the time slices
    short_slices()
    try:
        driver = make_driver(driver_name, options)
    except AntiphonError as error:
        say(str(error))
        return NO_DEVICE
    pool = pools.Pool(given.arena, given.bells, given.device)
    pools.use(pool)
    overruns.exclude_waits(lambda: pool.waited_ns)
    if opens is not None:
        pool.open(opens)
    looped = fit_channel_count(sound, options.channels) if sound is not None else None
    loop = EngineLoop(player, driver, shared, given.bell, _loop_parts(given, looped, pool, options, spec))
    # before _reduce_interruptions: a thread inherits the scheduling class, and the loader must not run as real-time
    Loader(loop, given.peer, plugins, pool, given.weigher, DriverChange(loop, options, make_driver)).thread.start()
    _reduce_interruptions(fifo, words)
    _begin(loop, driver, shared, options.block * 1e9 / options.rate)
    words[HeaderWord.ENGINE_STATE] = 2
    if not loop.run(ending, signals):
        words[HeaderWord.ENGINE_STATE] = 1
        return DEVICE_GONE
    loop.end()
    words[HeaderWord.ENGINE_STATE] = 3
    loop.driver.stop()
    return 0


def _loop_parts(
    given: EngineParts, looped: Samples | None, pool: pools.Pool, options: DriverOptions, spec: StreamSpec
) -> LoopParts:
    keeping = NodeCapture(given.capture) if given.capture is not None else None
    pairs = ChosenPairs(options.pairs, spec) if len(options.pairs) > 1 else None
    return LoopParts(looped, pool, NodeTaps(given.taps), keeping, BrowserInput(given.taps), pairs)


def _begin(loop: EngineLoop, driver: Driver, shared: Shared, period: float) -> None:
    """Starts the driver; an engine after a crash continues at the clock's sample, not where the other one stopped."""
    words = shared.words
    if words[HeaderWord.ORIGIN_NS] == 0:
        words[HeaderWord.ORIGIN_NS] = time.monotonic_ns()
    origin, died = words[HeaderWord.ORIGIN_NS], words[HeaderWord.TAP_WRITE]
    first = max(int((time.monotonic_ns() - origin) / period) + 1, died)
    if died == 0:
        words[HeaderWord.FIRST_BLOCK] = first
    driver.start(first, origin)
    if died:
        loop.player.tempo, loop.player.again = _tempo_of(shared), True
        loop.player.found_tempo = shared.floats[HeaderWord.FOUND_TEMPO]
    loop.begin(first, died)


def _tempo_of(shared: Shared) -> TempoMap:
    """The previous engine's tempo map at its last block."""
    words, floats = shared.words, shared.floats
    # without what a node that leads makes up for at the moment
    bpm = floats[HeaderWord.FOUND_TEMPO] or floats[HeaderWord.TEMPO] or 120.0
    return TempoMap(
        words[HeaderWord.RATE],
        bpm,
        words[HeaderWord.BEAT_SAMPLE],
        floats[HeaderWord.BEAT],
        bpm,
        0.0,
        bool(words[HeaderWord.PLAYING]),
        waits=0 if words[HeaderWord.PLAYING] else words[HeaderWord.LEADER],
    )


def _reduce_interruptions(fifo: bool, words: memoryview) -> None:
    """Turns the garbage collector off, shortens the interpreter's switch interval, and sets the scheduling class."""
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(1e-4)
    words[HeaderWord.POLICY] = int(fifo and real_time(FIFO_PRIORITY))
    if not words[HeaderWord.POLICY]:
        short_slices()
