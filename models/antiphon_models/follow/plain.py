"""Generates simple chord players: patterns that are rare in songs, at any tempo, in 4/4 and 3/4."""

from collections.abc import Callable

import numpy as np

from antiphon.api import F64
from antiphon_models.follow.songs import PlayedSong

CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 4, 7, 11), (0, 3, 7, 10))
STEPS = (0, 2, 4, 5, 7, 9, -3, -5)
SLOWEST, FASTEST, OF_THREE = 74.0, 168.0, 0.3
"""Tempo range in BPM, and the share of 3/4."""
PATTERNS = 7


class _TwoHandNotes:
    """Notes of two hands: by beat, fraction of the beat, number and velocity."""

    def __init__(self, beats: F64, random: np.random.Generator) -> None:
        self._beats, self._random, self._late = beats, random, random.choice([0.0, 0.006, 0.012, 0.02])
        self.notes = list[tuple[float, int, float]]()

    def play(self, beat: int, share: float, numbers: list[int], velocity: float) -> None:
        begin, end = self._beats[beat], self._beats[beat + 1]
        for number in numbers:
            at = begin + (end - begin) * share + self._random.normal(0.0, self._late)
            loud = float(np.clip(velocity + self._random.normal(0.0, 0.03), 0.1, 1.0))
            self.notes.append((max(0.0, float(at)), number, loud))


def plain_player(
    seconds: float, curve: Callable[[int, np.random.Generator], F64], random: np.random.Generator
) -> tuple[F64, PlayedSong]:
    """Notes of a player, and their beats. `curve`: gives relative tempos for a number of beats."""
    meter = 3 if random.random() < OF_THREE else 4
    bpm = np.exp(random.uniform(np.log(SLOWEST), np.log(FASTEST)))
    count = int((seconds + 2.0) * bpm / 60.0) + 8
    periods = 60.0 / (bpm * curve(count, random))
    beats = random.uniform(0.1, 1.5) + np.concatenate([[0.0], np.cumsum(periods)])
    hands, pattern, root = _TwoHandNotes(beats, random), random.integers(PATTERNS), random.integers(36, 50)
    roots = [int(root + random.choice(STEPS)) for _ in range(random.choice([2, 4, 4, 8]))]
    kinds = [CHORDS[random.integers(len(CHORDS))] for _ in roots]
    bars, swing = int(random.choice([1, 1, 1, 2])), float(random.choice([0.5, 0.5, 0.5, 0.6, 0.66]))
    loud, accent = random.uniform(0.35, 0.8), random.uniform(0.0, 0.25)
    for beat in range(count - 1):
        place, which = beat % meter, beat // meter // bars % len(roots)
        bass, chord = roots[which], [roots[which] + 12 + step for step in kinds[which]]
        velocity = loud + accent * (place == 0)
        _beat(hands, int(pattern), beat, place, meter, bass, chord, velocity, swing, random)
    notes = np.array(sorted(hands.notes))
    notes = notes[random.random(len(notes)) >= random.choice([0.0, 0.0, 0.05, 0.1])]
    downs = (np.arange(len(beats)) % meter == 0).astype(np.float64)
    return notes, PlayedSong("plain", notes, beats, downs)


def _beat(
    hands: _TwoHandNotes,
    pattern: int,
    beat: int,
    place: int,
    meter: int,
    bass: int,
    chord: list[int],
    velocity: float,
    swing: float,
    random: np.random.Generator,
) -> None:
    """Adds one beat of a pattern."""
    first, strong = place == 0, place == 0 or (place == 2 and meter == 4)
    low = [bass] if first else []
    if pattern == 0:  # chords on the beats
        hands.play(beat, 0.0, chord + low, velocity)
    elif pattern == 1 and strong:  # bass and chord in turn
        hands.play(beat, 0.0, [bass if first else bass + 7 - 12 * (bass > 44)], velocity)
    elif pattern == 1:
        hands.play(beat, 0.0, chord, velocity - 0.08)
    elif pattern == 2:  # broken chords
        hands.play(beat, 0.0, low or [chord[2 * place % len(chord)]], velocity)
        hands.play(beat, swing, [chord[(2 * place + 1) % len(chord)]], velocity - 0.08)
    elif pattern == 3:  # chords on eighths
        hands.play(beat, 0.0, chord + (low or [bass] * bool(random.random() < 0.3)), velocity)
        hands.play(beat, swing, chord, velocity - 0.15)
    elif pattern == 4:  # a chord a bar, and a melody
        hands.play(beat, 0.0, (low + chord) if first else [], velocity)
        tune = [chord[random.integers(len(chord))] + 12, chord[random.integers(len(chord))] + 12]
        hands.play(beat, 0.0, tune[:1] if random.random() < 0.75 else [], velocity)
        hands.play(beat, swing, tune[1:] if random.random() < 0.4 else [], velocity - 0.1)
    elif pattern == 5:  # a walking bass, chords off the beat
        hands.play(beat, 0.0, low or [bass + int(random.choice([0, 2, 4, 7, 9, 12]))], velocity)
        hands.play(beat, swing, chord if random.random() < 0.6 else [], velocity - 0.1)
    elif strong:  # chords twice a bar, and before them
        hands.play(beat, 0.0, [bass, *chord], velocity)
    else:
        hands.play(beat, swing, chord[:2] if random.random() < 0.5 else [], velocity - 0.1)
