"""The engine's end of one slot: hops are posted, and taken at their time or never."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from antiphon.contract.block import Samples
from antiphon.errors import WorkerLost
from antiphon.workers.arena import MAX_DEPTH, SlotWord, State, WorkerEntry, WorkerWord, tag
from antiphon.workers.spec import WorkerSpec

if TYPE_CHECKING:
    from antiphon.workers.pool import Pool

_SPINS = 500
"""Looks before a wait sleeps, some 30 µs: to sleep and be woken takes as long."""
_LOOK_MS = 1
"""How long a wait lasts before it looks for itself: a bell rung between look and wait is not lost for longer."""
_GIVEN_UP_NS = 1_000_000_000
"""How long a replay waits for an answer that was missing in the set: to a hop that no worker gets through."""


class Stream:
    """One node's hops through one slot of a worker. `current_pool().open` makes it.

    `fresh`, `input`, `post` and `take` are for the block path, from one thread. An epoch is a stretch of hops without a
    gap, from a state without a past. A worker that has died, or is behind by a whole ring, ends it; the next hop begins
    another.

    Attributes:
        misses: Answers that were not there in time.
        spec: The worker's spec.
    """

    def __init__(self, pool: Pool, entry: WorkerEntry, slot: int, spec: WorkerSpec, serial: int) -> None:
        self.spec, self.entry, self.slot, self.serial = spec, entry, slot, serial
        self._pool, self._words, self._depth = pool, entry.words, spec.depth
        tags = slice(slot * MAX_DEPTH, (slot + 1) * MAX_DEPTH)
        self._tags_in, self._tags_out = entry.tags_in[tags], entry.tags_out[tags]
        rings = entry.rings(spec)
        self._in, self._out = rings[0][slot], rings[1][slot]
        self._epoch = entry.slot(slot, SlotWord.EPOCH)
        self._born = 0
        # epochs before this one and the hops they began with: a set that is replayed may ask for answers of several
        self._past: deque[tuple[int, int]] = deque(maxlen=MAX_DEPTH)
        self._posted = self._first = 0
        self._broken = True
        self._absent = True
        self.misses = 0

    def runs(self) -> bool:
        """Finds out whether there is a worker that has taken the stream, and whose answers were not refused by `blame`.

        Returns:
            Whether there is.
        """
        words = self._words
        return (
            words[WorkerWord.STATE] == State.RUNNING
            and words[WorkerWord.BLAMED] != words[WorkerWord.GENERATION]
            and self.entry.slot(self.slot, SlotWord.READY) == self.serial
        )

    def fresh(self, hop: int, wait: bool = True) -> bool | None:
        """Decides, before a hop is posted, whether it continues the epoch.

        Args:
            hop: The hop's number.
            wait: In a replay, wait for a worker that has died to be back.

        Returns:
            False where the hop continues the epoch; True where it begins one, and the worker has to be given again what
            it needs to know; None where there is no worker, and nothing is to be posted.
        """
        if not self.runs():
            self._broken = True
            if not wait or not self._pool.revived(self):
                return None
        if not self._broken and self._born == self._words[WorkerWord.GENERATION]:
            behind = hop - self._first if self.entry.slot(self.slot, SlotWord.SEEN) != self._epoch else (
                hop - self.entry.slot(self.slot, SlotWord.CURSOR)
            )  # fmt: skip
            if hop == self._posted and behind < self._depth:
                return False
        if self._pool.lockstep and not self._finished() and not (wait and self._pool.revived(self)):
            return None
        self._begin(hop)
        return True

    def _finished(self) -> bool:
        """Lets the worker answer what it was given before a new epoch takes it from there; False when it died of it."""
        last = self._posted - 1
        if last >= self._first and self._born == self._words[WorkerWord.GENERATION]:
            self._wait(last % self._depth, tag(self._epoch, last), time.monotonic_ns() + _GIVEN_UP_NS)
        return self.runs()

    def _begin(self, hop: int) -> None:
        self._past.append((self._epoch, self._first))
        self._epoch += 1
        self._first, self._born, self._broken = hop, self._words[WorkerWord.GENERATION], False
        put = self.entry.set_slot
        put(self.slot, SlotWord.FIRST, hop)
        put(self.slot, SlotWord.BORN, self._born)
        put(self.slot, SlotWord.EPOCH, self._epoch)
        self.entry.change()

    def input(self, hop: int) -> Samples:
        """Finds where a hop is to be written before it is posted.

        Args:
            hop: The hop's number.

        Returns:
            float32 `[*inputs]` of the spec, in shared memory.
        """
        into: Samples = self._in[hop % self._depth]
        return into

    def post(self, hop: int) -> None:
        """Passes a hop that is written to the worker, which is woken at the end of the block.

        Args:
            hop: The hop's number.
        """
        self._tags_in[hop % self._depth] = tag(self._epoch, hop)
        self._posted = hop + 1
        self.entry.set_slot(self.slot, SlotWord.POSTED, hop + 1)
        self._pool.ring(self.entry.number)

    def take(self, hop: int, needed: bool = True) -> Samples | None:
        """Takes the answer to a hop. Live it waits within the block's time, on files for as long as it takes.

        Args:
            hop: The hop's number.
            needed: Whether work on a file ends without it.

        Returns:
            float32 `[*outputs]` of the spec, valid until the ring has come round; None where it is not there in time.

        Raises:
            WorkerLost: On files, where an answer that is needed will never come.
        """
        if self._pool.lockstep:
            return self._certain(hop, needed)
        if hop < self._first or hop >= self._posted:
            self._missed()
            return None
        wanted, place = tag(self._epoch, hop), hop % self._depth
        # one that was late already is not waited for, so that a hung worker costs one wait, and a dead one none;
        # what it answered before stays as good as it was
        late = self._broken or (self._absent and hop != self._first)
        if self._tags_out[place] != wanted and (late or not self._wait(place, wanted, self._pool.until_ns)):
            self._missed()
            return None
        self._absent = False
        given: Samples = self._out[place]
        return given

    def _missed(self) -> None:
        self._absent = True
        self.misses += 1
        self.entry.set_slot(self.slot, SlotWord.MISSES, self.misses)

    def _certain(self, hop: int, needed: bool) -> Samples | None:
        """The answer, however long it takes. One that is not needed is waited for too: the state is to go on."""
        new, place = hop >= self._first, hop % self._depth
        wanted = tag(self._epoch if new else self._epoch_of(hop), hop)
        until = self._pool.until_ns if needed else time.monotonic_ns() + _GIVEN_UP_NS
        if self._tags_out[place] == wanted or (new and hop < self._posted and self._wait(place, wanted, until)):
            given: Samples = self._out[place]
            return given
        if needed:
            said = self.entry.reason or "has gone"
            raise WorkerLost(f"the worker {self.spec.name} {said}; the work ends where its answer is missing")
        if not self._broken and new and hop < self._posted:
            self.blame()
        self._missed()
        return None

    def _epoch_of(self, hop: int) -> int:
        """The last epoch that had begun with that hop or before."""
        return next((epoch for epoch, first in reversed(self._past) if first <= hop), 0)

    def _wait(self, place: int, wanted: int, until_ns: int) -> bool:
        words, pool, tags = self._words, self._pool, self._tags_out
        pool.flush()
        for _ in range(_SPINS):
            if tags[place] == wanted:
                return True
        number = self.entry.number
        words[WorkerWord.WAITING] = 1
        try:
            while tags[place] != wanted:
                if words[WorkerWord.STATE] != State.RUNNING or self._born != words[WorkerWord.GENERATION]:
                    self._broken = True
                    return False
                left = until_ns - time.monotonic_ns()
                if left <= 0:
                    return False
                pool.hear(number, min(_LOOK_MS, left / 1e6))
        finally:
            words[WorkerWord.WAITING] = 0
        return True

    def blame(self) -> None:
        """Ends the worker and has it started again, since an answer of it cannot be played."""
        self._words[WorkerWord.BLAMED] = self._born
        self._broken, self._posted = True, 0
        self._pool.call_zygote(self.entry)

    def reset(self) -> None:
        """Forgets the past: the next hop begins an epoch."""
        self._broken = True
        self._absent = True

    def retry(self) -> None:
        """Has a worker started again that was given up."""
        self._words[WorkerWord.RETRY] += 1
        self._pool.call_zygote(self.entry)

    def close(self) -> None:
        """Releases the slot. Off the block path."""
        self._pool.close(self)
