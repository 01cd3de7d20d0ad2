"""Machine-code state of streams through workers: a hop's tag, the running worker, and the workers to wake.

Warning: samples are written before the tag that publishes them (`workers.arena`).
"""

from __future__ import annotations

from enum import IntEnum

from antiphon.kernel.workers.arena import EPOCHS, HOP_BITS, MAX_WORKERS, SlotWord, State, WorkerWord
from antiphon.native.compiling import kernel
from antiphon.native.intrinsics import address_i64, as_u8p, call_c, load_acquire, offset, store_release
from antiphon.native.kernel import i64, i64p


class EpochWord(IntEnum):
    """Indices of the words of a `WorkerStream`."""

    POSTED = 0  # the hop after the last one posted
    FIRST = 1  # the epoch's first hop, its number, and the worker's generation at its start
    EPOCH = 2
    BORN = 3
    BROKEN = 4  # 1: the next hop begins an epoch
    ABSENT = 5  # 1: the last answer was missing
    SIZE = 6


class LaneWord(IntEnum):
    """Indices of a stream's constants: addresses, and sizes in floats."""

    OWN = 0  # `EpochWord`
    WORKER = 1  # `WorkerWord`
    SLOT = 2  # `SlotWord`
    TAGS_IN = 3
    TAGS_OUT = 4
    IN = 5  # the rings
    OUT = 6
    FLOATS_IN = 7
    FLOATS_OUT = 8
    DEPTH = 9
    SERIAL = 10
    RUNG = 11  # the pool's word of workers to wake, and the worker's bit of it
    BIT = 12
    SIZE = 13


class BellWord(IntEnum):
    """Indices of the words with which a pool wakes workers."""

    RUNG = 0  # address of a word with a bit for each worker to be woken
    WRITE = 1  # address of the C library's `write`
    ONE = 2  # what is written
    SIZE = 3


@kernel
def worker_tag(own: i64p, hop: i64) -> i64:
    """Tag of a hop of the present epoch, the same as `arena.tag`."""
    return i64((own[EpochWord.EPOCH] & EPOCHS) << HOP_BITS | hop)


@kernel
def answer_there(lane: i64p, hop: i64) -> i64:
    """1 if the answer to a posted hop has arrived."""
    own = address_i64(lane[LaneWord.OWN])
    tags = address_i64(lane[LaneWord.TAGS_OUT])
    return 1 if load_acquire(tags, hop % lane[LaneWord.DEPTH]) == worker_tag(own, hop) else 0


@kernel
def worker_runs(lane: i64p) -> i64:
    """1 if a stream's worker can answer: it runs, has prepared the stream, and `WorkerStream.blame` did not end it."""
    worker = address_i64(lane[LaneWord.WORKER])
    slot = address_i64(lane[LaneWord.SLOT])
    if worker[WorkerWord.STATE] != State.RUNNING or worker[WorkerWord.BLAMED] == worker[WorkerWord.GENERATION]:
        return 0
    return 1 if slot[SlotWord.READY] == lane[LaneWord.SERIAL] else 0


@kernel
def hop_continues(lane: i64p, hop: i64, ended: i64) -> i64:
    """1 if a hop that ends in this block, after `ended` others, continues the epoch.

    It does if the same generation of the worker runs, the hop is the next one, and the worker is less than the ring's
    depth behind: further behind, the hop would overwrite an unread one.
    """
    own = address_i64(lane[LaneWord.OWN])
    worker = address_i64(lane[LaneWord.WORKER])
    slot = address_i64(lane[LaneWord.SLOT])
    if worker_runs(lane) == 0 or own[EpochWord.BORN] != worker[WorkerWord.GENERATION]:
        return 0
    begun = own[EpochWord.FIRST]
    if load_acquire(slot, SlotWord.SEEN) == own[EpochWord.EPOCH]:
        begun = slot[SlotWord.CURSOR]
    if hop != own[EpochWord.POSTED] + ended or hop - begun >= lane[LaneWord.DEPTH]:
        return 0
    return 1


@kernel
def hand_over(lane: i64p, hop: i64) -> None:
    """Hands a written hop over to the worker, which is woken at the end of the block (`wake_workers`)."""
    own = address_i64(lane[LaneWord.OWN])
    store_release(address_i64(lane[LaneWord.TAGS_IN]), hop % lane[LaneWord.DEPTH], worker_tag(own, hop))
    own[EpochWord.POSTED] = hop + 1
    store_release(address_i64(lane[LaneWord.SLOT]), SlotWord.POSTED, hop + 1)
    rung = address_i64(lane[LaneWord.RUNG])
    rung[0] = rung[0] | lane[LaneWord.BIT]


@kernel
def wake_workers(bells: i64p) -> None:
    """Wakes the workers with a new hop. `bells`: `BellWord`, then the descriptor of each worker's bell."""
    rung = address_i64(bells[BellWord.RUNG])
    bits = rung[0]
    rung[0] = 0
    for n in range(MAX_WORKERS):
        if bits >> n & 1 != 0:
            call_c(bells[BellWord.WRITE], bells[BellWord.SIZE + n], as_u8p(offset(bells, BellWord.ONE)), 8)
