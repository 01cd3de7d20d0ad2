"""Detection of the player's entry in sound: collects notes until some fit the score better than chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from antiphon.api.kernels import f64, f64p, i64, i64p, kernel
from antiphon_follow.score import ScoreOnset

SPAN = 8.0
"""Length in seconds of the window of notes in which an entry is sought."""
MOST = 32
"""Maximum number of these notes; the newest are kept."""
PITCHES = 40
"""Number of note numbers over which random notes are spread."""
FITS, SPARE = 8.0, 1.5
"""Nats by which an entry must fit better than chance, and the allowance below the maximum that few onsets reach."""
SKIPS = 2
"""Maximum number of missing onsets before each found one."""
ENTRIES, NEWEST = 12, 12
"""Maximum number of missing onsets before the first found one; for more than `SKIPS`, number of newest notes sought."""
MISSED, LATE = 1.5, 9.0
"""Cost in nats of a missing onset, and of more than `SKIPS` before the first: a late player leaves out any number."""
CHORD = 0.12
"""Seconds within which the notes of a chord begin."""
TOGETHER_FITS = 2.5
"""Nats of a further note of a chord: noises have several notes at once, too."""
INCOMPLETE, MOST_INCOMPLETE = 0.6, 3
"""Cost in nats of each note missing from a chord, and the maximum number of counted notes."""
DRIFT, STEADY = 0.6, 0.4
"""Deviation of the player's tempo from the score's, and from its previous tempo, in nats."""
SLIDE = 2
"""Semitones around a voice's note through which the voice may slide to it."""
BESIDE = 0.2
"""Ratio of a voice's notes that are a semitone off to its correct notes."""
OCTAVE, OCTAVES = 0.01, 12
"""Share of melody players who are an octave off (one more note must then fit), and the maximum offset in semitones."""
BEGINS = 0.3
"""Expected number of entries per second."""
HARMONICS = (0, 12, 19, 24, 28, 31, 34, 36)
"""Semitones from a tone to its harmonics, which may be detected as notes."""
_OVERTONES = sum(1 << off for off in HARMONICS[1:])
"""Bit mask of the harmonics without the fundamental."""

_Note = tuple[float, int]
"""Time in seconds, and note number."""


class EntryScore(NamedTuple):
    """Onsets of the player's part. `bits`: two words per onset, one bit for each number; `lowest`: lowest numbers."""

    starts: f64p
    bits: i64p
    sizes: i64p
    lowest: i64p
    onsets: i64
    melody: i64


class EntryPlaces(NamedTuple):
    """Onsets at which the player may enter. `least`: nats required for each; `late`: whether it is later than
    `SKIPS`.
    """

    places: i64p
    least: f64p
    late: i64p
    many: i64


class EntryNotes(NamedTuple):
    """Received notes, and buffers for `entry_fit`, each of `MOST`: matched notes, the present onset's, and others."""

    times: f64p
    numbers: i64p
    often: f64p
    found: i64p
    came: i64p
    others: i64p


