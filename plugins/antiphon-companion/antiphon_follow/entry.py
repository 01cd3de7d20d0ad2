"""Where a player that is found by ear comes in: notes of the sound, until some fit the score better than chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from antiphon_follow.score import ScoreOnset

SPAN = 8.0
"""Seconds of notes among which a beginning is looked for."""
MOST = 32
"""Most notes of these, the newest."""
PITCHES = 40
"""Numbers among which notes by chance are spread."""
FITS, SPARE = 8.0, 1.5
"""Nats by which a beginning fits better than chance; and by which less than the most that so few onsets reach."""
SKIPS = 2
"""Most onsets that may be missing before each that is found."""
ENTRIES, NEWEST = 12, 12
"""Most onsets that may be missing before the first that is found, and among how many notes one after `SKIPS` is."""
MISSED, LATE = 1.5, 9.0
"""Nats that a missing onset costs, and that more than `SKIPS` before the first do: who comes late leaves out any."""
CHORD = 0.12
"""Seconds within which a chord's notes begin."""
TOGETHER_FITS = 2.5
"""Nats of a further note of a chord: noises have several notes at once, too."""
INCOMPLETE, MOST_INCOMPLETE = 0.6, 3
"""Nats that each note costs that is missing of a chord, and most notes that do."""
DRIFT, STEADY = 0.6, 0.4
"""Deviation of the player's tempo from the score's, and from its own, in nats."""
SLIDE = 2
"""Semitones about a voice's note that are passed on the way to it."""
BESIDE = 0.2
"""Share of a voice's notes that are a semitone beside, to those that are not."""
OCTAVE, OCTAVES = 0.01, 12
"""Share of players of a melody who are an octave off: one more note has to fit. And most semitones by which."""
BEGINS = 0.3
"""Beginnings per second."""
HARMONICS = (0, 12, 19, 24, 28, 31, 34, 36)
"""Semitones from a tone to its harmonics, which may be found as notes."""
_OVERTONES = frozenset(HARMONICS[1:])

_Note = tuple[float, int]
"""Seconds, and number."""


class ScoreEntry:
    """Notes before the player is in the score. `onsets`: of its part."""

    def __init__(self, onsets: Sequence[ScoreOnset]) -> None:
        self._onsets = onsets
        self._melody = all(len(one.numbers) == 1 for one in onsets)
        self._shares = [self._found_at(one) for one in onsets]
        self._held: list[_Note] = []
        self.reset((0,), 0.5)

    def reset(self, places: Sequence[int], pace: float) -> None:
        """Forgets all notes, and expects those from one of some onsets on. `pace`: seconds per quarter."""
        self._held.clear()
        self._pace = pace
        self._places = [
            (place + skipped, least + (MISSED * skipped if skipped <= SKIPS else LATE), skipped > SKIPS)
            for place, least in [(place, self._least(place)) for place in places]
            for skipped in range(min(ENTRIES + 1, len(self._onsets) - place))
        ]

    def _least(self, place: int) -> float:
        """Nats from which a beginning at an onset is taken: what notes of a few onsets, or slow ones, reach is less."""
        onsets, numbers = self._onsets, self._onsets[place].numbers
        further = sum(not _rings(number, set(numbers[:n]), -1) for n, number in enumerate(numbers)) - 1
        most = math.log(BEGINS * SPAN * PITCHES) + TOGETHER_FITS * further
        for before, after in itertools.pairwise(onsets[place : place + MOST]):
            if most >= FITS + SPARE or (after.start - onsets[place].start) * self._pace > SPAN:
                break
            most += math.log(SPAN * PITCHES / (2.5 * DRIFT * (after.start - before.start) * self._pace))
        return min(FITS, most - SPARE)

    def take(self, at: float, number: int) -> tuple[int, list[_Note]]:
        """Takes a note; returns the onset with which the player began, and the notes since, none until it is known."""
        held = self._held
        held.append((at, number))
        while at - held[0][0] > SPAN or len(held) > MOST:
            del held[0]
        best, begun = 0.0, (0, 0)
        for first, (_, other) in enumerate(held):
            for place, least, late in self._places:
                if late and first < len(held) - NEWEST:
                    continue
                octave = 0 if late or not self._melody else 12 * round((other - self._onsets[place].numbers[0]) / 12)
                if abs(octave) <= OCTAVES and other - octave in self._shares[place]:
                    over = self._fit(first, place, octave) - least
                    if over > best:
                        best, begun = over, (place, first)
        return (begun[0], held[begun[1] :]) if best > 0.0 else (0, [])

    def _found_at(self, onset: ScoreOnset) -> dict[int, float]:
        """How often an onset is found at a number: of a melody a semitone beside it too, as of a voice."""
        numbers = onset.numbers
        beside = {numbers[0] - 1: BESIDE, numbers[0] + 1: BESIDE} if self._melody else {}
        return beside | dict.fromkeys(numbers, 1.0)

    def _missing(self, came: int, place: int) -> float:
        """Nats that the notes of a chord cost that did not come."""
        return INCOMPLETE * min(MOST_INCOMPLETE, len(self._onsets[place].numbers) - came)

    def _fit(self, first: int, place: int, octave: int) -> float:
        """Nats by which the notes from one on fit the score from an onset on, better than notes by chance do.

        `octave`: semitones by which they are above the score's.
        """
        onsets, shares, pace, deviation = self._onsets, self._shares, self._pace, DRIFT
        begun, number = self._held[first]
        found = [(BEGINS * shares[place][number - octave] * (OCTAVE if octave else 1.0), number)]
        came, others, fits = {number}, [other for _, other in self._held[:first]], 0.0
        for at, number in self._held[first + 1 :]:
            passed = at - begun
            if number - octave in onsets[place].numbers and number not in came and passed <= CHORD:
                if not (self._melody or _rings(number, came, -1)):
                    fits += TOGETHER_FITS
                came.add(number)
                continue
            for after in range(place + 1, min(place + SKIPS + 2, len(onsets))):
                if passed > 0.0 and (often := shares[after].get(number - octave)):
                    off = math.log(passed / ((onsets[after].start - onsets[place].start) * pace))
                    if abs(off) > 2.5 * deviation:
                        continue
                    often *= math.exp(-0.5 * (off / deviation) ** 2) / (2.5 * deviation * passed)
                    found.append((often, number))
                    fits -= MISSED * (after - place - 1) + self._missing(len(came), place)
                    pace, deviation = pace * math.exp(off), STEADY
                    place, begun, came = after, at, {number}
                    break
            else:
                if not _rings(number, came, SLIDE if self._melody else -1):
                    others.append(number)
        fits -= self._missing(len(came), place)
        span = SPAN if len(self._held) < MOST else max(CHORD, self._held[-1][0] - self._held[0][0])
        chance = (len(others) + 1) / PITCHES
        return fits + sum(math.log(often * span / (others.count(number) + chance)) for often, number in found)


def _rings(number: int, came: set[int], slide: int) -> bool:
    """Whether a note may be a harmonic of one that came, or one whose harmonic came, or on the way to it."""
    return any((off := abs(number - other)) <= slide or off in _OVERTONES for other in came)
