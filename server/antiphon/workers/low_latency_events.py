"""The short way of a played note: from control to the worker that plays it, ahead of the engine's block.

The engine is told the same event in the same moment, with the same serial. What it does stays the truth: it routes,
keeps the set, and its hop confirms what the worker has played. Only a stream that one node alone has goes this way.
A bounded ring a worker; control writes, the worker reads.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator, Sequence

import numpy as np

from antiphon.contract.processor import Event
from antiphon.workers.arena import EXPRESS, EXPRESS_BYTES, Arena, SlotWord, State, WorkerEntry, WorkerWord

_RECORD = struct.Struct("<qqiiiid")
_KINDS = ("on", "off", "control", "bend")
_SERIALS = 0xFFFFF0
"""So many until they begin again: below 2^24, for a float32 carries them."""
FIRST = 2
"""The smallest serial: 1 says of an event that it was played, without one."""
BACK_NS = 1_000_000_000
"""For how long a node's events take the engine's way after one that had to: what follows must not overtake it."""


class Express:
    """Control's end. wakes: the workers' bells, one each."""

    def __init__(self, arena: Arena, wakes: Sequence[int]) -> None:
        self._entries, self._wakes = arena.entries, wakes
        self._back: dict[int, int] = {}

    def send(self, node: int, kind: str, number: int, value: float, channel: int) -> int:
        """Hands an event for the engine's node `node` to its worker; its serial, or 0 where there is no short way."""
        for entry in self._entries:
            words = entry.words
            if not (words[WorkerWord.TAKES] and words[WorkerWord.WANTED]):
                continue
            slots = entry.slots
            found = np.flatnonzero((slots[:, SlotWord.NODE] == node) & (slots[:, SlotWord.OPEN] > 0))
            if not len(found):
                continue
            now = time.monotonic_ns()
            # two while another plan is prepared: which of them the engine plays it by is not known here
            if len(found) == 1 and words[WorkerWord.STATE] == State.RUNNING and now >= self._back.get(node, 0):
                serial = self._push(entry, int(found[0]), kind, number, value, channel)
                if serial:
                    return serial
            if len(self._back) > EXPRESS:
                self._back = {n: until for n, until in self._back.items() if until > now}
            self._back[node] = now + BACK_NS
            return 0
        return 0

    def _push(self, entry: WorkerEntry, slot: int, kind: str, number: int, value: float, channel: int) -> int:
        words, at = entry.words, entry.words[WorkerWord.EXPRESS_WRITE]
        stream = entry.slot(slot, SlotWord.OPEN)
        if entry.slot(slot, SlotWord.READY) != stream or at - words[WorkerWord.EXPRESS_READ] >= EXPRESS:
            return 0
        serial = at % _SERIALS + FIRST
        place = at % EXPRESS * EXPRESS_BYTES
        _RECORD.pack_into(entry.express, place, serial, stream, slot, _KINDS.index(kind), number, channel, value)
        words[WorkerWord.EXPRESS_WRITE] = at + 1
        os.eventfd_write(self._wakes[entry.number], 1)
        return serial


class EventReader:
    """The worker's end. What was sent to the one before it is passed over."""

    def __init__(self, entry: WorkerEntry) -> None:
        self._words, self._data = entry.words, entry.express
        self._words[WorkerWord.EXPRESS_READ] = self._words[WorkerWord.EXPRESS_WRITE]

    def drain(self) -> Iterator[tuple[int, int, Event]]:
        """(slot, its stream's serial, event), oldest first."""
        words = self._words
        at = words[WorkerWord.EXPRESS_READ]
        while at < words[WorkerWord.EXPRESS_WRITE]:
            place = at % EXPRESS * EXPRESS_BYTES
            serial, stream, slot, kind, number, channel, value = _RECORD.unpack_from(self._data, place)
            at += 1
            words[WorkerWord.EXPRESS_READ] = at
            yield slot, stream, Event(_KINDS[kind], 0, number, value, channel, 0, True, serial)
