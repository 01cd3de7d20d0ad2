"""The memory through which engine and web process exchange sound: of nodes, for listeners; of a browser, as input.

One anonymous mapping, created by the supervisor. It is separate from the memory that control and engine share, so that
the process that strangers talk to can write only the wanted nodes, and sound. A tap copies one node's first output:
block by block, into a ring of slots, each with the number of its block. The engine never waits for a reader; a late
reader finds a newer block's number in a slot, and knows which blocks it missed.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from antiphon.kernel.runtime.platform import anonymous_file

TAPS = 4
"""Maximum nodes that can be listened to at a time."""
RING_SECONDS = 1.0
"""Seconds of sound that a ring holds: several times the lateness of a reader with a low priority."""


class TapWord(IntEnum):
    """Indices of the 64-bit words. The first `TAPS` are the numbers of the wanted nodes, written by web; 0: none."""

    WRITE = TAPS  # block after the last one written; by the engine
    INPUT_OPEN = TAPS + 1  # 1 while a browser sends sound; by web
    INPUT_WRITE = TAPS + 2  # frames of that sound written so far; by web
    INPUT_READ = TAPS + 3  # frames read so far; by the engine, and by web while the input is not open
    INPUT_GAPS = TAPS + 4  # how often the sound ran out or was skipped; by the engine


WORDS = 16
INPUT_FRAMES = 1 << 16
"""Length in frames of the ring of a browser's sound: over half a second at any rate."""


@dataclass(frozen=True, slots=True)
class TapShape:
    """The numbers that determine the memory's size."""

    rate: int  # Hz
    block: int  # frames of a block
    channels: int
    slots: int  # blocks that a ring holds

    @staticmethod
    def for_audio(rate: int, block: int, channels: int) -> TapShape:
        """A shape whose rings hold `RING_SECONDS` of sound, and 16 blocks at least."""
        return TapShape(rate, block, channels, max(16, round(RING_SECONDS * rate / block)))

    @property
    def slot_bytes(self) -> int:
        """Bytes of one block: float32 `[channels, block]`."""
        return self.channels * self.block * 4


class TapMemory:
    """The mapping and its parts.

    `tags`: int64 for each slot of each ring: number of its block, plus one; 0 while the slot changes.
    """

    def __init__(self, fd: int, shape: TapShape) -> None:
        self.shape = shape
        slots = TAPS * shape.slots
        sound = (WORDS + slots) * 8
        heard = sound + slots * shape.slot_bytes
        total = heard + shape.channels * INPUT_FRAMES * 4
        self.fd = anonymous_file("antiphon-taps", total) if fd < 0 else fd
        self.map = mmap.mmap(self.fd, total)
        whole = memoryview(self.map)
        self.words = whole[: WORDS * 8].cast("q")  # the header as int64, indexed by tap and `TapWord`
        self.tags = whole[WORDS * 8 : (WORDS + slots) * 8].cast("q")
        self.sound = whole[sound:heard]  # the slots of all rings, as bytes
        self.input = whole[heard:]  # the sound that a browser sends: float32 `[channels, INPUT_FRAMES]`, as bytes

    def __reduce__(self) -> Any:
        return TapMemory, (self.fd, self.shape)  # the same mapping, in a process that has the descriptor

    @staticmethod
    def create(shape: TapShape) -> TapMemory:
        """Creates a mapping with an inheritable descriptor."""
        return TapMemory(-1, shape)
