"""Inputs of the bar model: chords, melody, bass and drums, bar after bar, and each memory's expectations.

An event of a part is a time, sixteenths since the part's event before, and a value: an interval; of chords how far the
root moves, and the kind; of drums the instrument. Both are symbols of `Memory`, and each part has a memory of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon_answer.improviser import Improviser
from antiphon_answer.memory import INTERVALS, TIMES, WIDEST, Matches, Memory, symbols_of

PARTS = ("chords", "melody", "bass", "drums")
"""Parts in the order of their events within a bar."""
CHORDS, MELODY, BASS, DRUMS = range(len(PARTS))
KINDS = ("maj", "min", "other", "none")
LAGS = (1, 2, 4, 8)
"""Lags in bars of the same part's features at the same place."""
_PART = len(PARTS)
DRUM_NUMBERS = (
    (36, 35),
    (38, 37, 39, 40),
    (42, 44),
    (46,),
    (45, 41, 43, 47, 48, 50),
    (49, 52, 55, 57),
    (51, 53, 59),
    (54,),
)
"""General MIDI drums by class: kick, snare, hat, open hat, toms, crash, ride, other; the first of each is written."""


def _offsets(*sizes: int) -> tuple[NDArray[np.int64], int]:
    edges = np.cumsum((0, *sizes))
    return edges[:-1], int(edges[-1])


EVENT, EVENT_ROWS = _offsets(2 * _PART, _PART * INTERVALS, _PART * TIMES, 16, _PART * 48, 16, 32)
"""Offsets and number of rows of the played event's table: part and whether it is alone, value, time, bar position,
degree or chord, bar, register."""
TIME, _TIMES_PLAIN = _offsets(2 * _PART, 16 * _PART, *[_PART * (TIMES + 1)] * len(LAGS))
"""Offsets and number of rows of the table for the time of a part's next event: part, place, the times at the lags."""
VALUE, _VALUES_PLAIN = _offsets(
    2 * _PART,
    _PART * TIMES,
    16 * _PART,
    _PART * 48,
    _PART * INTERVALS,
    _PART * 49,
    *[_PART * (INTERVALS + 1)] * len(LAGS),
)
"""Of those of its value: part, time, place, degree and value before, chord or melody, the values at the lags."""
_FOLDED, _FOLDED_TIMES = 4093, 2039
"""Hash sizes of pair rows: primes, for even sharing."""
TIME_ROWS, VALUE_ROWS = _TIMES_PLAIN + 2112 + _FOLDED_TIMES, _VALUES_PLAIN + 3072 + 2 * _FOLDED


