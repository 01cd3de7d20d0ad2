"""Low-latency path of a played note: from control directly to the worker, ahead of the engine's block.

Control sends the same event with the same serial to the engine, which stays authoritative: it routes and records the
event, and its hop confirms what the worker has played. Only a node with exactly one stream uses this path. Each worker
has a bounded ring, which control writes and the worker reads.
"""

import struct
import time
from collections.abc import Iterator, Sequence

import numpy as np

from antiphon.kernel.contract.event import EVENT_KINDS, Event
from antiphon.kernel.runtime.platform import ring
from antiphon.kernel.workers.arena import DIRECT, DIRECT_BYTES, Arena, SlotWord, State, WorkerEntry, WorkerWord

_RECORD = struct.Struct("<qqiiiid")
_SERIALS = 0xFFFFF0
"""Number of serials before they repeat, below 2^24: a float32 carries them."""
FIRST = 2
"""Smallest serial; 1 marks a live event without one."""
BACK_NS = 1_000_000_000
"""Time for which a node's events stay on the engine's path after one that had to: later ones must not overtake it."""


class EventWriter:
    """Control's end of the rings: sends events to workers."""

    def __init__(self, arena: Arena, wakes: Sequence[int]) -> None:
        """Control's end. `wakes` are the workers' wake bells, by number."""
        self._entries, self._wakes = arena.entries, wakes
        self._back: dict[int, int] = {}
        self.batching = False
        self._batch: dict[int, int] = {}  # records in place and not yet published, by the worker's number

    def begin_batch(self) -> None:
        """Begins a batch: its events are published, and workers woken, by `end_batch`."""
        self.batching = True

    def end_batch(self) -> None:
        """Publishes the events of the batch, and wakes their workers."""
        batch, self._batch, self.batching = self._batch, {}, False
        for number, count in batch.items():
            self._publish(number, count)

    def send(self, node: int, event: Event) -> int:
        """Sends an event to a node's worker, and returns its serial.

        0 if the event was not sent because the node has no such path, or cannot use it now.
        """
        for entry in self._entries:
            words = entry.words
            if not (words[WorkerWord.TAKES] and words[WorkerWord.WANTED]):
                continue
            slots = entry.slots
            matching = np.flatnonzero((slots[:, SlotWord.NODE] == node) & (slots[:, SlotWord.OPEN] > 0))
            if not len(matching):
                continue
            now = time.monotonic_ns()
            # while a new plan is prepared there may be two streams, and control does not know which one the engine uses
            if len(matching) == 1 and words[WorkerWord.STATE] == State.RUNNING and now >= self._back.get(node, 0):
                serial = self._push(entry, int(matching[0]), event)
                if serial:
                    return serial
            if len(self._back) > DIRECT:
                self._back = {n: until for n, until in self._back.items() if until > now}
            self._back[node] = now + BACK_NS
            return 0
        return 0

    def _push(self, entry: WorkerEntry, slot: int, event: Event) -> int:
        words, batch, worker = entry.words, self._batch, entry.number
        at = words[WorkerWord.DIRECT_WRITE] + batch.get(worker, 0)
        stream = entry.slot(slot, SlotWord.OPEN)
        if entry.slot(slot, SlotWord.READY) != stream or at - words[WorkerWord.DIRECT_READ] >= DIRECT:
            return 0
        serial = at % _SERIALS + FIRST
        place = at % DIRECT * DIRECT_BYTES
        kind = EVENT_KINDS.index(event.kind)
        _RECORD.pack_into(entry.direct, place, serial, stream, slot, kind, event.number, event.channel, event.value)
        if self.batching:
            batch[worker] = batch.get(worker, 0) + 1
        else:
            self._publish(worker, 1)
        return serial

    def _publish(self, worker: int, count: int) -> None:
        self._entries[worker].words[WorkerWord.DIRECT_WRITE] += count
        ring(self._wakes[worker])


class EventReader:
    """The worker's end. It skips events that were sent to the previous process."""

    def __init__(self, entry: WorkerEntry) -> None:
        self._words, self._data = entry.words, entry.direct
        self._words[WorkerWord.DIRECT_READ] = self._words[WorkerWord.DIRECT_WRITE]

    def drain(self) -> Iterator[tuple[int, int, Event]]:
        """Removes and yields the events as (slot, serial of its stream, event), oldest first."""
        words = self._words
        at = words[WorkerWord.DIRECT_READ]
        while at < words[WorkerWord.DIRECT_WRITE]:
            place = at % DIRECT * DIRECT_BYTES
            serial, stream, slot, kind, number, channel, value = _RECORD.unpack_from(self._data, place)
            at += 1
            words[WorkerWord.DIRECT_READ] = at
            yield slot, stream, Event(EVENT_KINDS[kind], 0, number, value, channel, 0, True, serial)
