"""Rhythm of an answer: the player's half bars in a new order, varied, with the player's rests, and an ending."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from antiphon_answer.memory import Memory
from antiphon_answer.prior import SCALES

AUGMENTATION, ORNAMENT, TIE, SHIFT, PUSH = range(5)
"""Rhythms of a cell: at half speed, with neighbouring notes, two notes tied, one shifted, all pushed later."""
_RHYTHMS = (ORNAMENT, ORNAMENT, PUSH, PUSH, SHIFT, TIE, AUGMENTATION)
WITHIN, OPEN, CLOSED = range(3)
"""Role of a note: inner, end of a phrase, or end of the answer."""
NO_STEP = 99
"""Step of a note without a melodic target."""
AHEAD = 5
"""Minimum number of planned notes."""
_RECENT = 80
"""Number of the player's newest notes from which cells are taken."""
_BEAT = 4
_ENDS, _HELD = 6.0, 10.0
"""Longest time to the next note in a phrase, and for which a note is held relative to it, in sixteenths."""
_MIN_PLACE_SHARE = 0.04
"""Minimum share of the player's notes at a beat position for its use."""
_LANDS, _HALF, _AGAIN, _STAYS, _INVERTED = 0.35, 0.55, 0.4, 0.9, 1 / 3
"""Probabilities that an answer ends with a sustained note instead of the player's rhythm, in the bar's middle and not
on its last beat, that two bars begin as those before, that each cell of them does, and that a motif is inverted."""
_AIR, _OVER, _OVERS, _END = 1.1, 2.0, 0.3, 3.0
"""Of a final note, in sixteenths: the air before the bar line, and the part beyond it, at most; the latter's
probability; and the shortest."""
_ARCH, _ACCENT, _CHANCE = 0.4, 0.2, 1.7
"""Loudness weights of phrase, beat and chance, in deviations less the player's own."""
_SOFTEST, _LOUDER = 7.5 / 127.0, 1.35
"""Least deviation of loudness; and that by the notes' own, relative to the player's."""
_SETTLES, _LAST = 32.0, 8
"""Sixteenths in which loudness goes from that of the player's last notes to the mean, and their number."""


class FormConstants(NamedTuple):
    """Constants by which cells follow each other.

    Probabilities: that the player's next one follows (`on`), of a varied rhythm, of a motif transposed or inverted
    (`moved`), of a rest a beat longer (`aired`). `displaced`: weight of cells of other beats; `most`: exponent of their
    number of notes; `empty`: most empty ones in a row; `lifts`: degrees by which bars that come again are transposed.
    """

    on: float
    varied: float
    moved: float
    aired: float
    displaced: float
    most: float
    empty: int
    lifts: tuple[int, ...]


TURN = FormConstants(0.65, 0.2, 0.7, 0.4, 0.25, 1.0, 2, (0, 0, 1, -1, 2))
CONTINUATION = FormConstants(0.75, 0.1, 0.2, 0.0, 0.0, 0.5, 4, (0,))


class Onset(NamedTuple):
    """A note of an answer without a pitch yet. slot: in sixteenths; late: delay after it; held: share of the
    time to the next note; velocity: above 0 to 1, or, of a cell's note, relative to the player's notes about it.

    step: in degrees of the scale from the note before, from degree 0 where `fixed`; ends: see `CLOSED`.
    """

    slot: int
    late: float
    held: float
    velocity: float
    step: int = NO_STEP
    fixed: bool = False
    ends: int = WITHIN

    @property
    def at(self) -> float:
        return self.slot + self.late


