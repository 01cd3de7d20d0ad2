"""Rhythm and form of an answer: the player's bars, transformed motifs, phrases with rests and endings."""

import math
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from antiphon.api import F64
from antiphon_answer.form import AnswerForm, FormSource, halves_of
from antiphon_answer.memory import Memory
from antiphon_answer.prior import degree_of

SEQUENCE, INVERSION, AUGMENTATION, ORNAMENT = range(4)
"""Motif transformations: transposed in the scale, inverted, augmented, ornamented with neighbouring notes."""
TRANSFORMS = (SEQUENCE, INVERSION, AUGMENTATION, ORNAMENT)
WITHIN, OPEN, CLOSED = range(3)
"""Role of a note: inner, end of a phrase, or end of the answer."""
NO_STEP, NO_PITCH = 99, -1
"""Step of a note without a melodic target, and pitch of a note that repeats no note of the player."""
PHRASE = 4
"""Bars of a phrase: a motif, a contrast, the motif again, an ending."""
AHEAD = 5
"""Minimum number of planned notes."""
_SIXTEENTHS = 16
"""Sixteenths of a bar of new rhythms."""
_NUANCES = 0.06, 0.85
"""Probability that a returning bar has a note of another pitch, in a continuation and in a turn."""
_OLD_RHYTHM = 0.12
"""Probability that a new bar has the rhythm of one of the player's."""
_MAX_TAIL = 2
"""Maximum bars of rest at the end of an answer."""
_PARALLEL, _SENTENCE, _OWN_BAR = 0.45, 0.25, 0.3
"""Probabilities that new bars take up the previous phrase, that a phrase's third bar takes up its first, unchanged."""
_RECENT = 80
"""Number of the player's newest notes whose bars are used."""
_BEAT = 4
_MIN_PLACE_SHARE = 0.04
"""Minimum share of the player's notes at a beat position that is used."""
_AGAIN, _PAUSE, _LANDS, _PLAIN = 0.5, 0.08, 0.35, 0.5
"""Probabilities that a phrase repeats bars of the answer, that one before the last ends a bar early, that the last ends
with a sustained note instead of the player's rhythm, and that a bar of a continuation is the player's unchanged."""
_AUGMENT_NOTES = 6
"""Minimum notes of a bar for augmentation."""
_ON_BAR, _ON_HALF, _ON_LAST = 0.06, 0.5, 0.9
"""Cumulative probabilities that a sustained final note begins on the bar line (not in a turn), in mid-bar, on the last
beat; else off the beat."""
_AIR, _OVER, _OVERS, _END = 1.1, 2.0, 0.3, 3.0
"""Final note, in sixteenths: maximum gap before the bar line, maximum length beyond it, and probability of the latter;
and minimum length."""
_PEAK = 0.6
"""Relative position of a phrase's loudness peak."""
_ARCH, _ACCENT, _OWN, _CHANCE = 0.8, 0.4, 0.7, 0.8
"""Weights of loudness by phrase, beat, the player's own note and chance, in deviations."""
_SOFTEST, _WIDEST = 10.0 / 127.0, 16.0 / 127.0
"""Limits of the loudness deviation, which is slightly above the player's."""


class Onset(NamedTuple):
    """A note of an answer without a pitch yet. slot, length: in sixteenths; late: delay after the slot.

    pitch: of the player's note that returns; step: in
    degrees of the scale from the note before, from degree 0 where `fixed`; ends: see `CLOSED`.
    """

    slot: int
    late: float
    length: float
    velocity: float
    step: int = NO_STEP
    fixed: bool = False
    ends: int = WITHIN
    pitch: int = NO_PITCH

    @property
    def at(self) -> float:
        return self.slot + self.late


