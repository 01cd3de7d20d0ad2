"""Streams of hops through workers, and the pool of a process, which opens them."""

from __future__ import annotations

import math
import select
import sys
import time
import weakref
from collections import deque
from enum import Enum, auto
from typing import Any

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import WorkersFull
from antiphon.kernel.runtime.importing import versions
from antiphon.kernel.runtime.platform import c_function, hear, ring
from antiphon.kernel.workers.arena import (
    MAX_DEPTH,
    MAX_WORKERS,
    Arena,
    Bells,
    SlotWord,
    State,
    WorkerEntry,
    WorkerWord,
    tag,
)
from antiphon.kernel.workers.devices import CONTEXT as _context, Device
from antiphon.kernel.workers.hop_kernels import (
    EpochWord,
    answer_there,
    hand_over,
    hop_continues,
    wake_workers,
    worker_runs,
)
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.native import dsp

_SPINS = 500
"""Polls before a wait sleeps, about 30 µs: the cost of a sleep and wake-up."""
_LOOK_MS = 1
"""Longest sleep before the tag is polled again: the bell may be rung between the last poll and the sleep."""
_SILENT = 10 ** (-90 / 20)
"""Maximum peak of an answer that counts as inaudible."""


class HopStart(Enum):
    """How a hop starts: it continues the epoch or begins one, which requires the worker's settings again."""

    CONTINUES = auto()
    BEGINS = auto()
    NO_WORKER = auto()


class WorkerStream:
    """Hops of one node through one slot of a worker, opened by `Pool.open`.

    `start`, `input`, `post` and `take` are for the block path, from one thread. An epoch is a sequence of hops without
    a gap, from an initial state. It ends if the worker dies, or is behind by a whole ring; the next hop begins another.
    `misses`: hops whose sound was not played. A late answer that is silent is no miss, as silence was played.
    `lockstep`: whether every answer is waited for.
    """

    lockstep = False

    def __init__(self, pool: Pool, entry: WorkerEntry, slot: int, spec: WorkerSpec, serial: int) -> None:
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
        self.misses = 0
        self._late: deque[int] = deque(maxlen=MAX_DEPTH)  # hops of the epoch whose answers have not come yet
        self._answers_at, self._answer_size = self._out.ctypes.data, self._out[0].size
        self.lane = np.array(self._layout(), np.int64)  # `LaneWord`
        self._lane = self.lane.ctypes.data

    @property
    def answers(self) -> bool:
        """True if its worker runs, and the last answer arrived."""
        return self.runs() and not (self._own[EpochWord.BROKEN] or self._own[EpochWord.ABSENT])

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
        """True if the worker can answer now."""
        return bool(worker_runs.call(self._lane))

    def start(self, hop: int, wait: bool = True) -> HopStart:
        """Decides, before a hop is posted, whether it continues the epoch.

        `wait`: whether a stream in lockstep may wait for another worker. Returns whether the hop continues the epoch or
        begins one; where there is no worker, nothing is to be posted.
        """
        # Goal: the worker's state is that of the hops before, without a gap; otherwise a new epoch begins, and answers
        # of the old one are told apart by their tags.
        own = self._own
        if not self.runs():
            own[EpochWord.BROKEN] = 1
            return HopStart.NO_WORKER
        if not own[EpochWord.BROKEN] and hop_continues.call(self._lane, hop, 0):
            return HopStart.CONTINUES
        self._begin(hop)
        return HopStart.BEGINS

    def _begin(self, hop: int) -> None:
        own = self._own
        self._count_late_hops(sys.maxsize)
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
        """Write buffer of a hop before it is posted, float32 `[*inputs]` of the spec, in shared memory."""
        into: Samples = self._in[hop % self._depth]
        return into

    def post(self, hop: int) -> None:
        """Posts a written hop to the worker, which is woken at the end of the block."""
        # The samples are in place: `input` gave the caller the slot itself. The tag hands it over.
        hand_over.call(self._lane, hop)

    def take(self, hop: int, needed: bool = True) -> Samples | None:
        """Returns the answer to a hop, for which it waits within the block's time.

        `needed`: whether a stream in lockstep has to wait for it. Returns float32 `[*outputs]` of the spec, valid for
        as many hops as the ring holds; None where it is late.
        """
        own = self._own
        if self._late:
            self._count_late_hops(hop)
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
                own[EpochWord.ABSENT] = 1
                self._late.append(hop)
                return None
        own[EpochWord.ABSENT] = 0
        answer: Samples = self._out[place]
        return answer

    def _count_late_hops(self, hop: int) -> None:
        """Counts as missed the late hops whose answers held sound, or are no longer in the ring at `hop`."""
        late, size = self._late, self._answer_size
        while late:
            there, at = answer_there.call(self._lane, late[0]), self._answers_at + late[0] % self._depth * 4 * size
            if not there and late[0] > hop - self._depth:
                return
            late.popleft()
            if not (there and 0.0 <= dsp.peak.call(at, size, 1, size) <= _SILENT):
                self._count_miss()

    def _missed(self) -> None:
        self._own[EpochWord.ABSENT] = 1
        self._count_miss()

    def _count_miss(self) -> None:
        self.misses += 1
        self.entry.set_slot(self.slot, SlotWord.MISSES, self.misses)

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