def degree_of(pitch: int, key: int) -> int:
    """Degree of a pitch, 0 the tonic next above MIDI number 0; outside the scale that of the next lower one."""
    octave, above = divmod(pitch - key % 12, 12)
    return 7 * octave + bisect_right(SCALES[key // 12], above) - 1


def pitch_of(degree: int, key: int) -> int:
    """Pitch of a degree."""
    return 12 * (degree // 7) + SCALES[key // 12][degree % 7] + key % 12


class Phraser:
    """Plans the notes of an answer a few ahead, from the player's bars. Stores a few bars only.

    `key`: of the answer, 0 to 23.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._notes: list[Onset] = []
        # slots of the player's newest notes, the answers left out, from a bar line on; cells of the answer
        self._played: list[int] = []
        self._own: list[list[Onset]] = []
        self._late = [0.0] * _BEAT
        self._used = [0] * _BEAT

    def begin(
        self, span: tuple[int, int, int], bar: int, key: int, density: float, chance: Callable[[], float], *, turn: bool
    ) -> None:
        """Begins an answer. span: its first slot, its end slot, and the latest slot of its first note.

        turn: whether it ends firmly.  chance: random numbers from 0 to below 1.
        """
        (start, self._end, self._latest), self._bar = span, bar
        self._start, self._turn, self._form = start, turn, TURN if turn else CONTINUATION
        self.key, self._density, self._chance = key, density, chance
        self._line, self._first = start - start % bar, start - start % bar
        # the first note is one of the first bar
        self._latest = min(self._latest, self._first + bar - 1)
        self._size = 2 * _BEAT if bar % (2 * _BEAT) == 0 else bar
        self._notes.clear()
        self._read()
        self._from, self._empty, self._again, self._inverted = -1, 0, False, False
        self._own.clear()

    def take(self) -> tuple[Onset, float] | None:
        """Next note, and its length in sixteenths; None after the last."""
        while self._line < self._end and len(self._notes) <= AHEAD:
            self._lay_bar()
        if not self._notes:
            return None
        note = self._notes.pop(0)
        if not self._notes:
            return note, self._final(self._end - note.at)
        apart = self._notes[0].at - note.at
        length = max(0.25, min(apart, note.held * min(apart, _HELD)))
        return (note._replace(ends=OPEN) if apart > _ENDS else note), length

    @property
    def left(self) -> int:
        """Number of notes up to the answer's last, at most `AHEAD`."""
        return min(AHEAD, len(self._notes)) if self._line >= self._end else AHEAD

    # ---- what the player did
    def _read(self) -> None:
        """Reads the player's cells, beat positions and loudness."""
        memory, bar = self._memory, self._bar
        self._row = max(0, memory.count - _RECENT)
        rows = slice(self._row, memory.count)
        self._played.clear()
        self._used[:] = [0] * _BEAT
        at = 0
        columns = (memory.places[rows].tolist(), memory.times[rows].tolist(), memory.late[rows].tolist())
        for place, time, late in zip(*columns, strict=True):
            self._used[place % _BEAT] += 1
            self._late[place % _BEAT] = late
            # the listening player's time does not count, and an answer may have begun anywhere in a bar
            line = round((at + time - place) / bar) * bar if time >= 0 else (at // bar + 1) * bar
            at = max(at, line + place) if self._played else place
            self._played.append(at)
        played = memory.velocities[rows]
        window = np.ones(min(_LAST, len(played)))
        own = played - np.convolve(played, window, "same") / np.convolve(np.ones(len(played)), window, "same")
        self._louder: list[float] = (_LOUDER * own).tolist()
        spread = float(np.std(self._louder))
        self._more = math.sqrt(max(0.0, _SOFTEST**2 - spread**2))
        spread = max(_SOFTEST, spread)
        self._mean, self._last = (
            max(2.0 * spread, min(float(level), 1.0 - 1.2 * spread))
            for level in (played.mean(), played[-_LAST:].mean())
        )

    def _drawn(self, place: int) -> int:
        """Random slot of the player's to go on from at a place in the bar, weighted by note density."""
        form, played, bar = self._form, self._played, self._bar
        power = form.most + 4.0 * (self._density - 0.5)
        opening = (played[-1] // bar + 1) * bar - (self._end - self._first)
        starts = range(place % _BEAT, played[-1] + 1, _BEAT)
        weights: list[float] = []
        for start in starts:
            first, last = (bisect_left(played, at) for at in (start, start + self._size))
            # another beat of the bar is a displacement
            weight = (1.0 if start % bar == place else form.displaced) * min(12, last - first) ** power * (last > first)
            if self._turn and self._from < 0:
                weight *= (1.0 + (last > first and played[first] == start)) * (1.0 + 7.0 * (start == opening))
            weights.append(weight)
        edges = list(accumulate(weights))
        return starts[bisect_right(edges, self._chance() * edges[-1])] if edges[-1] else played[0]

    def _snapped(self, slot: int) -> tuple[int, float]:
        """Nearest beat position used by the player: slot, and its delay."""
        for by in (0, 1, -1, 2):
            place = (slot + by) % _BEAT
            if place == 0 or self._used[place] > _MIN_PLACE_SHARE * sum(self._used):
                return slot + by, self._late[place] if self._used[place] else 0.0
        return slot, 0.0

    # ---- form
    def _lay_bar(self) -> None:
        line = self._line
        self._line += self._bar
        made = [n for at in range(line, self._line, self._size) for n in self._laid(at)]
        made = [n for n in made if n.slot >= self._start]
        if self._line >= self._end:
            made = self._ended(made, line)
        if self._density > 0.5:
            made = self._fuller(made, 2.0 * (self._density - 0.5), anywhere=True)
        elif self._density < 0.5:
            keep = 2.0 * self._density
            made = [n for n in made if n.slot % (2 * _BEAT) == 0 or n.ends or self._chance() < keep]
        if line <= self._start:
            made = self._from_start(made)
        self._notes += [n._replace(velocity=self._loudness(n)) for n in made]

    def _laid(self, line: int) -> list[Onset]:
        """Notes of a cell from slot `line` on: of two bars before, or the player's next ones, or others of his."""
        ago = 2 * self._bar // self._size
        if len(self._own) % ago == 0:
            self._again = len(self._own) >= ago and self._chance() < _AGAIN
            self._lift = self._form.lifts[int(len(self._form.lifts) * self._chance())]
        self._again = self._again and self._chance() < _STAYS
        if self._again:
            by = 2 * self._bar
            motif = [n._replace(slot=n.slot + by, step=n.step + self._lift * n.fixed) for n in self._own[-ago]]
        else:
            motif = self._walked(line)
            if self._inverted:
                motif = [n if n.fixed else n._replace(step=-n.step) for n in motif]
            if self._chance() < self._form.varied:
                motif = self._varied(motif, _RHYTHMS[int(len(_RHYTHMS) * self._chance())], line)
        self._empty = 0 if motif else self._empty + 1
        self._own.append(motif)
        return motif

    def _walked(self, line: int) -> list[Onset]:
        """Notes of a cell of the player's: the next, or those at another place of his."""
        goes, air, form = 0 <= self._from <= self._played[-1], 0, self._form
        first = bisect_left(self._played, self._from)
        if goes and first and self._played[first] - self._played[first - 1] > _BEAT:
            # a phrase's end is held, or rests, as the player's does, or longer
            goes, air = self._empty < form.empty, _BEAT * (self._chance() < form.aired)
        elif goes and first:
            goes = self._chance() < form.on
        if not goes:
            self._from, air = self._drawn(line % self._bar), 0
            moved = self._chance() < form.moved
            self._inverted = moved and self._chance() < _INVERTED
            self._by = (1 + int(4 * self._chance())) * (moved and not self._inverted)
        motif = self._motif_from(self._from - air, line)
        self._from += self._size - air
        return motif

    def _motif_from(self, start: int, line: int) -> list[Onset]:
        """The player's notes of a cell moved to a slot, by steps; the first, and a phrase's first, by its degree."""
        memory, played, made = self._memory, self._played, list[Onset]()
        first = bisect_left(played, self._from)
        for n in range(first, bisect_left(played, start + self._size)):
            row, at = self._row + n, played[n]
            degree, before = (degree_of(int(memory.pitches[max(0, k)]), self.key) for k in (row, row - 1))
            fixed = n == first or at - played[n - 1] > _BEAT
            apart = played[n + 1] - at if n + 1 < len(played) else _BEAT
            held = float(memory.lengths[row]) / max(1, min(apart, _HELD))
            step = degree + self._by if fixed else degree - before
            made.append(Onset(line + at - start, float(memory.late[row]), held, self._louder[n], step, fixed))
        return made

    def _varied(self, motif: list[Onset], how: int, line: int) -> list[Onset]:
        """Notes of a cell from slot `line` on in another rhythm, at the player's places."""
        if how == ORNAMENT:
            return self._fuller(motif, 0.75)
        one, by, owed = int(len(motif) * self._chance()), 2 if how == PUSH or self._chance() < 0.5 else -2, 0
        made: list[Onset] = []
        for n, note in enumerate(motif):
            if how == TIE and n == one > 0:
                owed = note.step
                continue
            to = note.slot + by * (how == PUSH or (how == SHIFT and n == one))
            if how == AUGMENTATION and len(motif) > 2:
                to += note.slot - line
            slot, late = self._snapped(to) if to != note.slot else (to, note.late)
            if line <= slot < line + self._size and (not made or slot > made[-1].slot):
                made.append(note._replace(slot=slot, late=late, step=note.step + owed * (not note.fixed)))
                owed = 0
        return made

    def _fuller(self, notes: list[Onset], share: float, *, anywhere: bool = False) -> list[Onset]:
        """Notes with neighbouring notes inserted between those a beat apart, at the player's positions or halfway."""
        made: list[Onset] = []
        aside = 0
        for note, following in pairwise([*notes, None]):
            assert note is not None
            made.append(note if note.fixed or note.step == NO_STEP else note._replace(step=note.step - aside))
            aside = 0
            if following is None or following.ends or following.at - note.at < _BEAT - 0.5:
                continue
            slot, late = self._snapped(half := (note.slot + following.slot) // 2)
            if anywhere and slot % _BEAT == 0:
                slot, late = half, 0.0
            if note.at + 0.9 < slot + late < following.at - 0.9 and self._chance() < share:
                step = 2 if following.fixed or following.step == NO_STEP else following.step
                # a passing note on the way of a leap, else a neighbour from the other side
                aside = (step > 0) - (step < 0) if abs(step) > 1 else -step or 1
                made.append(Onset(slot, late, note.held, note.velocity, aside))
        return made

    def _ended(self, made: list[Onset], line: int) -> list[Onset]:
        """Final bar: up to its last note, or to a sustained one."""
        if not made or (self._turn and made[-1].slot - line < self._bar // 2) or self._chance() < _LANDS:
            beats = max(1, self._bar // _BEAT)
            place = max(line + _BEAT * (beats // 2 if self._chance() < _HALF else beats - 1), self._start)
            made = [*(n for n in made if n.at < place - 0.5), Onset(place, 0.0, 1.0, 0.0)]
        return [*made[:-1], made[-1]._replace(ends=CLOSED, step=NO_STEP, fixed=False)]

    def _final(self, left: float) -> float:
        """Length of a final note with `left` sixteenths to the bar line; that of a turn may be beyond it."""
        if left > 3.0 * _BEAT and not self._turn:
            return left * (0.4 + 0.4 * self._chance())
        if self._turn and (left < _END or self._chance() < _OVERS):
            return max(_END, left + _OVER * self._chance())
        return max(min(left, _END), left - _AIR * self._chance())

    def _from_start(self, made: list[Onset]) -> list[Onset]:
        """Notes of the first bar, the first of them exactly in time."""
        if made and made[0].slot <= self._latest:
            begun = made[0]._replace(late=max(0.0, made[0].late) * (self._latest > self._start))
            # a turn begins near the player's last note
            near = begun._replace(step=int(5.0 * self._chance()) - 2, fixed=False)
            return [near if self._turn and not begun.ends else begun, *made[1:]]
        first = made[0] if made else Onset(0, 0.0, 0.5, 0.0)
        return [first._replace(slot=self._latest, late=0.0, ends=WITHIN), *made]

    def _loudness(self, note: Onset) -> float:
        """Loudness: from the player's last to his mean, with the note's own, an arch, the beat, and chance."""
        level = self._mean + (self._last - self._mean) * math.exp(-(note.slot - self._first) / _SETTLES)
        part = (note.slot - self._first) / (self._end - self._first)
        accent = 1.0 if note.slot % 8 == 0 else 0.0 if note.slot % _BEAT == 0 else -0.8
        more = _ARCH * math.sin(math.pi * part) + _ACCENT * accent + _CHANCE * (2.0 * self._chance() - 1.0)
        return min(1.0, max(0.05, level + note.velocity + self._more * more))
