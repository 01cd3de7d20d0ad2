"""The interface between the engine's loop and a driver."""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

OF_OUTPUT = "="
"""Input device of PortAudio: the one with the output's name, or none where it has no input at the rate."""


@dataclass(frozen=True, slots=True)
class DriverOptions:
    """Driver options of `serve`.

    `pairs`: the source of each two channels of the output device, by `output_buses`; () for the graph's output alone.
    """

    rate: int = 48000  # Hz
    block: int = 256  # frames of a block
    channels: int = 2
    ahead: int = 0  # blocks between input and output; 0 chooses by block size
    input: str = ""  # name of the input device; "" is the default device
    output: str = ""  # name of the output device; "" is the default device
    name: str = "antiphon"
    buffer_blocks: int = 8  # least blocks of a software clock's virtual device buffer
    soft: bool = False  # the device is a software clock too: a jackd without a sound card
    late_ns: int = 0  # how late this machine wakes a thread at the worst, as measured at the start; 0 where it was not
    pairs: tuple[str, ...] = ()
    server: str = ""  # name of the JACK server; "" is that of the environment
    device_rate: int = 0  # Hz, of a PortAudio device; 0 as `rate`
    device_block: int = 0  # frames that a PortAudio device asks for at once; 0 as `block`

    @property
    def outs(self) -> tuple[str, ...]:
        """Names of the output device's channels."""
        if len(self.pairs) < 2:
            return tuple(f"out_{n + 1}" for n in range(self.channels))
        sides = [(pair, side) for pair in self.pairs for side in (0, 1)]
        return tuple(
            f"out_{int(pair.partition('-')[0]) + side}" if pair[0].isdigit() else f"{pair}_{side + 1}"
            for pair, side in sides
        )

    @property
    def room(self) -> int:
        """Number of the output device's channels, with those that may be added while it runs."""
        return len(self.outs)

    def blocks_ahead(self, block: int, rate: int) -> int:
        """Blocks between input and output: as given, else by the block size and the measured wake-up lateness."""
        least = self.buffer_blocks if self.soft else default_ahead(block)
        return self.ahead or max(least, ahead_for(self.late_ns, block, rate))


MAX_AHEAD = 16
"""Most blocks of `--ahead`."""


def default_ahead(block: int) -> int:
    """Blocks between input and output that kept up on a loaded 2-core machine (docs/decisions/README.md, 0007)."""
    return 4 if block <= 64 else 2


def ahead_for(late_ns: int, block: int, rate: int) -> int:
    """Least blocks ahead, at most `MAX_AHEAD`, at which no block is missed that begins `late_ns` late."""
    return min(MAX_AHEAD, math.ceil(late_ns * rate / (block * 1e9)) + 1)


class PaceWord(IntEnum):
    """Indices of a driver's own 64-bit words, shared by the interpreter's loop and the machine code's."""

    NEXT = 0  # the block waited for: its number, of a device that of its call
    FIRST = 1  # of a device: what is added to the number of a call
    ORIGIN = 2  # of a software clock: CLOCK_MONOTONIC of sample 0
    BUFFER = 3  # of a software clock: blocks of its virtual device buffer
    MISSED = 4  # of a software clock
    LATE = 5
    DELIVERED = 6  # of a device: the call whose block was delivered last
    SILENT_MS = 7  # of a device: for how long it has not asked for a block
    FRAMES = 8  # of a block
    RATE = 9
    GONE = 10  # of a device: 1 once it is given up, though it may still call
    SIZE = 11


def pace_words(block: int, rate: int) -> NDArray[np.int64]:
    """Words of a stopped driver, indexed by `PaceWord`."""
    words = np.zeros(PaceWord.SIZE, np.int64)
    words[PaceWord.FRAMES], words[PaceWord.RATE] = block, rate
    return words


class Driver(Protocol):
    """Block clock, with or without an audio device. Block numbers count from sample 0."""

    name: str
    rate: int  # Hz, as requested: a device at another one is converted
    block: int  # frames of a block, as requested, whatever the device asks for at once
    device_rate: int  # Hz, what the device itself runs at
    device_block: int  # frames that it asks for at once
    channels: int  # channels of the input; `deliver` gets those of `DriverOptions.outs`
    latency: int  # latency of the device, frames
    ring: int  # frames between the input and the output of a block in the driver's slots
    pace: NDArray[np.int64]
    device: (
        int  # address of the words of the device's callback (`engine.callback.CallbackWord`); 0 for a software clock
    )
    bell: int  # the bell that the callback rings; -1 for a software clock

    def start(self, first: int, origin_ns: int) -> None:
        """Starts the block clock at number `first`. `origin_ns` is the CLOCK_MONOTONIC of sample 0."""

    def wait(self) -> int:
        """Waits for the block now due; returns its number. Skipped ones are missed; -1: no request in time."""

    def time_of(self, block: int) -> int:
        """CLOCK_MONOTONIC, ns, at which the device asked for the block."""

    def deadline(self, block: int) -> int:
        """CLOCK_MONOTONIC, ns, until which the block can be delivered safely."""

    def counts(self) -> tuple[int, int, int]:
        """(missed blocks, late blocks, xruns that the device reported) since the start."""

    def alive(self) -> bool:
        """True while the device asks for blocks; False for good once it is lost."""

    def stop(self) -> None:
        """Plays the delivered blocks, and closes the device."""
