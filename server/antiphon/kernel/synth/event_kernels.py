"""Machine code for hops without events: the test for one, and its packed head."""

from __future__ import annotations

from enum import IntEnum

from antiphon.kernel.native.compiling import kernel
from antiphon.kernel.native.kernel import f32, f32p, i64, i64p
from antiphon.kernel.workers.hop_kernels import HopWord


class EventWord(IntEnum):
    """Indices of the words of a `SynthProcessor`."""

    SKIPPED = 0  # samples by which the clock is ahead of the hops, for blocks that were missed
    WAITING = 1  # events for later hops
    SIZE = 2


@kernel
def no_events(s: i64p, words: i64p, hop: i64, sample: i64) -> i64:
    """1 if the coming block is one hop without events, else 0. words: `HopWord`; hop: its frames."""
    if s[EventWord.WAITING] != 0 or words[HopWord.FILL] != 0:
        return 0
    return 1 if words[HopWord.NUMBER] * hop + s[EventWord.SKIPPED] == sample else 0


@kernel
def quiet_head(head: f32p, sample: i64) -> None:
    """Packed head of a hop without events, as `backend.pack`."""
    head[0] = f32(0.0)
    head[1] = f32(sample >> 24)
    head[2] = f32(sample & 16777215)
