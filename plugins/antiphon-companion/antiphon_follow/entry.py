"""Where a player that is found by ear comes in: notes of the sound, until some fit the score better than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from antiphon_follow.score import ScoreOnset

SPAN = 8.0
"""Seconds of notes among which a beginning is looked for."""
MOST = 32
"""Most notes of these, the newest."""
PITCHES = 40
"""Numbers among which notes by chance are spread."""
FITS = 8.0
"""Nats by which a beginning fits better than chance."""
SKIPS = 2
"""Most onsets that may be missing before each that is found."""
MISSED = 1.5
"""Nats that a missing onset costs."""
CHORD = 0.12
"""Seconds within which a chord's notes begin."""
TOGETHER_FITS = 2.5
"""Nats of a further note of a chord: noises have several notes at once, too."""
DRIFT, STEADY = 0.6, 0.4
"""Deviation of the player's tempo from the score's, and from its own, in nats."""
SLIDE = 2
"""Semitones about a voice's note that are passed on the way to it."""
BESIDE = 0.2
"""Share of a voice's notes that are a semitone beside, to those that are not."""
BEGINS = 0.3
"""Beginnings per second."""
HARMONICS = (0, 12, 19, 24, 28, 31, 34, 36)
"""Semitones from a tone to its harmonics, which may be found as notes."""

_Note = tuple[float, int]
"""Seconds, and number."""


class ScoreEntry:
    """Notes before the player is in the score. `onsets`: of its part."""

    def __init__(self, onsets: Sequence[ScoreOnset]) -> None:
        self._onsets = onsets
        self._melody = all(len(one.numbers) == 1 for one in onsets)
        self._held: list[_Note] = []
        self.reset((0,), 0.5)

    def reset(self, places: Sequence[int], pace: float) -> None:
        """Forgets all notes, and expects those from one of some onsets on. `pace`: seconds per quarter."""
        self._held.clear()
        self._pace = pace
        self._places = [
            (place + skipped, MISSED * skipped)
            for place in places
            for skipped in range(SKIPS + 1)
            if place + skipped < len(self._onsets)
        ]

    def take(self, at: float, number: int) -> tuple[int, list[_Note]]:
        """Takes a note; returns the onset with which the player began, and the notes since, none until it is known."""
        held = self._held
        held.append((at, number))
        while at - held[0][0] > SPAN or len(held) > MOST:
            del held[0]
        for first, (_, other) in enumerate(held[:-1]):
            for place, cost in self._places:
                if self._share(other, place) > 0.0 and self._fit(first, place) - cost >= FITS:
                    return place, held[first:]
        return 0, []

    def _share(self, number: int, place: int) -> float:
        """How often a note of an onset is found at a number: of a melody a semitone beside it too, as of a voice."""
        numbers = self._onsets[place].numbers
        if number in numbers:
            return 1.0
        return BESIDE if self._melody and abs(number - numbers[0]) == 1 else 0.0

    def _fit(self, first: int, place: int) -> float:
        """Nats by which the notes from one on fit the score from an onset on, better than notes by chance do."""
        onsets, pace, deviation = self._onsets, self._pace, DRIFT
        begun, number = self._held[first]
        found, fits = [(BEGINS * self._share(number, place), number)], 0.0
        came, others = {number}, [other for _, other in self._held[:first]]
        for at, number in self._held[first + 1 :]:
            passed = at - begun
            if number in onsets[place].numbers and number not in came and passed <= CHORD:
                if not (self._melody or _rings(number, came)):
                    fits += TOGETHER_FITS
                came.add(number)
                continue
            for after in range(place + 1, min(place + SKIPS + 2, len(onsets))):
                expected = (onsets[after].start - onsets[place].start) * pace
                if passed > 0.0 and (often := self._share(number, after)):
                    off = math.log(passed / expected)
                    if abs(off) > 2.5 * deviation:
                        continue
                    often *= math.exp(-0.5 * (off / deviation) ** 2) / (2.5 * deviation * passed)
                    found.append((often, number))
                    fits -= MISSED * (after - place - 1)
                    pace, deviation = pace * math.exp(off), STEADY
                    place, begun, came = after, at, {number}
                    break
            else:
                slides = self._melody and any(abs(number - other) <= SLIDE for other in came)
                if not (slides or _rings(number, came)):
                    others.append(number)
        span = SPAN if len(self._held) < MOST else max(CHORD, self._held[-1][0] - self._held[0][0])
        chance = (len(others) + 1) / PITCHES
        return fits + sum(math.log(often * span / (others.count(number) + chance)) for often, number in found)


def _rings(number: int, came: set[int]) -> bool:
    """Whether a note may be a harmonic of one that came, or one whose harmonic came."""
    return any(abs(number - other) in HARMONICS[1:] for other in came)
