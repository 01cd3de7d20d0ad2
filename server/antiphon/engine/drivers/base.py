"""What the engine's loop asks of a driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from antiphon.contract.block import Samples


@dataclass(frozen=True, slots=True)
class DriverOptions:
    """What `serve` was asked for. input, output: device names ("" the default); ahead 0: by block size."""

    rate: int = 48000
    block: int = 256
    channels: int = 2
    ahead: int = 0
    input: str = ""
    output: str = ""
    name: str = "antiphon"
    buffer_blocks: int = 8


def default_ahead(block: int) -> int:
    """Blocks between input and output that kept up on a loaded 2-core machine (docs/decisions/0007-ring-depth.md)."""
    return 4 if block <= 64 else 2


class Driver(Protocol):
    """A clock with, perhaps, a device. Block numbers count from the stream's start.

    rate, block, channels: as the device runs, which may differ from what was asked.
    latency: of the device itself, in frames.  ring: frames between input and output slots.
    exact: the driver's clock is CLOCK_MONOTONIC itself, so no loop needs to follow it.
    """

    name: str
    rate: int
    block: int
    channels: int
    latency: int
    ring: int
    exact: bool

    def start(self, first: int, origin_ns: int) -> None:
        """Begins to ask for blocks; the next is number `first`. origin_ns: CLOCK_MONOTONIC of sample 0."""

    def wait(self) -> int:
        """Until a block is due; its number. A number above the next means the ones between were missed."""

    def input(self, block: int) -> Samples:
        """The block's input, float32 `[channels, block]`."""

    def deliver(self, block: int, samples: Samples) -> bool:
        """The block's output; False when it came too late to be heard."""

    def time_of(self, block: int) -> int:
        """CLOCK_MONOTONIC, ns, at which the device asked for it."""

    def deadline(self, block: int) -> int:
        """CLOCK_MONOTONIC, ns, until which the block can be delivered with room to spare."""

    def counts(self) -> tuple[int, int, int]:
        """(missed, late, device's own skipped cycles) since the start."""

    def alive(self) -> bool:
        """False once the device is gone."""

    def stop(self) -> None: ...
