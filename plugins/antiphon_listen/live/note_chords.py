"""Chord of the notes that come in, as of a `hum` in its mode `chords`: the triad that its pitch classes fit best."""

import math

from antiphon.api import Event

SETTLE_SECONDS = 0.06
"""Seconds from a chord's first note until it is named: its others come in the meantime."""
MEMORY_SECONDS = 8.0
"""Seconds after the last note that named a chord in which the sound does not name another."""
_STRIKE_DECAY, _HELD_DECAY = 1.8, 1.0
"""Time constants in seconds of a struck note's weight, and of a sounding one's: an arpeggio is one chord."""
_WHOLE = 0.1
"""Factor of earlier notes' weights where three pitch classes are struck at once."""
_TRIAD, _BASS, _OUTSIDE = (1.0, 1.0, 0.8), 0.8, 0.8
"""Weights of root, third and fifth, of a root in the bass and of other notes. All are chosen on chords, strums and
arpeggios of a recorded piano's and guitar's notes."""
_BASS_SECONDS, _OCTAVE = 2.0, 12
"""Seconds for which a bass counts after its note, and semitones from which on a note is its chord's, not its line's."""
_LEAP, _STAY_SECONDS = 5, 0.5
"""Least semitones down to a note that is a bass, and seconds in which one of the chord's own tones is its inversion."""
_HEARD_DECAY, _FIFTHS = 15.0, 0.3
"""Time constant in seconds of what was heard, and weight of a pitch class's neighbours by a fifth: those of its key."""


class NoteChords:
    """Chord tracker of a stream of notes, by samples. `chord`: as in `CHORDS`, 0 for none; `due`: when it is named."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._began, self._velocities = [-1.0] * 128, [0.0] * 128
        self._struck, self._fresh, self._heard = [0.0] * 12, [0.0] * 12, [0.0] * 12
        self.clear()

    def clear(self) -> None:
        self._began[:], self._struck[:], self._heard[:] = [-1.0] * 128, [0.0] * 12, [0.0] * 12
        self._last = self._first = self._bass_at = self._top_at = 0.0
        self._low = self._high = self._bass = self._before = self._top = -1
        self.chord, self.named, self.due = 0, -math.inf, math.inf

    def add(self, event: Event, sample: int) -> None:
        """Adds a note's begin or end, at a sample."""
        now = sample / self._rate
        if event.kind == "on" and event.value > 0.0:
            if self.due == math.inf:
                self.due = sample + round(SETTLE_SECONDS * self._rate)
                self._first, self._fresh[:] = now, [0.0] * 12
                self._low = self._high = event.number
            self._began[event.number], self._velocities[event.number] = now, event.value
            self._fresh[event.number % 12] += event.value
            self._low, self._high = min(self._low, event.number), max(self._high, event.number)
        elif event.kind in ("on", "off"):
            self._began[event.number] = -1.0

    def name(self, sample: int) -> None:
        """Names the chord at `due`."""
        now, self.due = sample / self._rate, math.inf
        begun = self._begun(now)
        together, lowest = self._together()
        weights = self._weights(now)
        total, best, found = sum(weights), 0.0, 0
        for chord in range(1, 25):
            tones = _tones(chord)
            if not self._is_chord(tones, together, lowest):
                continue
            own = [weights[pitch] for pitch in tones]
            score = sum(w * part for w, part in zip(own, _TRIAD, strict=True)) - _OUTSIDE * (total - sum(own))
            score += _BASS * own[0] * (lowest % 12 == tones[0])
            if score > best:
                best, found = score, chord
        if found or begun:
            self.chord, self.named = found or begun, now

    def _begun(self, now: float) -> int:
        """Chord begun by a bass that leaps down, as in an arpeggio, with the third heard most of late; 0 for none."""
        fade = math.exp(min(0.0, self._last - self._first) / _HEARD_DECAY)
        self._heard[:] = [fade * weight + new for weight, new in zip(self._heard, self._fresh, strict=True)]
        old = self._first - self._top_at > _BASS_SECONDS
        top = self._before if old else self._top
        leaps = self._low <= min(self._before - _LEAP, top - _OCTAVE)
        self._before = self._high
        if old or self._high >= top:
            self._top, self._top_at = self._high, self._first
        root = self._low % 12
        own = _tones(self.chord)
        stays = self.chord > 0 and root in own and (root == own[0] or now - self.named < _STAY_SECONDS)
        minor, major = (
            self._heard[third] + _FIFTHS * (self._heard[(third + 5) % 12] + self._heard[(third + 7) % 12])
            for third in ((root + 3) % 12, (root + 4) % 12)
        )
        chord = root + (1 if major > minor else 13)
        strange = any(weight > 0.0 and pitch not in _tones(chord) for pitch, weight in enumerate(self._fresh))
        return 0 if not leaps or stays or strange or minor == major else chord

    def _is_chord(self, tones: tuple[int, int, int], together: set[int], lowest: int) -> bool:
        """Whether a triad's tones sound together, if only a third above its root: those of a melody do not."""
        if together.issuperset(tones):
            return True
        if tones[0] != lowest % 12 or not self._fresh[tones[1]]:
            return False
        # neither one note of a melody after another nor its last one, held too long
        several = sum(weight > 0.0 for weight in self._fresh) > 1
        return several or (self._began[lowest] >= 0.0 and lowest + _OCTAVE <= self._low)

    def _together(self) -> tuple[set[int], int]:
        """Pitch classes that sound, were struck now or as the bass of this chord, and the lowest of these notes."""
        fresh = {pitch for pitch, weight in enumerate(self._fresh) if weight > 0.0}
        wide = self._high >= self._low + _OCTAVE
        near = self._low < self._bass + _OCTAVE and (len(fresh) != 2 or wide)
        if self._low < self._bass or near or abs(self._first - self._bass_at) > _BASS_SECONDS or self._bass < 0:
            self._bass, self._bass_at = self._low, self._first
        sounding = [number for number, began in enumerate(self._began) if began >= 0.0]
        lowest = self._low if wide and self._bass == self._low else min([self._bass, *sounding])
        return fresh | {number % 12 for number in [self._bass, *sounding]}, lowest

    def _weights(self, now: float) -> list[float]:
        """Weights of the pitch classes of what was struck and sounds."""
        held = _WHOLE if sum(weight > 0.0 for weight in self._fresh) >= 3 else 1.0
        fade = held * math.exp(min(0.0, self._last - self._first) / _STRIKE_DECAY)
        self._last = self._first
        self._struck[:] = [fade * weight + new for weight, new in zip(self._struck, self._fresh, strict=True)]
        weights = list(self._struck)
        if self._bass_at < self._first:
            fall = math.exp(min(0.0, self._bass_at - now) / _HELD_DECAY)
            weights[self._bass % 12] += self._velocities[self._bass] * fall
        for pitch, began in enumerate(self._began):
            if began >= 0.0 and (pitch != self._bass or self._bass_at == self._first):
                share = held if began < self._first else 1.0
                weights[pitch % 12] += share * self._velocities[pitch] * math.exp(min(0.0, began - now) / _HELD_DECAY)
        return weights


def _tones(chord: int) -> tuple[int, int, int]:
    """Pitch classes of root, third and fifth of a chord, as in `CHORDS`."""
    root = (chord - 1) % 12
    return root, (root + (4 if chord <= 12 else 3)) % 12, (root + 7) % 12
