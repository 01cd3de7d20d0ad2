"""Songs with known chords, drawn at random: test material of `accompany` where POP909 is not at hand."""

from collections.abc import Iterator

import numpy as np

from antiphon_accompany.band.notes import BeatNote
from antiphon_accompany.harmony.chords import absolute, label, tones
from antiphon_models.accompany.songs import AnnotatedSong

COUNT = 24
"""Songs, where no limit is given: standard errors near 0.02."""
BARS, METER = 32, 4
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
_FOLLOWING: dict[int, tuple[int, ...]] = {
    0: (5, 7, 9, 14, 16), 5: (0, 7, 14), 7: (0, 0, 9), 9: (5, 14, 7), 14: (7, 7, 5), 16: (9, 5),
    12: (17, 19, 8, 3, 10), 17: (12, 19, 10), 19: (12, 12, 8), 8: (3, 17, 10), 3: (8, 17, 10), 10: (3, 12),
}  # fmt: skip
"""By chord relative to the tonic (12 and more: minor), the chords that may follow in the next bar: degrees common in
popular songs, dominants mostly back to the tonic. Written by hand, and not fitted to any data."""
_RHYTHMS = ((1.0, 1.0, 1.0, 1.0), (1.0, 0.5, 0.5, 1.0, 1.0), (1.5, 0.5, 1.0, 1.0), (2.0, 1.0, 1.0), (0.5,) * 8)
"""Rhythms of a bar as note lengths in beats."""
_ON_CHORD = 0.8
"""Share of on-beat notes that are chord tones; off-beat notes are scale steps."""
_LOW, _HIGH = 60, 84


def songs(seed: int, count: int = COUNT) -> Iterator[AnnotatedSong]:
    """Yields `count` songs of `BARS` bars.

    Each has one key and one chord a bar. Its melody has chord tones on most beats and steps of the scale elsewhere;
    its piano plays the chord on each beat and its root in the bass on each bar.
    """
    for number in range(count):
        yield _song(np.random.default_rng([seed, number]), f"synthetic {number}")


def _song(rng: np.random.Generator, name: str) -> AnnotatedSong:
    tonic, minor = int(rng.integers(12)), bool(rng.integers(2))
    chord = 12 if minor else 0
    bars = [chord]
    while len(bars) < BARS:
        # a phrase of eight bars begins and ends on the tonic's chord
        place = len(bars) % 8
        chord = (12 if minor else 0) if place in (0, 7) else int(rng.choice(_FOLLOWING[chord]))
        bars.append(chord)
    chords = [absolute(bar, tonic) for bar in bars]
    scale = sorted({(tonic + step) % 12 for step in _SCALES[minor]})
    melody: list[BeatNote] = []
    piano: list[BeatNote] = []
    pitch = int(rng.integers(_LOW + 6, _HIGH - 6))
    for bar, played in enumerate(chords):
        first = float(METER * bar)
        at = first
        for length in _RHYTHMS[int(rng.integers(len(_RHYTHMS)))]:
            on_chord = at.is_integer() and rng.random() < _ON_CHORD
            pitch = _near(pitch, tones(played) if on_chord else scale, rng)
            melody.append(BeatNote(at, at + length, pitch, 0.7))
            at += length
        piano.append(BeatNote(first, first + METER, 36 + tones(played)[0], 0.6))
        piano += [BeatNote(first + n, first + n + 1.0, 48 + tone, 0.5) for n in range(METER) for tone in tones(played)]
    beat = 60.0 / float(rng.uniform(70.0, 140.0))
    beats = np.asarray(beat * np.arange(METER * BARS), np.float64)
    labels = [(METER * n * beat, METER * (n + 1) * beat, label(played)) for n, played in enumerate(chords)]
    key = tonic + 12 * minor
    return AnnotatedSong(name, beats, METER, 0, melody, piano, np.repeat(chords, METER), labels, key)


def _near(pitch: int, classes: tuple[int, ...] | list[int], rng: np.random.Generator) -> int:
    """A pitch of these classes within a fifth of `pitch`, not the same, inside the melody's compass."""
    near = [p for p in range(max(_LOW, pitch - 7), min(_HIGH, pitch + 7) + 1) if p % 12 in classes and p != pitch]
    weights = np.array([1.0 / abs(p - pitch) for p in near])
    return int(rng.choice(near, p=weights / weights.sum()))
