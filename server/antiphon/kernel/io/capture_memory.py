"""The last minutes of every node's sound, in one ring that engine and recorder share, and their cut by the beat.

A slot holds one block of one channel of one node, and its tag says which; slots are taken one after the other, so that
few nodes are kept longer than many in the same memory. The sound is in a ring of rows: channels that are equal in a
block share one, and silence has none. A third ring has the beat at the first sample of each block, by which bars are
cut also where the tempo has changed since. The engine never waits: a reader refuses data that was overwritten while it
read.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.ports import MIXED
from antiphon.kernel.errors import RequestError
from antiphon.kernel.runtime.platform import anonymous_file

CHANNELS = 256
"""Maximum channels of a node: an owner is the node's number times this, plus the channel."""
MIN_BYTES, MAX_BYTES, SHARE = 32 << 20, 256 << 20, 8
"""Minimum and maximum bytes of the ring, and the share of the free memory at the start that it may take."""
_HEADER, _NAMES, _SLOT = 65536, 64, 40
"""Bytes before the slots, offset of the names among them, and bytes of a slot without its sound."""


@dataclass(frozen=True, slots=True)
class CaptureShape:
    """The numbers that determine the memory's size."""

    rate: int  # Hz
    block: int  # frames of a block
    rows: int  # blocks of one channel that the ring holds as sound

    @property
    def slots(self) -> int:
        """Number of blocks of one channel that are kept, shared rows included, and of blocks whose beat is kept."""
        return 2 * self.rows

    @staticmethod
    def of(rate: int, block: int, free: int) -> CaptureShape | None:
        """Returns the shape of a memory of an eighth of `free` bytes, at most 256 MiB; None if that is under 32 MiB."""
        size = min(MAX_BYTES, free // SHARE)
        return CaptureShape(rate, block, size // (4 * block + 2 * _SLOT)) if size >= MIN_BYTES else None


class CaptureMemory:
    """The mapping and its parts.

    Attributes:
        place: Two int64: the slot that is taken next (`slots` for the first one), and the number of rows begun.
        tags: int64 for each slot: number of its block, plus one; 0 while the slot changes.
        owners: int64 for each slot.
        rows: int64 for each slot: number of its row, counted from the first row begun; -1 for silence.
        beat_tags: int64 for each block's beat, like `tags`.
        sound: float32 `[shape.rows, block]`; row n is at n modulo `shape.rows`.
    """

    def __init__(self, fd: int, shape: CaptureShape) -> None:
        self.shape = shape
        slots, block = shape.slots, shape.block
        total = _HEADER + slots * _SLOT + shape.rows * 4 * block
        self.fd = anonymous_file("antiphon-capture", total) if fd < 0 else fd
        self.map = mmap.mmap(self.fd, total)
        self.place = np.frombuffer(self.map, np.int64, 2)
        table = np.frombuffer(self.map, np.int64, 5 * slots, _HEADER).reshape(5, slots)
        self.tags, self.owners, self.rows, self.beat_tags = table[:4]
        self.beats = table[4].view(np.float64)  # float64, the beat at that block's first sample
        sound = np.frombuffer(self.map, np.float32, shape.rows * block, _HEADER + _SLOT * slots)
        self.sound = sound.reshape(shape.rows, block)

    def __reduce__(self) -> Any:
        return CaptureMemory, (self.fd, self.shape)  # the same mapping, in a process that has the descriptor

    @staticmethod
    def create(shape: CaptureShape) -> CaptureMemory:
        """Creates a mapping with an inheritable descriptor; pages take memory once they are written."""
        return CaptureMemory(-1, shape)

    def name(self, labels: Sequence[Sequence[Any]]) -> None:
        """Writes the names of the sounds in the ring, each a `journal.TrackLabel`; `named` reads them."""
        text = json.dumps(labels).encode()[: _HEADER - _NAMES - 1]
        self.map[_NAMES : _NAMES + len(text) + 1] = text + b"\n"

    def read_names(self) -> list[list[Any]]:
        """Names written by `name`; none while they change."""
        text = self.map[_NAMES : max(_NAMES, self.map.find(b"\n", _NAMES, _HEADER))]
        try:
            return list(json.loads(text))
        except ValueError:
            return []

    def tags_of(self, slots: NDArray[np.int64] | slice) -> NDArray[np.int64]:
        """A copy of the tags of slots, 0 where the row has been overwritten."""
        rows = self.rows[slots]
        kept = (rows < 0) | (rows >= self.place[1] - self.shape.rows)
        return np.where(kept, self.tags[slots], 0)

    def sound_of(self, slots: NDArray[np.int64] | np.int64) -> Samples:
        """Sound of slots that are not silent, float32 `[slots, block]`, or of one slot, `[block]`."""
        sound: Samples = self.sound[self.rows[slots] % self.shape.rows]
        return sound

    def cut(self, node: int, bars: int, bar: int) -> Samples:
        """Cuts the last `bars` whole bars, of `bar` beats each, out of the memory, float32 `[frames, channels]`.

        Raises RequestError: the node made no sound in them, or they are not in the memory.
        """
        first, last = self._bar_line_samples(bars, bar)
        block, begin = self.shape.block, first // self.shape.block
        tags, owners, sounds = self.tags_of(slice(None)), self.owners.copy(), self.rows >= 0
        within = (tags > begin) & (tags <= -(-last // block)) & np.isin(owners // CHANNELS, (node, node + MIXED))
        slots = np.flatnonzero(within)
        if not len(slots):
            raise RequestError("it made no sound in these bars; name a node with an output, or wire one to it")
        count = int(owners[slots].max() % CHANNELS) + 1
        found = np.zeros((-(-last // block) - begin, block, count), np.float32)
        heard = slots[sounds[slots]]
        found[tags[heard] - 1 - begin, :, owners[heard] % CHANNELS] = self.sound_of(heard)
        if not np.array_equal(self.tags_of(slots), tags[slots]):
            raise RequestError("these bars were overwritten while they were read; capture fewer")
        return found.reshape(-1, count)[first - begin * block : last - begin * block]

    def _bar_line_samples(self, bars: int, bar: int) -> tuple[int, int]:
        """The samples of the first and the last bar line of the last whole bars."""
        tags, beats, kept = self.beat_tags.copy(), self.beats.copy(), self.tags_of(slice(None))
        kept = kept[kept > 0]
        # of the oldest block a part may be overwritten already
        order = np.argsort(tags)
        order = order[tags[order] > (int(kept.min()) if len(kept) else 0)]
        blocks, at = tags[order] - 1, beats[order]
        step = np.diff(at)
        lines = np.ceil(at[:-1] / bar) * bar
        # where the beat stands or jumps there is no bar line between two blocks
        crossed = np.flatnonzero((step > 0) & (step < bar) & (lines < at[1:]))
        if len(crossed) < 2:
            raise RequestError("no whole bar is kept yet; try again in a bar or two")
        if len(crossed) <= bars:
            count = len(crossed) - 1
            raise RequestError(f"of {bars} bars {count} are kept; capture {count}, or try again later")
        ends = crossed[[-1 - bars, -1]]
        if lines[ends[1]] - lines[ends[0]] != bars * bar:
            raise RequestError("the beat jumped in these bars; capture fewer, or try again later")
        share = (lines[ends] - at[ends]) / step[ends] * np.diff(blocks)[ends]
        first, last = np.round((blocks[ends] + share) * self.shape.block).astype(int)
        return int(first), int(last)
