"""Engine's end of one slot: posts hops, and takes their answers when they are due."""

from __future__ import annotations

import time
from collections import deque
from enum import Enum, auto
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import WorkerLost
from antiphon.kernel.workers.arena import MAX_DEPTH, SlotWord, State, WorkerEntry, WorkerWord, tag
from antiphon.kernel.workers.hop_kernels import EpochWord, answer_there, hand_over, hop_continues, worker_runs
from antiphon.kernel.workers.spec import WorkerSpec

_SPINS = 500
"""Polls before a wait sleeps, about 30 µs: the cost of a sleep and wake-up."""
_LOOK_MS = 1
"""Longest sleep before the tag is polled again: the bell may be rung between the last poll and the sleep."""
_GIVEN_UP_NS = 1_000_000_000
"""Maximum wait of a replay for an answer that was missing live, such as to a hop at which every worker crashes."""


class StreamPool(Protocol):
    """Pool interface that a stream uses."""

    lockstep: bool
    until_ns: int  # CLOCK_MONOTONIC until which `Stream.take` may wait for an answer in this block
    waited_ns: int
    rung: NDArray[np.int64]

    def flush(self) -> None:
        """Wakes the marked workers."""

    def wait_answer(self, worker: int, milliseconds: float) -> None:
        """Waits for a worker's answer, at most the given time."""

    def revived(self, stream: Stream) -> bool:
        """True if a stream's worker runs again after it ended."""

    def call_zygote(self, entry: WorkerEntry) -> None:
        """Wakes the zygotes, which read the workers' words."""

    def close(self, stream: Stream) -> None:
        """Releases a stream's slot."""


class HopStart(Enum):
    """How a hop starts: it continues the epoch or begins one, which requires the worker's settings again."""

    CONTINUES = auto()
    BEGINS = auto()
    NO_WORKER = auto()


