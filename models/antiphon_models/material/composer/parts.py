"""Notes of one part: pattern rows to notes in beats, by the chords of the song."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from antiphon_models.material.composer.genres import Groove, Row
from antiphon_models.material.composer.harmony import KINDS, ScaleChord, voice_chord

Rng = np.random.Generator
_BASS = {"r": 0, "o": 12, "f": 7}


@dataclass(frozen=True, slots=True)
class BeatSpan:
    """Note in beats.

    Attributes:
        start: In beats from the song's beginning.
        length: In beats.
        pitch: MIDI note, or drum.
        accent: 0 to 1, of which velocity follows.
        triplets: Its row divides beats by three, so that swing does not apply.
    """

    start: float
    length: float
    pitch: int
    accent: float
    triplets: bool = False


@dataclass(frozen=True, slots=True)
class SongBar:
    """Bar with the context of its parts.

    Attributes:
        number: From 0.
        following: The chord of the bar that comes next.
        optional: The chance of an optional onset ("o"); a seldom one (".") has less than half of it.
    """

    number: int
    beats: int
    chords: tuple[ScaleChord, ...]
    following: ScaleChord
    tonic: int
    optional: float

    def chord(self, share: float) -> ScaleChord:
        """Chord at a relative position of the bar, 0 to 1."""
        return self.chords[min(len(self.chords) - 1, int(share * len(self.chords)))]


def triplet(row: Row, beats: int) -> bool:
    """Whether a row has triplet beats, by its length for rows of four steps a beat."""
    return len(row) % (4 * beats) != 0 and len(row) % (3 * beats) == 0


def onsets(row: Row, bar: SongBar) -> Iterator[tuple[float, float, str, bool]]:
    """Onsets of a row within a bar: start in beats within the bar, beats to the next onset, character, triplets."""
    triplets = triplet(row, bar.beats)
    steps = (3 if triplets else 4) * bar.beats
    first = bar.number % (len(row) // steps) * steps
    places = [n for n, character in enumerate(row) if character != "-"]
    for place, after in zip(places, [*places[1:], len(row)], strict=False):
        if first <= place < first + steps:
            scale = bar.beats / steps
            yield (place - first) * scale, (after - place) * scale, row[place], triplets


def plays(character: str, bar: SongBar, rng: Rng) -> bool:
    """Whether an onset sounds in this bar."""
    chance = {"o": bar.optional, ".": 0.45 * bar.optional}.get(character, 1.0)
    return bool(rng.random() < chance)


def drum_bar(groove: Groove, bar: SongBar, rng: Rng, last: bool) -> Iterator[BeatSpan]:
    """Bar of drums; the `last` of a section may end in a fill of snare and toms."""
    fill = bar.beats - 1.0 if last and rng.random() < 0.6 else float(bar.beats)
    for drum, row in groove.items():
        for start, _, character, triplets in onsets(row, bar):
            if start < fill and plays(character, bar, rng):
                on_beat = float(start).is_integer()
                accent = (0.8 if on_beat else 0.6) - (0.25 if character == "." else 0.0)
                yield BeatSpan(bar.number * bar.beats + start, 0.2, drum, accent, triplets)
    at = fill
    while at < bar.beats:
        drum = int(rng.choice([38, 48, 45, 41]))
        yield BeatSpan(bar.number * bar.beats + at, 0.2, drum, 0.75)
        at += 0.25 if rng.random() < 0.7 else 0.5


def bass_bar(row: Row, bar: SongBar, low: int, rng: Rng, articulation: float) -> Iterator[BeatSpan]:
    """Bar of bass: degrees of the chord above its root, the root within an octave above `low`."""
    for start, length, character, triplets in onsets(row, bar):
        chord = bar.chord(start / bar.beats)
        tones = KINDS[chord.kind]
        root = low + (chord.root + bar.tonic - low) % 12
        match character:
            case "t":
                pitch = root + tones[min(1, len(tones) - 1)]
            case "s":
                pitch = root + (tones[3] if len(tones) > 3 and tones[3] < 12 else 9)
            case "w":
                goal = low + (bar.following.root + bar.tonic - low) % 12
                pitch = goal + int(rng.choice([-2, -1, 1, 2]))
            case _:
                if character == "o" and rng.random() > bar.optional:
                    continue
                pitch = root + _BASS[character]
        accent = 0.75 if start == 0.0 else 0.62
        yield BeatSpan(bar.number * bar.beats + start, articulation * length, pitch, accent, triplets)


def chord_bar(
    row: Row, bar: SongBar, register: tuple[int, int], near: float, rng: Rng, articulation: float
) -> Iterator[BeatSpan]:
    """Bar of chords: each in the inversion nearest to `near`; "b" is a root or fifth under it."""
    low, high = register
    beaten = 0
    for start, length, character, triplets in onsets(row, bar):
        if not plays(character, bar, rng):
            continue
        chord = bar.chord(start / bar.beats)
        notes = voice_chord([tone + bar.tonic for tone in chord.tones], low, high, near)
        if chord.kind == "5":  # a power chord has its root below
            root = low + (chord.root + bar.tonic - low) % 12
            notes = [root, root + 7, root + 12]
        match character:
            case "b":
                root = low - 5 + (chord.root + bar.tonic - low + 5) % 12
                played = [root if beaten % 2 == 0 or chord.kind == "5" else root + (7 if root + 7 < low + 8 else -5)]
                beaten += 1
            case "u":
                played = notes[1:] or notes
            case "1" | "2" | "3" | "4":
                place = int(character) - 1
                played = [notes[place % len(notes)] + 12 * (place // len(notes))]
            case _:
                played = notes
        at = bar.number * bar.beats + start
        accent = 0.62 if float(start).is_integer() else 0.56
        for note in played:
            yield BeatSpan(at, articulation * length, note, accent, triplets)


class ComposedMelody:
    """Generator of a melody: a repeated and varied motif contour, with chord tones on beats.

    `rows`: its rhythms, one of which a phrase of two bars has. `register`: the lowest and the highest note.
    """

    def __init__(self, rows: Sequence[Row], scale: Sequence[int], register: tuple[int, int], rng: Rng) -> None:
        self._low, self._high = register
        self._rows, self._rng = rows, rng
        self._notes = [n for n in range(self._low, self._high + 1) if n % 12 in set(scale)]
        self._contour = rng.choice([-2, -1, -1, 0, 1, 1, 2, 3, -3], size=12)
        self._row = str(rng.choice(list(rows)))
        self._place = len(self._notes) // 2

    def bar(self, bar: SongBar, articulation: float) -> Iterator[BeatSpan]:
        """Notes of the melody in a bar."""
        rng = self._rng
        if bar.number % 4 == 0:
            self._row = str(rng.choice(list(self._rows)))
            self._place = int(np.clip(self._place, len(self._notes) // 4, 3 * len(self._notes) // 4))
        step = 6 * (bar.number % 2)
        for start, length, character, triplets in onsets(self._row, bar):
            if not plays(character, bar, rng):
                continue
            move = int(self._contour[step % 12]) if rng.random() < 0.75 else int(rng.integers(-2, 3))
            step += 1
            self._place += move
            if not 0 <= self._place < len(self._notes):
                self._place -= 2 * move
            self._place = int(np.clip(self._place, 0, len(self._notes) - 1))
            pitch = self._notes[self._place]
            if float(start).is_integer() and rng.random() < 0.7:
                tones = {(tone + bar.tonic) % 12 for tone in bar.chord(start / bar.beats).tones}
                pitch = min(
                    (n for n in range(pitch - 4, pitch + 5) if n % 12 in tones),
                    key=lambda n: abs(n - pitch),
                    default=pitch,
                )
            accent = 0.74 if float(start).is_integer() else 0.66
            yield BeatSpan(bar.number * bar.beats + start, articulation * length, pitch, accent, triplets)