_SELECTABLE = 1024
"""First descriptor number that `select` cannot take (FD_SETSIZE)."""


class Pool:
    """Streams of one process over one arena.

    `newest`: the newest processor of each type and node, from whose state the node's next one continues.
    """

    lockstep = False
    stream_class: type[WorkerStream] = WorkerStream

    def __init__(self, arena: Arena, bells: Bells, device: Device = "cpu") -> None:
        self.arena, self.bells, self.device = arena, bells, device
        self.until_ns = 0  # CLOCK_MONOTONIC until which `WorkerStream.take` may wait for an answer in this block
        self.settle_by = math.inf  # `time.monotonic()` until which a plan waits for workers, and for what nodes read
        self.waited_ns = 0  # for which streams have slept so far until an answer came, or was late
        self.streams: list[WorkerStream] = []
        self.newest: weakref.WeakValueDictionary[tuple[str, int], Any] = weakref.WeakValueDictionary()
        self._serial = 0
        self.rung = np.zeros(1, np.int64)  # a bit for each worker that `flush` wakes
        self.waking = np.array([self.rung.ctypes.data, c_function("write"), 1, *bells.wake], np.int64)  # `BellWord`
        self._waking = self.waking.ctypes.data
        # an engine after a restart closes the streams of the previous one
        for entry in arena.entries:
            for slot in range(len(entry.slots)):
                # a worker that was not woken since may still have a closed stream in READY
                self._serial = max(self._serial, entry.slot(slot, SlotWord.OPEN), entry.slot(slot, SlotWord.READY))
                entry.set_slot(slot, SlotWord.OPEN, 0)
            entry.change()
            if entry.words[WorkerWord.WANTED]:
                self._leave(entry)

    # ---- off the block path

    def open(self, spec: WorkerSpec, config: str = "", node: int = 0) -> WorkerStream:
        """Opens a stream through a slot of a worker like `spec`, started if needed; it may not be ready yet.

        `config`: the stream's text for `Stepper.open`.
        """
        spec = spec.with_versions(versions)
        entry = self._entry(spec)
        slot = self._free(entry, spec)
        assert slot is not None
        self._serial += 1
        put = entry.set_slot
        entry.set_config(slot, config)
        put(slot, SlotWord.NODE, node)
        put(slot, SlotWord.MISSES, 0)
        put(slot, SlotWord.POSTED, 0)
        put(slot, SlotWord.OPEN, self._serial)
        entry.change()
        stream = self.stream_class(self, entry, slot, spec, self._serial)
        self.streams.append(stream)
        entry.words[WorkerWord.WANTED] = 1
        ring(self.bells.keeper)
        ring(self.bells.zygotes[self.arena.place_of(spec.zygote)])
        ring(self.bells.wake[entry.number])
        return stream

    def _entry(self, spec: WorkerSpec) -> WorkerEntry:
        wanted = spec.to_json()
        for entry in self.arena.entries:
            used = entry.words[WorkerWord.STATE] or entry.words[WorkerWord.WANTED]
            if used and entry.spec_bytes == wanted and self._free(entry, spec) is not None:
                return entry
        for entry in self.arena.entries:
            if not entry.words[WorkerWord.STATE] and not entry.words[WorkerWord.WANTED]:
                entry.rings(spec)  # raises when the spec is too large
                self.arena.place_of(spec.zygote)  # raises when there is no bell for its kind
                entry.set_spec(spec)
                entry.set_reason("")
                entry.words[WorkerWord.RETRIED] = entry.words[WorkerWord.RETRY]
                return entry
        self._make_room()
        raise WorkersFull(f"there are {MAX_WORKERS} workers already; take nodes with models out, or try again")

    def _make_room(self) -> None:
        idle = [e for e in self.arena.entries if e.words[WorkerWord.STATE] and not e.words[WorkerWord.WANTED]]
        if idle:
            oldest = min(idle, key=lambda e: e.words[WorkerWord.LEFT_NS])
            oldest.words[WorkerWord.LEFT_NS] = 0
            self.call_zygote(oldest)

    def _free(self, entry: WorkerEntry, spec: WorkerSpec) -> int | None:
        return next((n for n in range(spec.slots) if not entry.slot(n, SlotWord.OPEN)), None)

    def close(self, stream: WorkerStream) -> None:
        """Releases a stream's slot; a worker without streams is ended later."""
        if stream not in self.streams:
            return
        self.streams.remove(stream)
        entry = stream.entry
        entry.set_slot(stream.slot, SlotWord.OPEN, 0)
        entry.change()
        if not any(s.entry is entry for s in self.streams):
            self._leave(entry)
        ring(self.bells.wake[entry.number])

    def _leave(self, entry: WorkerEntry) -> None:
        entry.words[WorkerWord.LEFT_NS] = time.monotonic_ns()
        entry.words[WorkerWord.WANTED] = 0

    def patience(self, most: float) -> float:
        """Seconds, at most `most`, that a `prepare` may wait for what is read beside it: the sound may wait for it."""
        return max(0.0, min(most, self.settle_by - time.monotonic()))

    @property
    def serial(self) -> int:
        """Serial of the newest stream."""
        return self._serial

    def is_settled(self, since: int = 0) -> bool:
        """True if each stream with a serial above `since` is ready, or its worker failed or is waiting to restart."""
        given_up = (State.QUARANTINED, State.REFUSED, State.WAITING)
        return all(
            s.entry.state in given_up
            or (s.entry.state == State.RUNNING and s.entry.slot(s.slot, SlotWord.READY) == s.serial)
            for s in self.streams
            if s.serial > since
        )

    def shut(self) -> None:
        """Closes all streams."""
        for stream in list(self.streams):
            self.close(stream)

    # ---- on the block path

    def flush(self) -> None:
        """Wakes the workers with a new hop."""
        wake_workers.call(self._waking)

    def wait_answer(self, worker: int, milliseconds: float) -> None:
        """Waits for a worker's answer, at most the given time."""
        bell = self.bells.answer[worker]
        if bell < _SELECTABLE:
            # poll would round up to whole milliseconds, which is most of a block of 64 frames
            rung = bool(select.select((bell,), (), (), milliseconds / 1e3)[0])
        else:
            poll = select.poll()
            poll.register(bell, select.POLLIN)
            rung = bool(poll.poll(milliseconds))
        if rung:
            try:
                hear(bell)
            except BlockingIOError:
                pass  # another read has reset it

    def call_zygote(self, entry: WorkerEntry) -> None:
        """Wakes the zygotes, which read the workers' words."""
        for bell in self.bells.zygotes:
            ring(bell)


def use(pool: Pool | None) -> None:
    """Sets the process-wide pool; after None, with which tests end theirs, the next use creates a new one."""
    _context.pool = pool
