"""Baselines of `accompany`: the held tonic, and a harmoniser without fitted constants."""

from collections.abc import Sequence

import numpy as np

from antiphon_accompany.band.notes import BeatNote
from antiphon_accompany.files.offline import melody_of
from antiphon_accompany.harmony.chords import tones
from antiphon_models.material import krumhansl

_DIATONIC = ((0, 5, 7, 14, 16, 21), (3, 8, 10, 12, 17, 19))


def key_of(notes: Sequence[BeatNote]) -> int:
    """The key whose profile the melody's durations correlate with best."""
    classes, lengths = [note.pitch % 12 for note in notes], [note.end - note.start for note in notes]
    return krumhansl.key_of(np.bincount(classes, lengths, 12).astype(np.float64))


def tonic(notes: Sequence[BeatNote], beats: int) -> list[int]:
    """The tonic's chord on every beat."""
    return [key_of(notes)] * beats


def harmoniser(notes: Sequence[BeatNote], beats: int, first: int, meter: int) -> list[int]:
    """Viterbi over the key's six plain triads, each half bar: melody time on chord tones, a cost for each change."""
    key = key_of(notes)
    chords = [c // 12 * 12 + (c % 12 + key) % 12 for c in _DIATONIC[key // 12]]
    sounds = melody_of(notes, beats).durations
    half = 2 if meter % 2 == 0 else meter
    starts = list(range(first % half - (half if first % half else 0), beats, half))
    score = np.zeros(len(chords))
    score[chords.index(key)] = 1.0
    back = []
    for start in starts:
        rows = sounds[max(0, start) : start + half].sum(axis=0)
        fit = np.array([rows[list(tones(c))].sum() - rows.sum() / 2.0 + 0.3 * rows[tones(c)[0]] for c in chords])
        moved = score[:, None] - 0.3 * (1.0 - np.eye(len(chords)))
        back.append(moved.argmax(axis=0))
        score = moved.max(axis=0) + fit
    at = int(score.argmax())
    path = []
    for step in reversed(back):
        path.append(at)
        at = int(step[at])
    path.reverse()
    result = [0] * beats
    for n, start in enumerate(starts):
        for beat in range(max(0, start), min(beats, start + half)):
            result[beat] = chords[path[n]]
    return result
