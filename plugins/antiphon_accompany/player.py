"""The pianist: given a chord a beat ahead, plays its notes, and avoids the keys of the melody."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

from antiphon_accompany.styles import Strike, bar, chosen
from antiphon_accompany.voicing import Hands

NOTES_PER_BEAT = 3.45
"""Notes that a pianist plays per beat at 80 beats a minute; more at slower tempos (POP909's training songs)."""
CLASHES = (1, 13)
"""Semitones between two notes that clash: a semitone, a minor ninth."""
ROOM = 3
"""Semitones left free below the melody."""
CROWD = 8
"""More sounding keys than these are not treated as a melody, since they cannot all be avoided."""
LOUDNESS = 0.72
"""Velocity relative to the melody's."""


class Struck(NamedTuple):
    """A note to come. start, end: beats of the clock."""

    start: float
    pitch: int
    velocity: float
    end: float


@dataclass(slots=True)
class PianistSettings:
    """What the performer asks of the pianist, at a beat."""

    style: str = "auto"
    density: float = 0.5
    register: int = 0
    humanise: float = 0.5
    seed: int = 1


class MelodyListener:
    """The melody's current state: sounding keys, loudness and register."""

    def __init__(self) -> None:
        self.sounding: dict[int, float] = {}
        self.reset()

    def reset(self) -> None:
        self.sounding.clear()
        self.loudness = 0.65
        self.lowest = 72.0
        self.last = float("-inf")
        self.playing = False

    def on(self, pitch: int, velocity: float, beat: float) -> None:
        self.sounding[pitch] = beat
        follow = 0.12 if self.playing else 1.0
        self.loudness += follow * (velocity - self.loudness)
        # low notes are made room for at once, high ones when they have lasted
        near = 1.0 if not self.playing else 0.5 if pitch < self.lowest else 0.06
        self.lowest += near * (pitch - self.lowest)
        self.playing, self.last = True, beat

    def move(self, pitch: int, to: int) -> None:
        """A sounding note is corrected to another pitch."""
        if pitch in self.sounding and to not in self.sounding:
            self.sounding[to] = self.sounding.pop(pitch)

    def off(self, pitch: int, beat: float) -> None:
        if self.sounding.pop(pitch, None) is not None:
            self.last = beat


class Pianist:
    """Plays bars of a style on chords. `beat` is called once for each beat, in order."""

    def __init__(self) -> None:
        self.hands = Hands()
        self.listener = MelodyListener()
        self.reset()

    def reset(self) -> None:
        """Clears bar, chord and melody."""
        self.hands.reset()
        self.listener.reset()
        self.rest()

    def rest(self) -> None:
        """Clears bar and chord, after the clock was moved or stopped."""
        self._bar: list[Strike] = []
        self._number: tuple[int, int] | None = None
        self.chord: int | None = None

    def beat(self, beat: int, meter: int, tempo: float, chord: int, manner: PianistSettings) -> list[Struck]:
        """The notes that begin within [beat, beat + 1), in order of time. Bars begin at multiples of `meter`."""
        number, place = divmod(beat, meter)
        if (number, meter) != self._number:
            style = manner.style
            if style == "auto":
                style = chosen(number, meter, tempo, self.listener.loudness, manner.seed)
            # log2 of notes per beat falls by 0.38 for each doubling of the tempo (POP909's training songs)
            wanted = NOTES_PER_BEAT * (80.0 / tempo) ** 0.38 * 2.0 ** (2.4 * (manner.density - 0.5))
            self._bar = bar(style, meter, wanted * meter, number, manner.seed)
            self._number = number, meter
        changed = chord != self.chord
        if changed or place == 0:
            self.hands.place(chord, round(self.listener.lowest) - ROOM, manner.register)
        strikes = [s for s in self._bar if place <= s.at < place + 1]
        if changed and not any(s.at == place and "b" in s.what for s in strikes):
            strikes = [Strike(place, "b", min(1.5, meter - place), 1.0), *strikes]
            if self.chord is not None and not any(s.at == place and len(s.what) > 1 for s in strikes):
                strikes = [Strike(place, "23", 1.0, 0.9), *strikes]
        self.chord = chord
        chance = random.Random(f"{manner.seed} {beat} touch")
        result: list[Struck] = []
        for strike in sorted(strikes):
            start = number * meter + strike.at
            for pitch in self.hands.pitches(strike.what):
                touch = 1.0 + manner.humanise * chance.uniform(-0.16, 0.16)
                hand = 0.95 if strike.what in ("b", "o", "f") else 1.0
                loud = min(1.0, max(0.05, self.listener.loudness * LOUDNESS * strike.accent * hand * touch))
                result.append(Struck(start, pitch, loud, start + strike.length))
        return result

    def clashes(self, pitch: int) -> bool:
        """Whether the key clashes with a sounding note of the melody."""
        sounding = self.listener.sounding
        return len(sounding) <= CROWD and any(abs(pitch - other) in CLASHES for other in sounding)

    def taken(self, pitch: int) -> bool:
        """Whether the melody is holding the key."""
        return len(self.listener.sounding) <= CROWD and pitch in self.listener.sounding