@kernel
def entry_has_number(s: EntryScore, place: i64, number: i64) -> i64:
    """Whether an onset of the score has a note number."""
    if number < 0 or number > 127:
        return 0
    return i64(s.bits[2 * place + number // 64] >> (number % 64)) & 1


@kernel
def entry_number_frequency(s: EntryScore, place: i64, number: i64) -> f64:
    """Returns the relative frequency of a number at an onset; voices in a melody may also be a semitone off."""
    if entry_has_number(s, place, number) == 1:
        return 1.0
    return BESIDE if s.melody == 1 and abs(number - s.lowest[place]) == 1 else 0.0


@kernel
def entry_is_related(came: i64p, count: i64, number: i64, slide: i64) -> i64:
    """Whether a note may be a harmonic or subharmonic of an earlier note, or lie on the slide to it."""
    for n in range(count):
        off = abs(number - came[n])
        if off <= slide or (_OVERTONES >> min(off, 63)) & 1 == 1:
            return 1
    return 0


@kernel
def entry_number_count(numbers: i64p, count: i64, number: i64) -> i64:
    """Returns the count of a number among some numbers."""
    same = 0
    for n in range(count):
        same += 1 if numbers[n] == number else 0
    return same


@kernel
def entry_fit(s: EntryScore, k: EntryNotes, count: i64, first: i64, place: i64, octave: i64, pace: f64) -> f64:
    """Nats by which the notes from `first` on fit the score from an onset on, better than notes by chance do.

    `octave`: semitones by which they are above the score's. `pace`: seconds per quarter.
    """
    deviation, begun, slide = DRIFT, k.times[first], SLIDE if s.melody == 1 else -1
    k.often[0] = BEGINS * entry_number_frequency(s, place, k.numbers[first] - octave) * (1.0 if octave == 0 else OCTAVE)
    k.found[0], k.came[0] = k.numbers[first], k.numbers[first]
    found, came, others, fits = 1, 1, 0, 0.0
    for n in range(first):
        if begun - k.times[n] > CHORD or abs(k.numbers[n] - k.numbers[first]) > slide:
            k.others[others] = k.numbers[n]
            others += 1
    for n in range(first + 1, count):
        number, passed = k.numbers[n], k.times[n] - begun
        if (
            passed <= CHORD
            and entry_has_number(s, place, number - octave) == 1
            and entry_number_count(k.came, came, number) == 0
        ):
            fits += TOGETHER_FITS if s.melody == 0 and entry_is_related(k.came, came, number, -1) == 0 else 0.0
            k.came[came] = number
            came += 1
            continue
        moved, after, last = 0, place + 1, min(place + SKIPS + 2, s.onsets)
        while passed > 0.0 and moved == 0 and after < last:
            often = entry_number_frequency(s, after, number - octave)
            off = math.log(passed / ((s.starts[after] - s.starts[place]) * pace)) if often > 0.0 else 0.0
            if often > 0.0 and abs(off) <= 2.5 * deviation:
                scaled = off / deviation
                k.often[found] = often * (math.exp(-0.5 * (scaled * scaled)) / (2.5 * deviation * passed))
                k.found[found] = number
                found += 1
                missing = min(MOST_INCOMPLETE, s.sizes[place] - came)
                fits -= MISSED * f64(after - place - 1) + INCOMPLETE * f64(missing)
                pace, deviation = pace * math.exp(off), STEADY
                place, begun, came, moved = after, k.times[n], 1, 1
                k.came[0] = number
            after += 1
        if moved == 0 and entry_is_related(k.came, came, number, slide) == 0:
            k.others[others] = number
            others += 1
    fits -= INCOMPLETE * f64(min(MOST_INCOMPLETE, s.sizes[place] - came))
    span = SPAN if count < MOST else max(CHORD, k.times[count - 1] - k.times[0])
    chance, total = f64(others + 1) / f64(PITCHES), 0.0
    for n in range(found):
        total += math.log(k.often[n] * span / (f64(entry_number_count(k.others, others, k.found[n])) + chance))
    return fits + total


@kernel
def entry_best(s: EntryScore, p: EntryPlaces, k: EntryNotes, count: i64, pace: f64) -> i64:
    """Returns place and first note of the best-fitting entry, as `place * MOST + first`; -1 if none fits."""
    best, begun = 0.0, -1
    for first in range(count):
        for n in range(p.many):
            place, late = p.places[n], p.late[n] == 1
            if late and first < count - NEWEST:
                continue
            off = k.numbers[first] - s.lowest[place]
            octave = 0
            if s.melody == 1 and not late and abs(off) > OCTAVES / 2:
                octave = OCTAVES if off > 0 else -OCTAVES
            if entry_number_frequency(s, place, k.numbers[first] - octave) > 0.0:
                over = entry_fit(s, k, count, first, place, octave, pace) - p.least[n]
                if over > best:
                    best, begun = over, place * MOST + first
    return begun


class ScoreEntry:
    """Collects notes until the player has entered the score. `onsets`: of the player's part."""

    def __init__(self, onsets: Sequence[ScoreOnset]) -> None:
        self._onsets, bits = onsets, np.zeros((len(onsets), 2), np.uint64)
        for place, one in enumerate(onsets):
            for number in one.numbers:
                bits[place, number // 64] |= np.uint64(1 << number % 64)
        self._score = EntryScore(
            np.array([one.start for one in onsets], np.float64),
            bits.view(np.int64),
            np.array([len(one.numbers) for one in onsets], np.int64),
            np.array([min(one.numbers, default=0) for one in onsets], np.int64),
            len(onsets),
            int(all(len(one.numbers) == 1 for one in onsets)),
        )
        self._notes = EntryNotes(
            *(np.zeros(MOST + 1, kind) for kind in (np.float64, np.int64, np.float64, np.int64, np.int64, np.int64))
        )
        self.reset((0,), 0.5)

    def reset(self, places: Sequence[int], pace: float) -> None:
        """Clears all notes, and expects an entry at one of some onsets. `pace`: seconds per quarter."""
        self._count, self._pace = 0, pace
        rows = [
            (place + skipped, least + (MISSED * skipped if skipped <= SKIPS else LATE), skipped > SKIPS)
            for place, least in [(place, self._least(place)) for place in places]
            for skipped in range(min(ENTRIES + 1, len(self._onsets) - place))
        ]
        found, least, late = zip(*rows, strict=True)
        self._places = EntryPlaces(
            np.array(found, np.int64), np.array(least, np.float64), np.array(late, np.int64), len(rows)
        )

    def _least(self, place: int) -> float:
        """Returns the nats required for an entry at an onset, fewer where few or slow onsets follow."""
        onsets, numbers = self._onsets, np.array(self._onsets[place].numbers, np.int64)
        further = sum(not entry_is_related(numbers, n, int(number), -1) for n, number in enumerate(numbers)) - 1
        most = math.log(BEGINS * SPAN * PITCHES) + TOGETHER_FITS * further
        for before, after in itertools.pairwise(onsets[place : place + MOST]):
            if most >= FITS + SPARE or (after.start - onsets[place].start) * self._pace > SPAN:
                break
            most += math.log(SPAN * PITCHES / (2.5 * DRIFT * (after.start - before.start) * self._pace))
        return min(FITS, most - SPARE)

    def take(self, at: float, number: int) -> tuple[int, list[_Note]]:
        """Takes a note. Returns the onset at which the player entered and the notes since then; none until known."""
        times, numbers, count, gone = self._notes.times, self._notes.numbers, self._count + 1, 0
        times[count - 1], numbers[count - 1] = at, number
        while at - times[gone] > SPAN or count - gone > MOST:
            gone += 1
        self._count = count = count - gone
        if gone:
            times[:count], numbers[:count] = times[gone : gone + count], numbers[gone : gone + count]
        begun = entry_best(self._score, self._places, self._notes, count, self._pace)
        if begun < 0:
            return 0, []
        place, first = divmod(begun, MOST)
        return place, list(zip(times[first:count].tolist(), numbers[first:count].tolist(), strict=True))