class Stream:
    """Hops of one node through one slot of a worker, opened by `current_pool().open`.

    `start`, `input`, `post` and `take` are for the block path, from one thread. An epoch is a sequence of hops without
    a gap, from an initial state. It ends if the worker dies, or is behind by a whole ring; the next hop begins another.
    """

    def __init__(self, pool: StreamPool, entry: WorkerEntry, slot: int, spec: WorkerSpec, serial: int) -> None:
        self.spec, self.entry, self.slot, self.serial = spec, entry, slot, serial
        self._pool, self._words, self._depth = pool, entry.words, spec.depth
        tags = slice(slot * MAX_DEPTH, (slot + 1) * MAX_DEPTH)
        self._tags_in, self._tags_out = entry.tags_in[tags], entry.tags_out[tags]
        rings = entry.rings(spec)
        self._in, self._out = rings[0][slot], rings[1][slot]
        self.words = np.zeros(EpochWord.SIZE, np.int64)  # where it is, for machine code (`EpochWord`)
        self._own: memoryview[int] = memoryview(self.words)  # type: ignore[arg-type]
        self._own[EpochWord.EPOCH] = entry.slot(slot, SlotWord.EPOCH)
        self._own[EpochWord.BROKEN] = self._own[EpochWord.ABSENT] = 1
        # (number, first hop) of earlier epochs: a replay may take answers of several
        self._past: deque[tuple[int, int]] = deque(maxlen=MAX_DEPTH)
        self.misses = 0
        self.lane = np.array(self._layout(), np.int64)  # `LaneWord`
        self._lane = self.lane.ctypes.data

    @property
    def answers(self) -> bool:
        """True if its worker runs, and the last answer arrived."""
        return self.runs() and not (self._own[EpochWord.BROKEN] or self._own[EpochWord.ABSENT])

    @property
    def lockstep(self) -> bool:
        """True if every answer is waited for."""
        return self._pool.lockstep

    def _layout(self) -> list[int]:
        entry = self.entry
        slots = entry.slots[self.slot]
        tags = [np.frombuffer(tags, np.int64).ctypes.data for tags in (self._tags_in, self._tags_out)]
        return [
            self.words.ctypes.data,
            np.frombuffer(entry.words, np.int64).ctypes.data,
            slots.ctypes.data,
            *tags,
            self._in.ctypes.data,
            self._out.ctypes.data,
            self._in[0].size,
            self._out[0].size,
            self._depth,
            self.serial,
            self._pool.rung.ctypes.data,
            1 << entry.number,
        ]

    def runs(self) -> bool:
        """True if the worker can answer."""
        return bool(worker_runs.call(self._lane))

    def start(self, hop: int, wait: bool = True) -> HopStart:
        """Decides, before a hop is posted, whether it continues the epoch.

        Returns whether the hop continues the epoch or begins one; where there is no worker, nothing is to be posted.
        """
        # Goal: the worker's state is that of the hops before, without a gap; otherwise a new epoch begins, and answers
        # of the old one are told apart by their tags.
        own = self._own
        if not self.runs():
            own[EpochWord.BROKEN] = 1
            if not wait or not self._pool.revived(self):
                return HopStart.NO_WORKER
        if not own[EpochWord.BROKEN] and hop_continues.call(self._lane, hop, 0):
            return HopStart.CONTINUES
        if self._pool.lockstep and not self._finished() and not (wait and self._pool.revived(self)):
            return HopStart.NO_WORKER
        self._begin(hop)
        return HopStart.BEGINS

    def _finished(self) -> bool:
        """Waits for the answers of the present epoch before a new one begins. Returns False when the worker ended."""
        own = self._own
        last = own[EpochWord.POSTED] - 1
        if last >= own[EpochWord.FIRST] and own[EpochWord.BORN] == self._words[WorkerWord.GENERATION]:
            self._wait(last % self._depth, tag(own[EpochWord.EPOCH], last), time.monotonic_ns() + _GIVEN_UP_NS)
        return self.runs()

    def _begin(self, hop: int) -> None:
        own = self._own
        self._past.append((own[EpochWord.EPOCH], own[EpochWord.FIRST]))
        own[EpochWord.EPOCH] += 1
        own[EpochWord.FIRST], own[EpochWord.BORN] = hop, self._words[WorkerWord.GENERATION]
        own[EpochWord.BROKEN] = 0
        # Warning: EPOCH is written last: the worker begins the epoch on it and reads the words above.
        put = self.entry.set_slot
        put(self.slot, SlotWord.FIRST, hop)
        put(self.slot, SlotWord.BORN, own[EpochWord.BORN])
        put(self.slot, SlotWord.EPOCH, own[EpochWord.EPOCH])
        self.entry.change()

    def input(self, hop: int) -> Samples:
        """Write buffer of a hop, for use before it is posted.

        Returns float32 `[*inputs]` of the spec, in shared memory.
        """
        into: Samples = self._in[hop % self._depth]
        return into

    def post(self, hop: int) -> None:
        """Posts a written hop to the worker, which is woken at the end of the block."""
        # The samples are in place: `input` gave the caller the slot itself. The tag hands it over.
        hand_over.call(self._lane, hop)

    def take(self, hop: int, needed: bool = True) -> Samples | None:
        """Returns the answer to a hop. Live it waits within the block's time, for files without a limit.

        Returns float32 `[*outputs]` of the spec, valid for as many hops as the ring holds; None where it is late.
        Raises WorkerLost: for files: an answer that is needed is missing for good.
        """
        if self._pool.lockstep:
            return self._certain(hop, needed)
        own = self._own
        if hop < own[EpochWord.FIRST] or hop >= own[EpochWord.POSTED]:
            self._missed()
            return None
        place = hop % self._depth
        # after a late answer there is no wait for the next, so that a hung worker costs one wait and an ended one none;
        # answers that are there already are still taken
        late = own[EpochWord.BROKEN] or (own[EpochWord.ABSENT] and hop != own[EpochWord.FIRST])
        if not answer_there.call(self._lane, hop):
            wanted = tag(own[EpochWord.EPOCH], hop)
            if late or not self._wait(place, wanted, self._pool.until_ns):
                self._missed()
                return None
        own[EpochWord.ABSENT] = 0
        answer: Samples = self._out[place]
        return answer

    def _missed(self) -> None:
        self._own[EpochWord.ABSENT] = 1
        self.misses += 1
        self.entry.set_slot(self.slot, SlotWord.MISSES, self.misses)

    def _certain(self, hop: int, needed: bool) -> Samples | None:
        """Waits for the answer without a limit; for an unneeded one `_GIVEN_UP_NS`, to keep the state."""
        own = self._own
        new, place = hop >= own[EpochWord.FIRST], hop % self._depth
        wanted = tag(own[EpochWord.EPOCH] if new else self._epoch_of(hop), hop)
        until = self._pool.until_ns if needed else time.monotonic_ns() + _GIVEN_UP_NS
        comes = new and hop < own[EpochWord.POSTED]
        if self._tags_out[place] == wanted or (comes and self._wait(place, wanted, until)):
            answer: Samples = self._out[place]
            return answer
        if needed:
            reason = self.entry.reason or "has ended"
            raise WorkerLost(f"the worker {self.spec.name} {reason}; the work ends where its answer is missing")
        if comes and not own[EpochWord.BROKEN]:
            self.blame()
        self._missed()
        return None

    def _epoch_of(self, hop: int) -> int:
        """Number of the last epoch whose first hop is not after `hop`."""
        return next((epoch for epoch, first in reversed(self._past) if first <= hop), 0)

    def _wait(self, place: int, wanted: int, until_ns: int) -> bool:
        words, own, pool, tags = self._words, self._own, self._pool, self._tags_out
        pool.flush()
        for _ in range(_SPINS):
            if tags[place] == wanted:
                return True
        number, began = self.entry.number, time.monotonic_ns()
        words[WorkerWord.WAITING] = 1
        try:
            while tags[place] != wanted:
                if words[WorkerWord.STATE] != State.RUNNING or own[EpochWord.BORN] != words[WorkerWord.GENERATION]:
                    own[EpochWord.BROKEN] = 1
                    return False
                left = until_ns - time.monotonic_ns()
                if left <= 0:
                    return False
                pool.wait_answer(number, min(_LOOK_MS, left / 1e6))
        finally:
            words[WorkerWord.WAITING] = 0
            pool.waited_ns += time.monotonic_ns() - began
        return True

    def blame(self) -> None:
        """Requests a restart of the worker because one of its answers cannot be played."""
        self._words[WorkerWord.BLAMED] = self._own[EpochWord.BORN]
        self._own[EpochWord.BROKEN], self._own[EpochWord.POSTED] = 1, 0
        self._pool.call_zygote(self.entry)

    def reset(self) -> None:
        """Resets the stream: the next hop begins an epoch."""
        self._own[EpochWord.BROKEN] = self._own[EpochWord.ABSENT] = 1

    def retry(self) -> None:
        """Requests a start of a permanently failed worker."""
        self._words[WorkerWord.RETRY] += 1
        self._pool.call_zygote(self.entry)

    def close(self) -> None:
        """Releases the slot. Off the block path."""
        self._pool.close(self)
