"""Process of `serve --strip-ports`: plays each strip at separate JACK ports, two blocks after the output.

Its clients use the engine's driver. In each cycle they play what the engine computed for the same cycle. A port stays
when its strip leaves: the next strip of that name has it again and, where no other port is left, one of another name.
"""

import contextlib
import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from antiphon.files.tracks import CaptureReader
from antiphon.kernel.engine.callback import DEPTH, CallbackWord
from antiphon.kernel.engine.drivers.base import DriverOptions, PaceWord
from antiphon.kernel.engine.drivers.jack import JackDriver
from antiphon.kernel.engine.shared import HeaderWord, Shared
from antiphon.kernel.errors import EngineError
from antiphon.kernel.io.capture_memory import CHANNELS, CaptureMemory
from antiphon.kernel.runtime.processes.child_process import unblock_signals

log = logging.getLogger("antiphon.performer")
MAX_CLIENTS, MOST_PORTS = 8, int(CallbackWord.IN_TAGS - CallbackWord.PORTS_OUT)
LOOK_SECONDS = 0.25
"""Seconds between checks for new strips."""
WAIT_SECONDS = 1.0
"""Seconds between attempts to reach a JACK server that is away."""
LATER = 2
"""Blocks after the output, in which the engine's work for a cycle is awaited."""


@dataclass(frozen=True, slots=True)
class _StripOptions(DriverOptions):
    @property
    def outs(self) -> tuple[str, ...]:
        return ()

    @property
    def room(self) -> int:
        return MOST_PORTS


class _StripClient(JackDriver):
    """One client. `names`: names of its ports, from `STRIP_1` on."""

    def __init__(self, options: _StripOptions) -> None:
        super().__init__(options)
        self.names: list[str] = []
        self._rows: dict[tuple[int, int], int] = {}  # row of each number and channel in the ring
        self._samples = np.zeros((MOST_PORTS, options.block), np.float32)
        self._waiting: deque[tuple[int, int]] = deque(maxlen=DEPTH)  # blocks to play, and what the engine calls them
        self.start(0, 0)

    def take(self, name: str, present: Collection[str]) -> bool:
        """Registers a port, or renames one of no present strip; returns False if there is none."""
        if len(self.names) < MOST_PORTS:
            self.add_port(name)
            self.names.append(name)
            return True
        row = next((row for row, old in enumerate(self.names) if old not in present), -1)
        if row < 0:
            return False
        self.rename_port(row, name)
        self.names[row] = name
        return True

    def _wire(self, options: DriverOptions) -> None:
        """Does nothing: the studio connects the ports."""

    def look_up(self, ports: dict[str, tuple[int, int]]) -> None:
        """Looks up where the sound of each port is."""
        self._rows = {ports[name]: row for row, name in enumerate(self.names) if name in ports}

    def turn(self, shared: Shared, memory: CaptureMemory, reader: CaptureReader) -> None:
        """Waits for a cycle, and plays the blocks that the engine has computed meanwhile."""
        if (block := self.wait()) < 0:
            return
        words = shared.words
        # the engine's block of the same cycle: JACK leaves cycles out for one client and not for another
        call = block - self._pace[PaceWord.FIRST]
        frames = self.state.view[CallbackWord.FRAME_BEGUN] + call * self.block - words[HeaderWord.FRAME_BEGUN]
        here = words[HeaderWord.TAP_WRITE] * self.block
        number = (here + _signed_difference(frames - here)) // self.block
        self._waiting.append((block, number))
        done = words[HeaderWord.TAP_WRITE] - 1  # a block is in the ring after it is counted
        while self._waiting and self._waiting[0][1] < done:
            place, number = self._waiting.popleft()
            self._samples.fill(0.0)
            for slot in reader.slots(number, 1):
                row = self._rows.get(divmod(int(memory.owners[slot]), CHANNELS))
                if row is not None and memory.rows[slot] >= 0:
                    self._samples[row] = memory.sound_of(slot)
            self.deliver(place, self._samples)


class StripClients:
    """All clients: each new port goes to the first that has room, then to a new client, then to one that is free."""

    def __init__(self, opened: Callable[[int], _StripClient], memory: CaptureMemory) -> None:
        """`opened`: opens the client of a number, from 0. Raises EngineError: there is no JACK server."""
        self._opened, self._memory = opened, memory
        self.all: list[tuple[_StripClient, CaptureReader]] = []
        self._without: set[str] = set()

    def follow(self, ports: dict[str, tuple[int, int]]) -> None:
        """Gives every port of the present strips to a client; says once which have none.

        Raises EngineError: there is no JACK server. A port that it refuses is that strip's loss alone.
        """
        known = {name for client, _ in self.all for name in client.names}
        for name in ports:
            why = f"{MAX_CLIENTS} clients have {MOST_PORTS} ports each; remove a strip"
            try:
                there = name in known or self._take(name, ports)
            except EngineError as error:
                if not self.all:
                    raise
                there, why = False, str(error)
            if there:
                self._without.discard(name)
            elif name not in self._without:
                self._without.add(name)
                log.warning("%s has no JACK port: %s", name, why)
        for client, _ in self.all:
            client.look_up(ports)

    def _take(self, name: str, present: Collection[str]) -> bool:
        if not self.all or (len(self.all) < MAX_CLIENTS and len(self.all[-1][0].names) == MOST_PORTS):
            self.all.append((self._opened(len(self.all)), CaptureReader(self._memory)))
        return any(client.take(name, present) for client, _ in reversed(self.all))


def _signed_difference(value: int) -> int:
    """The lowest 32 bits of a difference of frame numbers."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def run(shared: Shared, memory: CaptureMemory, options: DriverOptions) -> int:
    """Runs the process; returns after SIGTERM, or when JACK has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    unblock_signals()
    clients = StripClients(partial(_client, shared, options), memory)
    labels: list[list[Any]] = []
    looked, waits = 0.0, False
    while not ending and all(client.alive() for client, _ in clients.all):
        if time.monotonic() - looked > (WAIT_SECONDS if waits else LOOK_SECONDS):
            looked, told = time.monotonic(), memory.read_names()
            if told and told != labels:
                ports = {f"{name}_{n + 1}": (number, n) for number, name, count, _ in told for n in range(count)}
                try:
                    with contextlib.nullcontext() if clients.all else quiet_jack():
                        clients.follow(ports)
                    labels, waits = told, False
                except EngineError as error:  # looked at again until JACK is there
                    if not waits:
                        waits = True
                        log.warning("the strips have no ports: %s", error)
        for client, reader in clients.all:
            client.turn(shared, memory, reader)
        if not clients.all:
            time.sleep(LOOK_SECONDS)
    for client, _ in clients.all:
        client.stop()
    return 0


@contextlib.contextmanager
def quiet_jack() -> Iterator[None]:
    """Context without the lines that the JACK library itself writes, five for each attempt where no server answers."""
    import jack

    jack.set_error_function(lambda message: None)
    try:
        yield
    finally:
        jack.set_error_function(None)


def _client(shared: Shared, options: DriverOptions, number: int) -> _StripClient:
    ahead = shared.words[HeaderWord.LATENCY_RING] // options.block + LATER
    name = f"{options.name}-strips" + (f"-{number + 1}" if number else "")
    given = options.rate, options.block, 0, min(ahead, DEPTH - 3)
    return _StripClient(_StripOptions(*given, name=name, server=options.server))
