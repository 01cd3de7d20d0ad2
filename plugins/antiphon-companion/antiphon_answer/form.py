"""Form of an answer: the player's bars that return in it, and the rhythms of new bars; turns in mode `trade`."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from antiphon.api import F64, IO
from antiphon_answer.memory import Memory

NEW = -1
"""Source of a new bar, which repeats no bar of the player."""
UNIT = 4
"""Number of bars that return as a unit."""
_HEARD = 768
"""Number of the player's newest notes whose bars can return."""
_KNOWN_BARS = (0, 2, 8, 16, 24, 32, 48)
_RETURNS = (0.0, 0.2, 0.38, 0.32, 0.84, 0.94, 0.98)
"""Probability that four bars return, by the number of bars heard: counted in POP909."""
_GOES_ON, _COMES_BACK = 0.95, 0.14
"""Probability that a return continues the previous return, and that one follows new bars."""
_CHANGED = (0.02, 0.02, 0.04, 0.1)
"""Probability, by place in the unit, that a bar of a return is replaced by a new one."""
_LAGS = {4: 3.0, 8: 8.0, 16: 4.0, 32: 4.0}
_BY_FOUR, _ANY = 1.5, 0.1
"""Weights of sources by distance in bars: the listed distances, other multiples of four, all others."""
_SAME = 5.0
"""Factor of a source's weight for each preceding bar that equals the corresponding bar before the answer."""
_CONTEXT = 4
_TURN_RETURNS = 0.28
"""Probability that a turn begins with the beginning of the player's turn."""
_TURN_LENGTHS = (0.4, 0.8)
"""Cumulative probabilities that one or two bars of it return; otherwise three do."""
_TILT = 3.0
"""Weight, in bars of the player, of melodies in general in the onset places of new rhythms."""
HALVES = 256
"""Number of onset patterns of half a bar: eight sixteenths, the first the lowest bit."""
_BITS = (np.arange(HALVES)[:, None] >> np.arange(8) & 1).astype(np.float64)
_COUNTS, _DENSITY = _BITS.sum(axis=1), 2.0
"""Number of notes of each half bar, and the standard deviation of its difference from the player's."""
_SETTLES = 16


