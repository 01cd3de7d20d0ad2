"""Chord of the notes that come in, as of a `hum` in its mode `chords`: the triad that its pitch classes fit best."""

from __future__ import annotations

import math

from antiphon.api import Event

SETTLE_SECONDS = 0.06
"""Seconds from a chord's first note until it is named: its others come in the meantime."""
MEMORY_SECONDS = 8.0
"""Seconds after the last note that named a chord in which the sound does not name another."""
_STRIKE_DECAY, _HELD_DECAY = 1.8, 1.0
"""Time constants in seconds of a struck note's weight, and of a sounding one's: an arpeggio is one chord."""
_WHOLE, _PART, _OTHER = 0.1, 0.7, 0.7
"""Factors of earlier notes' weights: where three pitch classes are struck at once; of the struck ones, where fewer
are; and where one is outside the chord that sounds."""
_TRIAD, _BASS, _OUTSIDE = (1.0, 1.0, 0.8), 0.8, 0.8
"""Weights of root, third and fifth, of a root in the bass and of other notes. All are chosen on chords, strums and
arpeggios of a recorded piano's and guitar's notes."""
_MIN_NOTE, _MIN_SCORE = 0.05, 0.4
"""Minimum weight of root and third, and of another pitch class, and minimum score, as shares of all weights."""


class NoteChords:
    """Chord tracker of a stream of notes, by samples. `chord`: as in `CHORDS`, 0 for none; `due`: when it is named."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._began, self._velocities = [-1.0] * 128, [0.0] * 128
        self._struck, self._fresh = [0.0] * 12, [0.0] * 12
        self.clear()

    def clear(self) -> None:
        self._began[:], self._struck[:] = [-1.0] * 128, [0.0] * 12
        self._last = self._first = 0.0
        self.chord, self.named, self.due = 0, -math.inf, math.inf

    def add(self, event: Event, sample: int) -> None:
        """Adds a note's begin or end, at a sample."""
        now = sample / self._rate
        if event.kind == "on" and event.value > 0.0:
            if self.due == math.inf:
                self.due = sample + round(SETTLE_SECONDS * self._rate)
                self._first, self._fresh[:] = now, [0.0] * 12
            self._began[event.number], self._velocities[event.number] = now, event.value
            self._fresh[event.number % 12] += event.value
        elif event.kind in ("on", "off"):
            self._began[event.number] = -1.0

    def name(self, sample: int) -> None:
        """Names the chord at `due`."""
        now, self.due = sample / self._rate, math.inf
        weights, lowest = self._weights(now)
        total, best, found = sum(weights), 0.0, 0
        for chord in range(1, 25):
            own = [weights[pitch] for pitch in _tones(chord)]
            score = sum(w * part for w, part in zip(own, _TRIAD, strict=True)) - _OUTSIDE * (total - sum(own))
            score += _BASS * own[0] * (lowest % 12 == (chord - 1) % 12 and lowest >= 0)
            if score > best and min(own[:2]) > _MIN_NOTE * total:
                best, found = score, chord
        # a third and no fifth is a chord above its root
        least = 2 if lowest % 12 == (found - 1) % 12 else 3
        several = sum(weight > _MIN_NOTE * total for weight in weights) >= least
        if found and several and best >= _MIN_SCORE * total:
            self.chord, self.named = found, now

    def _weights(self, now: float) -> tuple[list[float], int]:
        """Weights of the pitch classes of what was struck and sounds, and the lowest note that sounds, -1 for none."""
        own = _tones(self.chord) if self.chord else range(12)
        whole = sum(weight > 0.0 for weight in self._fresh) >= 3
        held = _WHOLE if whole else 1.0
        if any(weight > 0.0 and pitch not in own for pitch, weight in enumerate(self._fresh)):
            held *= _OTHER
        fade = held * (1.0 if whole else _PART) * math.exp((self._last - self._first) / _STRIKE_DECAY)
        self._last = self._first
        self._struck[:] = [fade * weight + new for weight, new in zip(self._struck, self._fresh, strict=True)]
        weights, lowest = list(self._struck), -1
        for pitch, began in enumerate(self._began):
            if began >= 0.0:
                lowest = pitch if lowest < 0 else lowest
                share = held if began < self._first else 1.0
                weights[pitch % 12] += share * self._velocities[pitch] * math.exp((began - now) / _HELD_DECAY)
        return weights, lowest


def _tones(chord: int) -> tuple[int, int, int]:
    """Pitch classes of root, third and fifth of a chord, as in `CHORDS`."""
    root = (chord - 1) % 12
    return root, (root + (4 if chord <= 12 else 3)) % 12, (root + 7) % 12
