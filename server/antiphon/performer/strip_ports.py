"""Process of `serve --strip-ports`: plays each strip at separate JACK ports, two blocks after the output.

Its clients use the engine's driver. In each cycle they play what the engine computed for the same cycle. Ports are
permanent: when strips are added, another client opens with their ports.
"""

import signal
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from antiphon.files.tracks import CaptureReader
from antiphon.kernel.engine.callback import DEPTH, CallbackWord
from antiphon.kernel.engine.drivers.base import DriverOptions, PaceWord
from antiphon.kernel.engine.drivers.jack import JackDriver
from antiphon.kernel.engine.shared import HeaderWord, Shared
from antiphon.kernel.io.capture_memory import CHANNELS, CaptureMemory
from antiphon.kernel.runtime.processes.child_process import listening

MAX_CLIENTS, MOST_PORTS = 8, int(CallbackWord.IN_TAGS - CallbackWord.PORTS_OUT)
LOOK_SECONDS = 0.25
"""Seconds between checks for new strips."""
LATER = 2
"""Blocks after the output, in which the engine's work for a cycle is awaited."""


@dataclass(frozen=True, slots=True)
class _StripOptions(DriverOptions):
    names: tuple[str, ...] = ()

    @property
    def outs(self) -> tuple[str, ...]:
        return self.names


class _StripClient(JackDriver):
    """One client. `names`: names of its ports, from `STRIP_1` on."""

    def __init__(self, options: _StripOptions) -> None:
        super().__init__(options)
        self.names = options.names
        self._rows: dict[tuple[int, int], int] = {}  # row of each number and channel in the ring
        self._samples = np.zeros((len(options.names), options.block), np.float32)
        self._waiting: deque[tuple[int, int]] = deque(maxlen=DEPTH)  # blocks to play, and what the engine calls them
        self.start(0, 0)

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


def _signed_difference(value: int) -> int:
    """The lowest 32 bits of a difference of frame numbers."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def run(shared: Shared, memory: CaptureMemory, options: DriverOptions) -> int:
    """Runs the process; returns after SIGTERM, or when JACK has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    listening()
    clients: list[tuple[_StripClient, CaptureReader]] = []
    labels: list[list[Any]] = []
    looked = 0.0
    while not ending and all(client.alive() for client, _ in clients):
        if time.monotonic() - looked > LOOK_SECONDS:
            looked, told = time.monotonic(), memory.named()
            if told and told != labels:
                labels = told
                ports = {f"{name}_{n + 1}": (number, n) for number, name, count, _ in labels for n in range(count)}
                new = tuple(port for port in ports if not any(port in client.names for client, _ in clients))
                if new and len(clients) < MAX_CLIENTS:
                    made = _client(shared, options, len(clients), new[:MOST_PORTS])
                    clients.append((made, CaptureReader(memory)))
                    labels = labels if len(new) <= MOST_PORTS else []  # more of them in the next turn
                for client, _ in clients:
                    client.look_up(ports)
        for client, reader in clients:
            client.turn(shared, memory, reader)
        if not clients:
            time.sleep(LOOK_SECONDS)
    for client, _ in clients:
        client.stop()
    return 0


def _client(shared: Shared, options: DriverOptions, number: int, names: tuple[str, ...]) -> _StripClient:
    ahead = shared.words[HeaderWord.LATENCY_RING] // options.block + LATER
    name = f"{options.name}-strips" + (f"-{number + 1}" if number else "")
    given = options.rate, options.block, 0, min(ahead, DEPTH - 3)
    return _StripClient(_StripOptions(*given, name=name, server=options.server, names=names))