def halves_of(slots: Iterable[int]) -> tuple[int, int]:
    """Onsets of a bar's halves, of its sixteenths on which notes begin."""
    halves = [0, 0]
    for slot in slots:
        halves[slot // 8 % 2] |= 1 << slot % 8
    return halves[0], halves[1]


class FormSource(NamedTuple):
    """Settings of the bars that return in an answer: after `empty` bars without a note; memory rows before `kept` are a
    corpus and do not return.

    forget: number of bars after which a bar has half its weight; 0: never.
    """

    empty: int
    kept: int
    forget: float


class AnswerForm:
    """Source of each bar of an answer, from the player's newest bars."""

    def __init__(self, memory: Memory, rhythms: F64) -> None:
        """rhythms: as in `Prior.rhythms`."""
        self._memory = memory
        self._rhythms = rhythms
        # of the halves after one another, as often as they are
        shares = np.full(HALVES, 1.0 / HALVES)
        for _ in range(_SETTLES):
            first = shares @ rhythms[0]
            shares = first @ rhythms[1]
        self._general = np.clip(np.concatenate((first @ _BITS, shares @ _BITS)), 1e-3, 1.0 - 1e-3)
        self._rows: list[tuple[int, int]] = []
        self._plan: list[int] = []

    def plan(self, count: int, given: FormSource | None, chance: Callable[[], float], *, turn: bool) -> None:
        """Plans `count` bars; without a source all are new."""
        self._plan.clear()
        self._rows.clear()
        self.last_half = 0
        if given is None:
            return
        forget = given.forget
        heard = self._read(given.kept) + [()] * min(given.empty, 2 * UNIT)
        self._rows += [(0, 0)] * (len(heard) - len(self._rows))
        if heard:
            self.last_half = halves_of(place for place, _ in heard[-1] if place < 16)[1]
        if turn:
            self._plan_turn(count, heard, forget, chance)
            return
        known, source = len(heard), NEW
        likely = float(np.interp(known, _KNOWN_BARS, _RETURNS))
        while len(self._plan) < count:
            size = min(UNIT, count - len(self._plan))
            if self._plan:
                likely = _GOES_ON if source != NEW else _COMES_BACK
            at = source + UNIT if self._plan and source != NEW else NEW
            source = NEW
            if chance() < likely:
                far = at if NEW < at <= known - size and any(heard[at : at + size]) else NEW
                source = far if far != NEW else self._source(heard, len(self._plan), size, forget, chance)
            for n in range(size):
                changed = chance() < _CHANGED[n]
                self._plan.append(NEW if source == NEW or changed else source + n)

    def _plan_turn(
        self, count: int, heard: list[tuple[tuple[int, int], ...]], forget: float, chance: Callable[[], float]
    ) -> None:
        self._plan += [NEW] * count
        if count > 1 and chance() < _TURN_RETURNS:
            at = chance()
            size = min(count - 1, 1 + bisect_right(_TURN_LENGTHS, at))
            source = self._source(heard, 0, size, forget, chance)
            self._plan[:size] = [NEW if source == NEW else source + n for n in range(size)]

    @property
    def rests(self) -> int:
        """Returns the number of returning bars without a note at the end."""
        rests = 0
        while rests < len(self._plan) and (rows := self.source(len(self._plan) - 1 - rests)) and rows[0] == rows[1]:
            rests += 1
        return rests

    def source(self, number: int) -> tuple[int, int] | None:
        """Returns the memory rows (first, end) that return as bar `number`; None for a new bar."""
        source = self._plan[number] if number < len(self._plan) else NEW
        return None if source == NEW else self._rows[source]

    def rhythm(self, before: int, used: F64, chance: Callable[[], float]) -> list[int]:
        """Returns the sixteenths of a new bar on which notes begin.

        before: onsets of the previous half bar, as from `halves_of`.  used: `[16]`, shares of the player's bars with a
        note on each sixteenth.
        """
        bars = max(1, len(self._rows))
        own = np.clip((bars * used + _TILT * self._general) / (bars + _TILT), 1e-4, 1.0 - 1e-4)
        on, off = np.log(own / self._general), np.log((1.0 - own) / (1.0 - self._general))
        slots: list[int] = []
        notes = used[:8].sum(), used[8:].sum()
        for half in range(2):
            mine = slice(8 * half, 8 * half + 8)
            weights = self._rhythms[half, before] * np.exp(_BITS @ (on - off)[mine] + off[mine].sum())
            weights *= np.exp(-0.5 * ((_COUNTS - notes[half]) / _DENSITY) ** 2)
            edges = np.cumsum(weights)
            before = min(len(edges) - 1, int(np.searchsorted(edges, chance() * edges[-1], side="right")))
            slots += [8 * half + n for n in range(8) if before >> n & 1]
        return slots

    def _read(self, kept: int) -> list[tuple[tuple[int, int], ...]]:
        """(place, pitch) of the notes of each heard bar."""
        m = self._memory
        first = max(min(kept, m.count), m.count - _HEARD)
        columns = (rows[first : m.count].tolist() for rows in (m.bars, m.places, m.pitches))
        heard: list[tuple[tuple[int, int], ...]] = []
        before = NEW
        for n, (bar, place, pitch) in enumerate(zip(*columns, strict=True), first):
            if bar != before:
                rests = min(bar - before - 1, _HEARD) if heard else 0
                heard += [()] * rests
                self._rows += [(n, n)] * rests
                heard.append(())
                self._rows.append((n, n))
                before = bar
            heard[-1] += ((place, pitch),)
            self._rows[-1] = self._rows[-1][0], n + 1
        return heard

    def _source(
        self, heard: list[tuple[tuple[int, int], ...]], done: int, size: int, forget: float, chance: Callable[[], float]
    ) -> int:
        """Draws a heard bar from which `size` bars return after `done` bars of the answer; `NEW` without any."""
        count = len(heard)
        weights: list[float] = []
        sums = [0, *accumulate(map(len, heard))]
        for at in range(count - size + 1):
            if sums[at + size] - sums[at] < size + 2 or not heard[at]:
                weights.append(0.0)
                continue
            lag = count + done - at
            weight = _LAGS.get(lag, _ANY if lag % UNIT else _BY_FOUR)
            for n in range(1, min(at, _CONTEXT) + 1) if not done else ():
                if heard[at - n] != heard[count - n]:
                    break
                weight *= _SAME
            if forget > 0.0:
                weight *= math.exp2(-lag / forget)
            weights.append(weight)
        edges = list(accumulate(weights))
        if not edges or edges[-1] <= 0.0:
            return NEW
        return min(len(edges) - 1, bisect_right(edges, chance() * edges[-1]))


TURNS = NOBODY, YOU, MACHINE = "nobody", "you", "machine"
"""Values of `turn`; `nobody` before the first note."""
UPBEAT = 1.0
"""A first note within this number of beats before a bar line belongs to the bar that follows."""
_ROUNDING = 1e-6


class PlayerTurns:
    """Alternating turns of the player and the machine.

    Attributes:
        first: The beat of the player's first bar; None until a note.
        changes: The beat on which the turn changes, as `tell` found it; infinite for none.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self.changes = math.inf
        self._said = NOBODY

    def begin(self, beat: float, meter: int) -> bool:
        """Begins the form with the bar of a note, unless it has begun; True if it does now."""
        if self.first is not None:
            return False
        self.first = meter * math.floor((beat + UPBEAT) / meter)
        return True

    def place(self, beat: int, turn: int) -> int:
        """Beats since the player's last turn began, 0 to `2 * turn - 1`; -1 before the form."""
        return -1 if self.first is None or beat < self.first else (beat - self.first) % (2 * turn)

    def tell(self, io: IO, beat: float, turn: int) -> None:
        """Reports whose turn it is from a beat on, and finds when that changes. turn: its length in beats."""
        whose, self.changes = NOBODY, math.inf
        if self.first is not None:
            count = max(0, math.floor((beat - self.first) / turn + _ROUNDING))
            whose, self.changes = (YOU, MACHINE)[count % 2], self.first + (count + 1) * turn
        if whose != self._said:
            self._said = whose
            io.report("turn", TURNS.index(whose))