def paired_times(rows: NDArray[np.int64], time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows `[…, k]` of the table `TIME` with pair rows: the previous time with the place, and with four bars ago.

    time: `[…]`, part * TIMES + the time before.
    """
    place, ago = (rows[..., 1] - TIME[1]) % 16, (rows[..., 4] - TIME[4]) % (TIMES + 1)
    pairs = (time * 16 + place, 2112 + (time * (TIMES + 1) + ago) % _FOLDED_TIMES)
    return np.concatenate((rows, _TIMES_PLAIN + np.stack(pairs, axis=-1)), axis=-1)


def paired_values(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows `[…, k]` of the table `VALUE` with pair rows: degree with place, with previous value, and with chord."""
    single = rows - VALUE
    degree, place = single[..., 3], single[..., 2] % 16
    before, beside = single[..., 4] % INTERVALS, single[..., 5]
    pairs = (
        degree * 16 + place,
        3072 + (degree * INTERVALS + before) % _FOLDED,
        3072 + _FOLDED + (beside * 48 + degree % 48) % _FOLDED,
    )
    return np.concatenate((rows, _VALUES_PLAIN + np.stack(pairs, axis=-1)), axis=-1)


class BarEvent(NamedTuple):
    """An event of a part, a number in `PARTS`; slot and length in sixteenths, velocity above 0 to 1.

    code: MIDI number; of chords root + 12 * kind; of drums the instrument's class.
    """

    part: int
    slot: int
    code: int
    length: float = 2.0
    velocity: float = 0.7


def drum_class(number: int) -> int:
    """Class of a General MIDI drum."""
    return next((n for n, numbers in enumerate(DRUM_NUMBERS) if number in numbers), len(DRUM_NUMBERS) - 1)


def in_order(events: list[BarEvent], bar: int = 16) -> list[BarEvent]:
    """Events sorted by bar, then by part."""
    return sorted(events, key=lambda e: (e.slot // bar, e.part, e.slot, e.code))


class BarHistory:
    """Event history of each part, with its features as rows of the tables. Events come as `in_order` has them.

    `improviser` knows the key and the length of a bar; `alone`: there is a melody and nothing else; `last`: the newest
    event of each part, None before the first.
    """

    def __init__(self, improviser: Improviser, *, alone: bool) -> None:
        self.improviser, self.alone = improviser, alone
        self.clear()

    def clear(self) -> None:
        self.last: list[BarEvent | None] = [None] * _PART
        self._values, self._times = [WIDEST] * _PART, [0] * _PART
        self._at: list[dict[int, list[int]]] = [{} for _ in PARTS]
        self._slots: list[list[int]] = [[] for _ in PARTS]

    def copy(self, other: BarHistory) -> None:
        """Copies the events of another history."""
        self.last, self._values, self._times = other.last[:], other._values[:], other._times[:]
        self._at = [{slot: codes[:] for slot, codes in at.items()} for at in other._at]
        self._slots = [slots[:] for slots in other._slots]

    def count(self, part: int) -> int:
        """Number of stored events of a part."""
        return len(self._slots[part])

    def value_of(self, part: int, code: int) -> int:
        """Symbol from the part's last event to a code."""
        last = self.last[part]
        if part == DRUMS:
            return code
        if part == CHORDS:
            return (code - (last.code if last else 0)) % 12 + 12 * (code // 12)
        return symbols_of(code - (last.code if last else code), 0)[0]

    def code_of(self, part: int, value: int) -> int:
        """Code of a symbol relative to the part's last event."""
        last = self.last[part]
        if part == DRUMS:
            return value
        if part == CHORDS:
            return ((last.code if last else 0) + value) % 12 + 12 * min(3, value // 12)
        return (last.code if last else 60) + value - WIDEST

    def codes(self, part: int) -> list[int]:
        """All codes of a part, in order of their slots."""
        return [code for codes in self._at[part].values() for code in codes]

    def at(self, part: int, slot: int) -> tuple[int, int] | None:
        """Slot and code of the part's event sounding at a slot; None before the first."""
        slots = self._slots[part]
        place = int(np.searchsorted(slots, slot, side="right"))
        return (slots[place - 1], self._at[part][slots[place - 1]][-1]) if place else None

    def since(self, part: int, slot: int) -> list[int]:
        """Slots of a part's events from one on."""
        slots = self._slots[part]
        return slots[int(np.searchsorted(slots, slot)) :]

    def time_rows(self, part: int) -> NDArray[np.int64]:
        """Rows of the table `TIME` for the time to the part's next event, after its last one."""
        last = self.last[part]
        slot = last.slot if last else 0
        bar = self.improviser.wishes.bar
        rows = [2 * part + self.alone, 16 * part + slot % bar % 16]
        rows += [part * (TIMES + 1) + self._after(part, slot - lag * bar) for lag in LAGS]
        return paired_times(TIME + rows, np.array(part * TIMES + self._times[part]))

    def value_rows(self, part: int, time: int) -> NDArray[np.int64]:
        """Rows of the table `VALUE` for the value of the part's next event, `time` sixteenths after its last."""
        last = self.last[part]
        slot = (last.slot if last else 0) + time
        bar = self.improviser.wishes.bar
        other = self.last[MELODY] if part in (BASS, CHORDS) else self.last[CHORDS]
        beside = self._degree(other) if other else 48
        if part == BASS and (chord := self.last[CHORDS]):
            beside = self._degree(chord)
        rows = [2 * part + self.alone, part * TIMES + min(time, TIMES - 1), 16 * part + slot % bar % 16]
        rows += [part * 48 + (self._degree(last) if last else 0), part * INTERVALS + self._values[part]]
        rows += [part * 49 + beside]
        rows += [part * (INTERVALS + 1) + self._there(part, slot - lag * bar, time) for lag in LAGS]
        return paired_values(VALUE + rows)

    def take(self, event: BarEvent) -> NDArray[np.int64]:
        """Adds an event; returns its rows of the table `EVENT`."""
        part = event.part
        value, time = self._symbols(event)
        bar = self.improviser.wishes.bar
        self._values[part], self._times[part], self.last[part] = value, time, event
        self._at[part].setdefault(event.slot, []).append(event.code)
        self._slots[part].append(event.slot)
        rows = [2 * part + self.alone, part * INTERVALS + value, part * TIMES + time, event.slot % bar % 16]
        rows += [part * 48 + self._degree(event), event.slot // bar % 16]
        rows += [min(31, max(0, event.code // 4)) if part in (MELODY, BASS) else 0]
        return EVENT + rows

    def _symbols(self, event: BarEvent) -> tuple[int, int]:
        """Value and time of an event not added yet."""
        last = self.last[event.part]
        time = min(TIMES - 1, event.slot - last.slot) if last else 0
        return self.value_of(event.part, event.code), time

    def _degree(self, event: BarEvent) -> int:
        key = self.improviser.key
        if event.part == DRUMS:
            return event.code
        if event.part == CHORDS:
            return (event.code - key) % 12 + 12 * (event.code // 12)
        return (event.code - key) % 12 + 12 * (key // 12)

    def _after(self, part: int, slot: int) -> int:
        """Sixteenths from a slot to the part's next event; `TIMES` without an event before it."""
        slots = self._slots[part]
        if slot < 0 or not slots or slot < slots[0]:
            return TIMES
        at = int(np.searchsorted(slots, slot, side="right"))
        return min(TIMES - 1, slots[at] - slot) if at < len(slots) else TIMES

    def _there(self, part: int, slot: int, time: int) -> int:
        """Value that repeats the part's event at a slot; `INTERVALS` without one."""
        codes = self._at[part].get(slot, [])
        if part == DRUMS and time == 0 and (last := self.last[part]):
            codes = [code for code in codes if code > last.code]
        return self.value_of(part, codes[0]) if codes else INTERVALS


class BarReader(BarHistory):
    """History of events with each part's memory."""

    def __init__(self, improviser: Improviser, *, alone: bool) -> None:
        super().__init__(improviser, alone=alone)
        self._memories = [Memory() for _ in PARTS]
        self._histories = [Matches() for _ in PARTS]
        self._chances = np.zeros(INTERVALS * TIMES)
        self._uniform = np.full(INTERVALS, 1.0 / INTERVALS), np.full(TIMES, 1.0 / TIMES)

    def chances(self, part: int) -> F64:
        """`[INTERVALS, TIMES]`: of the part's next event by its memory; a view that the next call overwrites."""
        if part == MELODY:
            return self.improviser.next_probabilities().reshape(INTERVALS, TIMES)
        self._memories[part].predict(self._histories[part], *self._uniform, self._chances)
        return self._chances.reshape(INTERVALS, TIMES)

    def learn(self, event: BarEvent) -> NDArray[np.int64]:
        """Adds an event to history and memory; returns its rows of the table `EVENT`."""
        part = event.part
        value, time = self._symbols(event)
        if part == MELODY:
            self.improviser.learn(event.slot, event.code, event.velocity)
            self.improviser.sounded(event.code, event.length)
        else:
            memory, history = self._memories[part], self._histories[part]
            # a memory counts in intervals: pitches are chosen so that it counts these values
            before = int(memory.pitches[memory.count - 1]) if memory.count else 0
            place = event.slot % self.improviser.wishes.bar
            memory.add(before + value - WIDEST, time, place, event.velocity, history, self.last[part] is None)
        return self.take(event)
