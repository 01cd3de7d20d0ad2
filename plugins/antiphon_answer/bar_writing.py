"""Continues a piece by the bar model, a bar at a time: chords, melody, bass, drums."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon_answer.bar_features import BASS, CHORDS, DRUMS, MELODY, PARTS, BarEvent, BarReader, in_order
from antiphon_answer.bar_model import UNITS, BarModel
from antiphon_answer.improviser import FLOOR, OUT_OF_KEY, Improviser
from antiphon_answer.memory import INTERVALS, TIMES
from antiphon_answer.prior import SCALES

_RANGE_MARGIN = 5
"""Semitones by which a line may exceed the range of the given notes."""
_BASS_LOW, _BASS_HIGH = 28, 55
"""Range of a bass guitar, which a given bass may exceed."""
_OTHER_DRUMS = 7
"""Class of other drums, written only if the given drums have it."""
_CRASH, _SELDOM = 5, 4
"""Class of crash cymbals, and minimum bars between them: the network tends to strike one each bar."""
_MAX_DRUM_HITS = 3
"""Maximum simultaneous drums."""
MIN_MEMORY_EVENTS = 32
"""Minimum events of a part for its memory to be used: with fewer it only repeats them."""
_NO_CHORD = 36
"""First code beyond the chords."""
_INVERTED, _PASSING = 0.15, 0.25
"""Weights of a bass's third and fifth at a chord change relative to the root's 1, and of other notes within it."""
_REPEATED, _FAST = 4, 10
"""Maximum repeated notes of a line on one pitch, and maximum onsets within a bar."""
_MAX_ONSET_GAP = 16
"""Maximum sixteenths between onsets of melody or bass."""
_FLOORS = {CHORDS: FLOOR, MELODY: FLOOR, BASS: 0.1, DRUMS: 0.2}
"""Sampling floor as a share of the highest probability: higher for bass and drums, whose patterns are steady."""
_LONGEST = {CHORDS: 32.0, MELODY: 8.0, BASS: 8.0, DRUMS: 1.0}
"""Maximum length of a note in sixteenths."""


class BarPlayer:
    """Event history with the network's state, and generation. Not for the block path.

    `memory`: whether the memories count, from `enough` events of a part on; else the network alone.
    """

    def __init__(
        self, model: BarModel, improviser: Improviser, *, alone: bool, memory: bool = True, enough: int = 0
    ) -> None:
        self.reader, self.memory, self.enough = BarReader(improviser, alone=alone), memory, enough
        self._model, self._last_drum = model, _OTHER_DRUMS - 1
        self._state = np.zeros(UNITS, np.float32)
        self._times = [np.full(TIMES, 1.0 / TIMES) for _ in PARTS]
        self._expected: list[F64] = [np.ones((INTERVALS, TIMES)) for _ in PARTS]

    def learn(self, event: BarEvent) -> None:
        """Adds an event; see `BarReader` for their order."""
        part = event.part
        if part == DRUMS and event.code == _OTHER_DRUMS:
            self._last_drum = _OTHER_DRUMS
        self._state = self._model.follow(self._state, self.reader.learn(event))
        self._expected[part] = self.reader.chances(part).copy()
        known = self._expected[part].sum(axis=0) if self._knows(part) else None
        self._times[part] = self._model.times(self._state, self.reader.time_rows(part), known)

    def values(self, part: int, time: int) -> F64:
        """Chances `[INTERVALS]` of the part's next value, `time` sixteenths (at most `TIMES` - 1) after its last."""
        known = self._expected[part][:, time] if self._knows(part) else None
        return self._model.values(self._state, self.reader.value_rows(part, time), known)

    def _knows(self, part: int) -> bool:
        return self.memory and len(self.reader.codes(part)) >= self.enough

    def surprise(self, event: BarEvent) -> float:
        """Surprise in bits of a possible next event of a started part."""
        last = self.reader.last[event.part]
        assert last is not None
        time = min(TIMES - 1, event.slot - last.slot)
        chance = self.values(event.part, time)[self.reader.value_of(event.part, event.code)]
        return -math.log2(chance) - math.log2(self._times[event.part][time])

    def write(self, start: int, bars: int, seed: int) -> list[BarEvent]:
        """Generates bars of all started parts, in order, from the bar line `start` on.

        The last note of the melody is of the tonic's triad and lasts to the bar line.
        """
        chosen = np.random.default_rng(seed)
        bar = self.reader.improviser.wishes.bar
        parts = [part for part in range(len(PARTS)) if self.reader.last[part] is not None]
        due = {part: self._due(part, start, chosen) for part in parts}
        self._range = {part: self._compass(part) for part in (MELODY, BASS)}
        made: list[BarEvent] = []
        for line in range(start, start + bars * bar, bar):
            for part in parts:
                if part == CHORDS and line == start + (bars - 1) * bar and due[part] < line + bar:
                    # the last bar is the tonic's
                    key = self.reader.improviser.key
                    made.append(BarEvent(CHORDS, line, key % 12 + 12 * (key // 12)))
                    self.learn(made[-1])
                    due[part] = line + bar
                while due[part] < line + bar:
                    made.append(BarEvent(part, due[part], self._code(part, due[part], chosen)))
                    self.learn(made[-1])
                    due[part] = self._due(part, line, chosen)
        return self._ended(made, start + bars * bar)

    def fill(self, begun: Sequence[BarEvent], events: Iterable[BarEvent], end: int, seed: int) -> list[BarEvent]:
        """Generates one part beside others, up to slot `end`, on an empty history.

        begun: its first events, within one bar; events: those of the other parts.
        """
        chosen = np.random.default_rng(seed)
        part, bar = begun[0].part, self.reader.improviser.wishes.bar
        due, made = begun[0].slot, list[BarEvent]()
        others = in_order(list(events), bar)
        for line in range(0, end, bar):
            here = [event for event in others if line <= event.slot < line + bar]
            for event in (event for event in here if event.part < part):
                self.learn(event)
            while due < line + bar:
                written = [BarEvent(part, due, self._code(part, due, chosen))] if made else begun
                for event in written:
                    self.learn(event)
                if not made:
                    self._range = {part: self._compass(part)}
                made += written
                due = self._due(part, line, chosen)
            for event in (event for event in here if event.part > part):
                self.learn(event)
        return self._ended(made, end)

    def _due(self, part: int, start: int, chosen: np.random.Generator) -> int:
        """Slot of the part's next event, not before `start`."""
        last = self.reader.last[part]
        assert last is not None
        chances = self._times[part].copy()
        more = (
            part == DRUMS and last.code < self._last_drum and len(self.reader.since(part, last.slot)) < _MAX_DRUM_HITS
        )
        chances[: max(0 if more else 1, start - last.slot)] = 0.0
        if part in (MELODY, BASS):
            chances[max(_MAX_ONSET_GAP, start - last.slot + 4) + 1 :] = 0.0
            if len(self.reader.since(part, last.slot - 15)) > _FAST:
                chances[1] = 0.0
        if not chances.any():
            return start
        return last.slot + _drawn(chances, chosen, _FLOORS[part])

    def _code(self, part: int, slot: int, chosen: np.random.Generator) -> int:
        last = self.reader.last[part]
        assert last is not None
        time = min(TIMES - 1, slot - last.slot)
        chances = self.values(part, time)
        codes = np.array([self.reader.code_of(part, value) for value in range(INTERVALS)])
        if part == DRUMS:
            chances[codes > self._last_drum] = 0.0
            if time == 0:
                chances[codes <= last.code] = 0.0
        elif part == CHORDS:
            chances[24:] = 0.0
            key = self.reader.improviser.key
            for value in np.flatnonzero(chances):
                root, minor = codes[value] % 12, codes[value] // 12
                tones = (root - key, root + (3 if minor else 4) - key, root + 7 - key)
                # the leading note makes the dominant of a minor key, too
                scale = (*SCALES[key // 12], *((11,) if key // 12 else ()))
                chances[value] *= 1.0 if all(tone % 12 in scale for tone in tones) else OUT_OF_KEY
        else:
            improviser = self.reader.improviser
            inside = self._in_key(codes)
            low, high = self._range[part]
            chances[(codes < low) | (codes > high)] = 0.0
            chances *= self._in_chord(codes, last.slot, slot) if part == BASS else np.where(inside, 1.0, OUT_OF_KEY)
            recent = self.reader.codes(part)[-_REPEATED:]
            if part == MELODY and len(recent) == _REPEATED and len(set(recent)) == 1:
                chances[codes == last.code] = 0.0
            if part == MELODY:
                chances = improviser.unlike(chances, time)
        return int(codes[_drawn(chances, chosen, _FLOORS[part])]) if chances.any() else last.code

    def _in_key(self, codes: NDArray[np.int64]) -> NDArray[np.bool_]:
        key = self.reader.improviser.key
        return np.isin((codes - key) % 12, SCALES[key // 12])

    def _in_chord(self, codes: NDArray[np.int64], before: int, slot: int) -> F64:
        """Weights of codes for a bass at a slot whose last note began at `before`.

        The network has heard few basses: in a long song it falls into one note that its memory knows best.
        """
        found = self.reader.at(CHORDS, slot)
        if found is None or found[1] >= _NO_CHORD:
            return np.where(self._in_key(codes), 1.0, OUT_OF_KEY)
        since, chord = found
        degrees = (codes - chord) % 12
        root = degrees == 0
        tones = np.isin(degrees, (0, 7) if chord >= 24 else (0, 4 - chord // 12, 7))
        if before < since:
            return np.where(root, 1.0, np.where(tones, _INVERTED, 0.0))
        return np.where(tones, 1.0, np.where(self._in_key(codes), _PASSING, OUT_OF_KEY))

    def _compass(self, part: int) -> tuple[int, int]:
        if self.reader.last[part] is None:
            return 0, 127
        given = self.reader.codes(part)
        low, high = (min(given), max(given))
        # two notes say little of a line's compass
        narrow = max(0, 8 - (high - low) // 2)
        lowest, highest = (min(low, _BASS_LOW), max(high, _BASS_HIGH)) if part == BASS else (0, 127)
        return max(lowest, low - max(_RANGE_MARGIN, narrow)), min(highest, high + max(_RANGE_MARGIN, narrow))

    def _ended(self, made: Iterable[BarEvent], end: int) -> list[BarEvent]:
        """Events with lengths, the melody's last on the tonic's triad."""
        following: dict[int, int] = {}
        done: list[BarEvent] = []
        key = self.reader.improviser.key
        triad = [(key + step) % 12 for step in (0, 4 - key // 12, 7)]
        for event in reversed(list(made)):
            until = following.get(event.part, end)
            length = float(min(_LONGEST[event.part], max(1, until - event.slot)))
            if event.part == MELODY and MELODY not in following:
                near = min(
                    range(event.code - 4, event.code + 5), key=lambda n: (n % 12 not in triad, abs(n - event.code))
                )
                event, length = event._replace(code=near), float(min(16, end - event.slot))
            done.append(event._replace(length=length))
            if event.slot < until:
                following[event.part] = event.slot
        bar = self.reader.improviser.wishes.bar
        return _with_few_crashes(in_order(done, bar), _SELDOM * bar)


def _with_few_crashes(events: Iterable[BarEvent], apart: int) -> list[BarEvent]:
    """Events without crash cymbals less than `apart` slots after another."""
    kept: list[BarEvent] = []
    last = -apart
    for event in events:
        if event.part == DRUMS and event.code == _CRASH:
            if event.slot - last < apart:
                continue
            last = event.slot
        kept.append(event)
    return kept


def _drawn(chances: F64, chosen: np.random.Generator, floor: float) -> int:
    """Random index by probability, without those below a share of the highest."""
    shares = np.where(chances < floor * chances.max(), 0.0, chances)
    edges = np.cumsum(shares)
    return min(len(shares) - 1, int(np.searchsorted(edges, chosen.random() * edges[-1], side="right")))