class Phraser:
    """Plans the notes of an answer a few notes ahead, from the player's bars. Stores only a few bars.

    `key`: of the answer, 0 to 23.
    """

    def __init__(self, memory: Memory, rhythms: F64) -> None:
        self._memory = memory
        self._form = AnswerForm(memory, rhythms)
        self._places = np.zeros(_SIXTEENTHS)
        self._notes: list[Onset] = []
        self._cells: list[tuple[int, int]] = []
        # bars of the answer's first phrase, from slot 0, with their pitches
        self._own: dict[int, list[tuple[Onset, int]]] = {}
        self._late = [0.0] * _BEAT
        self._used = [0] * _BEAT

    def begin(
        self,
        span: tuple[int, int, int],
        bar: int,
        key: int,
        density: float,
        chance: Callable[[], float],
        *,
        turn: bool,
        source: FormSource | None = None,
    ) -> None:
        """Begins an answer. span: its first slot, its end slot, and the latest slot of its first note.

        turn: whether the answer is a turn, with a firm ending.  chance: returns random numbers, 0 to below 1.  source:
        None if no bar of the player returns.
        """
        (start, end, self._latest), self._bar = span, bar
        self._start, self._end, self._turn = start, end, turn
        self.key, self._density, self._chance = key, density, chance
        self._parallel = False
        self._line, self._first = start - start % bar, start - start % bar
        # the first note is one of the first bar
        self._latest = min(self._latest, self._first + bar - 1)
        self._notes.clear()
        self._own.clear()
        self._read()
        count = max(1, (end - self._first) // bar)
        self._form.plan(count, source, chance, turn=turn)
        # a phrase of the player's that ends before its last bars ends there again
        self._end -= bar * min(_MAX_TAIL, count - 1, self._form.rests)
        self._new = not turn and source is not None and bar == _SIXTEENTHS
        self._half = self._form.last_half if self._new else 0
        self._turns = sorted(TRANSFORMS, key=lambda _: chance())

    def take(self) -> Onset | None:
        """Takes the next note out of the queue and returns it; None after the last."""
        while self._line < self._end and len(self._notes) <= AHEAD:
            self._plan_bar_onsets()
        if not self._notes:
            return None
        note = self._notes.pop(0)
        if not self._notes:
            return note
        gap = self._notes[0].at - note.at - note.length
        # of a rest longer than a beat the note takes part, but of none between phrases
        more = self._chance() * gap if gap > _BEAT and note.ends != OPEN else min(0.0, gap)
        return note._replace(length=max(0.25, note.length + more))

    def sounds(self, note: Onset, pitch: int) -> None:
        """Sets the pitch of a taken note."""
        number, place = divmod(note.slot - self._first, self._bar)
        if number < 2 * PHRASE:
            self._own.setdefault(number, []).append((note._replace(slot=place), pitch))

    @property
    def notes_ahead(self) -> int:
        """Number of notes up to the answer's last, at most `AHEAD`."""
        return min(AHEAD, len(self._notes)) if self._line >= self._end else AHEAD

    # ---- what the player did
    def _read(self) -> None:
        """Reads the player's bars, beat positions and loudness."""
        memory = self._memory
        first = max(0, memory.count - _RECENT)
        bars = memory.bars[first : memory.count].tolist()
        self._cells.clear()
        self._used[:] = [0] * _BEAT
        self._places.fill(0.0)
        begun = 0
        for n, number in enumerate(bars):
            place = int(memory.places[first + n]) % _BEAT
            self._used[place] += 1
            self._late[place] = float(memory.late[first + n])
            if memory.places[first + n] < _SIXTEENTHS:
                self._places[memory.places[first + n]] += 1.0
            if n + 1 == len(bars) or bars[n + 1] != number:
                self._cells.append((first + begun, first + n + 1))
                begun = n + 1
        self._places /= len(self._cells)
        waits, lengths = memory.times[first + 1 : memory.count], memory.lengths[first : memory.count - 1]
        legato = sorted(np.minimum(1.0, lengths / np.maximum(1, waits)).tolist()) or [1.0]
        self._legato = 0.5 * (legato[(len(legato) - 1) // 2] + legato[len(legato) // 2])
        played = memory.velocities[first : memory.count]
        self._deviation = min(_WIDEST, max(_SOFTEST, 1.3 * float(played.std())))
        self._loud = max(2.0 * self._deviation, min(float(played.mean()), 1.0 - 1.6 * self._deviation))

    def _draw_bar(self) -> int:
        """Draws one of the player's newest bars as the start of a phrase, weighted by note density."""
        cells, places = self._cells, self._memory.places
        power = 1.0 + 4.0 * (self._density - 0.5)
        weights = [
            min(12, last - first) ** power * (2.0 if self._turn and places[first] == 0 else 1.0)
            for first, last in cells
        ]
        edges = list(accumulate(weights))
        return bisect_right(edges, self._chance() * edges[-1])

    def _nearest_used_slot(self, slot: int) -> tuple[int, float]:
        """Nearest beat position used by the player: slot, and its delay."""
        for by in (0, 1, -1, 2):
            place = (slot + by) % _BEAT
            if place == 0 or self._used[place] > _MIN_PLACE_SHARE * sum(self._used):
                return slot + by, self._late[place] if self._used[place] else 0.0
        return slot, 0.0

    def _plan_bar_onsets(self) -> None:
        line, bar = self._line, self._bar
        self._line += bar
        number, count = (line - self._first) // bar, max(1, (self._end - self._first) // bar)
        phrase, within = divmod(number, PHRASE)
        size = min(PHRASE, count - PHRASE * phrase)
        final = PHRASE * phrase + size >= count
        if within == 0:
            self._base, self._again = self._draw_bar(), self._chance() < _AGAIN
            pauses = size == PHRASE and not final and not self._new and self._chance() < _PAUSE
            self._ends = size - 1 - pauses
        if within > self._ends:
            return
        if (rows := self._form.source(number)) is not None:
            made = self._move_motif_to_bar(self._bar_notes(rows), line, again=True)
            if len(made) > 1 and self._chance() < _NUANCES[self._turn]:
                # in a turn the run of what returns is not cut in the middle
                other = 1 + int((len(made) - 1) * self._chance()) if not self._turn else len(made) - 1 if number else 1
                made[other] = made[other]._replace(pitch=NO_PITCH, step=NO_STEP)
        elif self._new:
            made = self._new_bar(number, line)
        else:
            made = self._statement(phrase, within, line)
        made = [n for n in made if n.slot >= self._start]
        self._half = halves_of(n.slot - line for n in made)[1]
        if within == self._ends and (final or (rows is None and made)):
            made = self._final_bar(made, line, CLOSED if final else OPEN)
        if self._density > 0.5:
            made = self._add_neighbour_notes(made, 2.0 * (self._density - 0.5), anywhere=True)
        elif self._density < 0.5:
            keep = 2.0 * self._density
            made = [n for n in made if n.slot % (2 * _BEAT) == 0 or n.ends or self._chance() < keep]
        if line <= self._start:
            made = self._align_first_note(made)
        begun = max(self._first + PHRASE * phrase * bar, self._start)
        span = max(1, self._first + (PHRASE * phrase + size) * bar - begun)
        self._notes += [n._replace(velocity=self._loudness(n, (n.slot - begun) / span)) for n in made]

    def _statement(self, phrase: int, within: int, line: int) -> list[Onset]:
        """Repeated bar of the answer, unchanged or transposed; else a transformed bar of the player's."""
        again = self._again and (phrase > 0 or (self._turn and within == 2))
        own = self._own.get(within if phrase else 0) if again else None
        if own:
            motif = self._move_motif_to_bar(own, line)
            return motif if phrase or self._chance() < 0.5 else self._transform_motif(motif, SEQUENCE, line)
        cell = self._cells[(self._base + within) % len(self._cells)]
        motif = self._move_motif_to_bar(self._bar_notes(cell), line)
        plain = not self._turn and self._chance() < _PLAIN
        return motif if plain else self._transform_motif(motif, self._turns[(phrase + within) % 4], line)

    def _new_bar(self, number: int, line: int) -> list[Onset]:
        """Returns a new bar of a continuation: a new rhythm, a player's bar, or an earlier new bar again."""
        within, at = number % PHRASE, self._chance()
        if within == 0:
            self._parallel = self._chance() < _PARALLEL
        own = self._own.get(number - PHRASE) if self._parallel and within < PHRASE - 1 else None
        if own is None and within == 2 and self._chance() < _SENTENCE:
            own = self._own.get(number - 2)
        if own:
            made = self._move_motif_to_bar(own, line, again=at < _OWN_BAR)
            return made if at < _OWN_BAR else self._transform_motif(made, SEQUENCE, line)
        if at > 1.0 - _OLD_RHYTHM:
            return self._statement(*divmod(number, PHRASE), line)
        slots = [
            slot
            for slot in self._form.rhythm(self._half, self._places, self._chance)
            if slot % _BEAT == 0 or self._used[slot % _BEAT] > _MIN_PLACE_SHARE * sum(self._used)
        ]
        lates = [self._late[slot % _BEAT] if self._used[slot % _BEAT] else 0.0 for slot in slots]
        ends = [*(slot + late for slot, late in zip(slots[1:], lates[1:], strict=True)), float(self._bar)]
        return [
            Onset(line + slot, late, min(2.0 * _BEAT, max(0.5, self._legato * (end - slot - late))), self._loud)
            for slot, late, end in zip(slots, lates, ends, strict=False)
        ]

    def _bar_notes(self, cell: tuple[int, int]) -> list[tuple[Onset, int]]:
        """Notes of a player's bar, from slot 0."""
        m = self._memory
        rows = [row for row in range(*cell) if m.places[row] < self._bar]
        columns = (rows_of[rows].tolist() for rows_of in (m.places, m.late, m.lengths, m.velocities, m.pitches))
        return [
            (Onset(place, late, length, loud), pitch) for place, late, length, loud, pitch in zip(*columns, strict=True)
        ]

    def _move_motif_to_bar(self, notes: list[tuple[Onset, int]], line: int, *, again: bool = False) -> list[Onset]:
        """Moves notes from slot 0 to a bar line: the first at its own degree, the others by steps from there.

        again: whether they keep their own pitches.
        """
        degrees = [degree_of(pitch, self.key) for _, pitch in notes]
        steps = [*degrees[:1], *(b - a for a, b in pairwise(degrees))]
        return [
            note._replace(
                slot=line + note.slot, step=step, fixed=n == 0, ends=WITHIN, pitch=pitch if again else NO_PITCH
            )
            for n, ((note, pitch), step) in enumerate(zip(notes, steps, strict=True))
        ]

    def _transform_motif(self, motif: list[Onset], how: int, line: int) -> list[Onset]:
        if how == SEQUENCE and motif:
            by = (1, -1, 2, -2)[int(4 * self._chance())]
            return [motif[0]._replace(step=motif[0].step + by), *motif[1:]]
        if how == INVERSION:
            return [n if n.fixed else n._replace(step=-n.step) for n in motif]
        if how == AUGMENTATION and len(motif) >= _AUGMENT_NOTES:
            made: list[Onset] = []
            for note in motif:
                slot, late = self._nearest_used_slot(2 * note.slot - line)
                if slot < line + self._bar and (not made or slot > made[-1].slot):
                    made.append(note._replace(slot=slot, late=late, length=2.0 * note.length))
            return made
        return self._add_neighbour_notes(motif, 0.75)

    def _add_neighbour_notes(self, notes: list[Onset], share: float, *, anywhere: bool = False) -> list[Onset]:
        """Inserts neighbouring notes between notes a beat apart, at the player's positions or halfway."""
        made: list[Onset] = []
        aside = 0
        for note, following in pairwise([*notes, None]):
            assert note is not None
            made.append(note if note.fixed or note.step == NO_STEP else note._replace(step=note.step - aside))
            aside = 0
            if following is None or following.ends or following.at - note.at < _BEAT - 0.5:
                continue
            slot, late = self._nearest_used_slot(half := (note.slot + following.slot) // 2)
            if anywhere and slot % _BEAT == 0:
                slot, late = half, 0.0
            if note.at + 0.9 < slot + late < following.at - 0.9 and self._chance() < share:
                step = 2 if following.fixed or following.step == NO_STEP else following.step
                # a passing note on the way of a leap, else a neighbour from the other side
                aside = (step > 0) - (step < 0) if abs(step) > 1 else -step or 1
                made[-1] = made[-1]._replace(length=slot + late - note.at)
                made.append(Onset(slot, late, following.at - slot - late, note.velocity, aside))
        return made

    def _final_bar(self, made: list[Onset], line: int, ends: int) -> list[Onset]:
        """Returns the final bar of a phrase, on its last note or a sustained one; within an answer a rest follows."""
        end = line + self._bar
        if ends == CLOSED and not self._turn:
            # what follows a rest leads into a bar that does not come
            while len(made) > 1 and made[-1].slot - made[-2].slot >= _BEAT and made[-1].slot >= end - 2 * _BEAT:
                made = made[:-1]
        early = not made or (self._turn and made[-1].slot - line < self._bar // 2)
        if early or (self._chance() < _LANDS and not (self._new and ends == OPEN)):
            made = self._end_on_sustained_note(made, line)
        last = made[-1]
        if ends == OPEN:
            length = max(last.length, min(2.0 * _BEAT, end - last.at - _BEAT))
        else:
            length = self._final_note_length(end - last.at)
        return [*made[:-1], last._replace(length=length, ends=ends, step=NO_STEP, fixed=False)]

    def _end_on_sustained_note(self, made: list[Onset], line: int) -> list[Onset]:
        """Notes of a bar up to a sustained one."""
        beats = max(1, self._bar // _BEAT)
        at, place, late = self._chance(), _BEAT * (beats // 2), 0.0
        if at < _ON_BAR and not self._turn and self._end - self._first > self._bar:
            place = 0
        elif _ON_HALF < at < _ON_LAST:
            place = _BEAT * (beats - 1)
        elif at > _ON_LAST:
            place, late = self._nearest_used_slot(max(0, place - 2))
        place = max(place, self._start - line)
        made = [n for n in made if n.at < line + place + late - 0.5]
        return [*made, Onset(line + place, late, float(_BEAT), self._loud)]

    def _final_note_length(self, left: float) -> float:
        """Returns the length of a final note `left` sixteenths before the bar line; in a turn it may cross the line."""
        if left > 3.0 * _BEAT and not self._turn:
            return left * (0.4 + 0.4 * self._chance())
        if self._turn and (left < _END or self._chance() < _OVERS):
            return max(_END, left + _OVER * self._chance())
        return max(min(left, _END), left - _AIR * self._chance())

    def _align_first_note(self, made: list[Onset]) -> list[Onset]:
        """Notes of the first bar, the first of them exactly in time."""
        if made and made[0].slot <= self._latest:
            late = max(0.0, made[0].late) * (self._latest > self._start)
            begun = made[0]._replace(late=late, length=made[0].length + made[0].late - late)
            # a turn begins near the player's last note
            near = begun._replace(step=int(5.0 * self._chance()) - 2, fixed=False)
            return [near if self._turn and not begun.ends else begun, *made[1:]]
        until = made[0].at if made else self._line
        first = made[0] if made else Onset(0, 0.0, 4.0, self._loud)
        length = min(_BEAT, until - self._latest)
        return [first._replace(slot=self._latest, late=0.0, length=length, ends=WITHIN), *made]

    def _loudness(self, note: Onset, part: float) -> float:
        """Loudness by a phrase arch, the beat, the deviation of the player's own note, and chance."""
        way = part / _PEAK if part < _PEAK else 1.0 - (part - _PEAK) / (1.0 - _PEAK)
        arch = -math.cos(math.pi * min(1.0, max(0.0, way)))
        accent = 1.0 if note.slot % 8 == 0 else 0.0 if note.slot % _BEAT == 0 else -0.8
        own = (note.velocity - self._loud) / self._deviation
        own = _OWN * max(-2.0, min(2.0, own)) + _CHANCE * (2.0 * self._chance() - 1.0)
        loud = self._loud + self._deviation * (_ARCH * arch + _ACCENT * accent + own)
        return min(1.0, max(0.05, loud))
