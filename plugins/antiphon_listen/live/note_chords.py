"""Chord of the notes that come in, as of a `hum` in its mode `chords`: the triad that its pitch classes fit best."""

from __future__ import annotations

import math

from antiphon.api import Event

SETTLE_SECONDS = 0.06
"""Seconds from a chord's first note until it is named: its others come in the meantime."""
MEMORY_SECONDS = 8.0
"""Seconds after the last note that named a chord in which the sound does not name another."""
_STRIKE_DECAY, _HELD_DECAY = 0.7, 2.0
"""Time constants in seconds of a struck note's weight, and of a sounding one's."""
_NEW_CHORD = 0.5
"""Factor of what was struck before a chord's first note."""
_TRIAD, _BASS, _OUTSIDE, _STAYS = (1.0, 1.0, 0.8), 0.4, 0.5, 0.15
"""Weights of root, third and fifth, of a root in the bass and of other notes; advantage of the chord that sounds."""
_MIN_NOTE, _MIN_SCORE = 0.1, 0.4
"""Minimum weight of root, third and another pitch class, and minimum score, as shares of all weights."""


class NoteChords:
    """Chord tracker of a stream of notes, by samples. `chord`: as in `CHORDS`, 0 for none; `due`: when it is named."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._began, self._velocities, self._struck = [-1.0] * 128, [0.0] * 128, [0.0] * 12
        self.clear()

    def clear(self) -> None:
        self._began[:], self._struck[:] = [-1.0] * 128, [0.0] * 12
        self._last, self.chord, self.named, self.due = 0.0, 0, -math.inf, math.inf

    def add(self, event: Event, sample: int) -> None:
        """Adds a note's begin or end, at a sample."""
        now = sample / self._rate
        if event.kind == "on" and event.value > 0.0:
            if self.due == math.inf:
                self.due = sample + round(SETTLE_SECONDS * self._rate)
                fade = _NEW_CHORD * math.exp(min(0.0, self._last - now) / _STRIKE_DECAY)
                for pitch in range(12):
                    self._struck[pitch] *= fade
                self._last = now
            self._began[event.number], self._velocities[event.number] = now, event.value
            self._struck[event.number % 12] += event.value
        elif event.kind in ("on", "off"):
            self._began[event.number] = -1.0

    def name(self, sample: int) -> None:
        """Names the chord at `due`."""
        now, self.due = sample / self._rate, math.inf
        weights, lowest = list(self._struck), -1
        for pitch, began in enumerate(self._began):
            if began >= 0.0:
                lowest = pitch if lowest < 0 else lowest
                weights[pitch % 12] += self._velocities[pitch] * math.exp(min(0.0, began - now) / _HELD_DECAY)
        total, best, found = sum(weights), 0.0, 0
        for chord in range(1, 25):
            root, third = (chord - 1) % 12, 4 if chord <= 12 else 3
            own = [weights[(root + step) % 12] for step in (0, third, 7)]
            score = sum(w * part for w, part in zip(own, _TRIAD, strict=True)) - _OUTSIDE * (total - sum(own))
            score += _BASS * own[0] * (lowest % 12 == root and lowest >= 0) + _STAYS * total * (chord == self.chord)
            if score > best and min(own[:2]) > _MIN_NOTE * total:
                best, found = score, chord
        several = sum(weight > _MIN_NOTE * total for weight in weights) >= 3
        if found and several and best >= _MIN_SCORE * total:
            self.chord, self.named = found, now
