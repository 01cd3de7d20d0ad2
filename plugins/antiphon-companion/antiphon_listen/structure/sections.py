"""Sections: phrases, their similarity classes, and musical names.

Similar phrases share a letter. The chorus is the letter, among those that recur after another, of the phrase that is
loud and most exactly repeated; the verse is the most frequent of the others. Others are bridges or keep their letters.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from antiphon.api import F64
from antiphon_listen.beats import BeatGrid
from antiphon_listen.signals import MusicCurves
from antiphon_listen.spectra import chroma
from antiphon_listen.structure import phrases
from antiphon_listen.tables import PhraseTables

SHORTEST, LONGEST = phrases.MIN_BEATS, 20_000
"""Minimum and maximum beats for section detection: an hour has 7,200 at 120 bpm."""
_ALIKE, _REPEATED = 0.5, 0.45
"""Minimum mean cosine of beats for two phrases to share a letter: the absolute minimum, and the fraction from the
median of all pairs to the highest, as all phrases of a song on few chords are similar."""
_LOUD, _EXACT, _LONG, _LATE, _ENDS = 1.2, 1.9, 1.9, 2.0, 1.0
"""Chorus weights of a phrase: its level in standard deviations of phrases, how exactly it is repeated, the length from
it to its block's end, and the relative times of its letter's first occurrence and of its last end. Between a
conditional logit on renders of 196 POP909 songs and one on 31 others, the fourth held down: their labels never call a
first part chorus, and records do begin with it."""
_LONGEST_RUN = 30.0
"""Seconds from which a longer block counts no more."""
_COMPARED = 32
"""Maximum beats of a phrase that are sought elsewhere."""
_MAX_FIRST_TIME = 0.25
"""Relative time beyond which a later first occurrence counts no more."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A part of a recording."""

    first: int  # its first beat
    last: int  # the beat behind its last
    letter: int
    name: str  # "intro", "verse", "chorus", "bridge", "outro" or a letter
    unlike: float  # how unlike all others it is, 0 to 1: what is remarkable


@dataclass(frozen=True, slots=True)
class Structure:
    """A recording's phrases.

    `thumbnail`: number of the phrase that a summary plays, of the chorus where there is one.
    `certain`: probability of the chorus; of 35 below .5 listeners share .8, above it .9.
    """

    beats: F64  # seconds
    bar: int  # beats of a bar
    phrases: tuple[Phrase, ...]  # in order, without gaps
    seconds: float
    thumbnail: int = 0
    certain: float = 0.0

    def at(self, beat: int) -> float:
        """Time of a beat in seconds; the recording's end after the last."""
        return float(self.beats[beat]) if beat < len(self.beats) else self.seconds

    def spans(self) -> list[tuple[float, float, str]]:
        """Sections as (start s, end s, name) from 0 to the end."""
        edges = [0.0, *(self.at(phrase.first) for phrase in self.phrases[1:]), self.seconds]
        return [(edges[n], edges[n + 1], phrase.name) for n, phrase in enumerate(self.phrases)]


def find_structure(
    curves: MusicCurves, grid: BeatGrid, bar_odds: F64, downbeats: F64, tables: PhraseTables
) -> Structure | None:
    """Phrases of a recording; None if it has too few beats, or too many.

    `bar_odds` `[n]`: log odds that each beat begins a bar; `downbeats` in seconds.
    """
    count = len(grid.beats)
    if not SHORTEST <= count <= LONGEST:
        return None
    on_bar = np.isin(grid.beats, downbeats)
    odds = phrases.phrase_odds(curves, grid, bar_odds, on_bar.astype(np.float64), tables)
    edges = phrases.boundaries(odds, tables)
    steps = np.diff(np.flatnonzero(on_bar))
    bar = int(np.median(steps)) if len(steps) else 4
    rows = phrases.beat_rows(curves, grid.beats)
    parts = list(zip(edges, [*edges[1:], count], strict=True))
    letters, likeness = find_letters(rows, parts)
    lengths = np.diff([grid.beats[first] for first in edges], append=curves.seconds)
    thumbnail, certain = chorus_of(letters, lengths, _levels(curves, grid.beats, parts), repeats(rows, parts))
    names = _names(parts, letters, letters[thumbnail] if certain else None)
    unlike = 1.0 - likeness
    found = (Phrase(*part, letters[n], names[n], float(unlike[n])) for n, part in enumerate(parts))
    return Structure(grid.beats, bar, tuple(found), curves.seconds, thumbnail, certain)


def find_letters(rows: F64, parts: list[tuple[int, int]]) -> tuple[list[int], F64]:
    """Letter number of each phrase, shared with similar earlier ones; and each phrase's mean similarity."""
    count = len(parts)
    alike = np.zeros((count, count))
    for n, (first, last) in enumerate(parts):
        for m, (start, end) in enumerate(parts[:n]):
            size = min(last - first, end - start)
            mean = float((rows[first : first + size] * rows[start : start + size]).sum(axis=1).mean())
            alike[n, m] = alike[m, n] = mean
    pairs = alike[np.triu_indices(count, 1)] if count > 1 else np.zeros(1)
    least = max(_ALIKE, float(_REPEATED * pairs.max() + (1.0 - _REPEATED) * np.median(pairs)))
    letters: list[int] = []
    for n in range(count):
        likes = [
            np.mean([alike[n, m] for m in range(n) if letters[m] == letter])
            for letter in range(max(letters, default=-1) + 1)
        ]
        best = int(np.argmax(likes)) if likes else 0
        letters.append(best if likes and likes[best] >= least else len(likes))
    return letters, np.clip(alike.sum(axis=1) / max(1, count - 1), 0.0, 1.0)


def repeats(rows: F64, parts: list[tuple[int, int]]) -> F64:
    """Mean cosine of each phrase's first beats and the two places that repeat them best, `[phrases]`."""
    found = []
    for first, last in parts:
        size = min(_COMPARED, last - first)
        alike = rows[first : first + size] @ rows.T
        mean = sum(row[n : len(rows) - size + 1 + n] for n, row in enumerate(alike)) / size
        mean[max(0, first - size + 1) : first + size] = 0.0
        best = int(np.argmax(mean))
        one = float(mean[best])
        mean[max(0, best - size // 2) : best + size // 2 + 1] = 0.0
        found.append((one + float(mean.max())) / 2.0)
    return np.array(found)


def chorus_of(letters: list[int], seconds: F64, level: F64, repeated: F64) -> tuple[int, float]:
    """Phrase from which the chorus is played, and the probability of its letter: 0 if no letter recurs after another.

    `seconds`, logarithmic `level` and `repeated`, as of `repeats`: `[phrases]`.
    """
    blocks = [list(own) for _, own in itertools.groupby(range(len(letters)), letters.__getitem__)]
    begun = [letters[own[0]] for own in blocks]
    run = np.concatenate([np.cumsum(seconds[own][::-1])[::-1] for own in blocks])
    late = np.array([seconds[: letters.index(letter)].sum() for letter in letters]) / seconds.sum()
    ends = np.array([seconds[: len(letters) - letters[::-1].index(letter)].sum() for letter in letters])
    spread = np.sqrt(np.average((level - np.average(level, weights=seconds)) ** 2, weights=seconds)) + 1e-9
    scores = _LOUD * level / spread + _EXACT * repeated
    scores += _LONG * np.minimum(1.0, run / _LONGEST_RUN) + _LATE * np.minimum(_MAX_FIRST_TIME, late)
    scores += _ENDS * ends / seconds.sum()
    recurring = [n for n, letter in enumerate(letters) if begun.count(letter) > 1]
    best = max(recurring or range(len(letters)), key=scores.__getitem__)
    share = np.exp(scores - scores.max())
    own = share[np.array(letters) == letters[best]]
    return best, float(own.sum() / share.sum()) if recurring else 0.0


def _levels(curves: MusicCurves, beats: F64, parts: list[tuple[int, int]]) -> F64:
    """Log mean of the note strengths in each part."""
    total = np.concatenate([[0.0], np.cumsum(curves.notes.sum(axis=1), dtype=np.float64)])
    edges = [curves.seconds if beat >= len(beats) else float(beats[beat]) for part in parts for beat in part]
    places = np.clip(np.array(edges) * chroma.FRAMES_PER_SECOND, 0, len(total) - 1).astype(int).reshape(-1, 2)
    frames = np.maximum(1, places[:, 1] - places[:, 0])
    return np.asarray(np.log((total[places[:, 1]] - total[places[:, 0]]) / frames + 1e-6))


def _names(parts: list[tuple[int, int]], letters: list[int], chorus: int | None) -> list[str]:
    filled = {
        letter: sum(b - a for (a, b), own in zip(parts, letters, strict=True) if own == letter) for letter in letters
    }
    others = [letter for letter in filled if letter != chorus and letters.count(letter) > 1]
    verse = max(others, key=lambda letter: filled[letter], default=-1)
    first = len(letters) if chorus is None else letters.index(chorus)
    names = []
    for n, letter in enumerate(letters):
        once = letters.count(letter) == 1
        if letter == chorus:
            names.append("chorus")
        elif letter == verse:
            names.append("verse")
        elif n == 0 and len(letters) > 2 and once:
            names.append("intro")
        elif n == len(letters) - 1 and len(letters) > 2 and once:
            names.append("outro")
        elif once and first < n and chorus in letters[n:]:
            names.append("bridge")
        else:
            names.append(_letter(letter))
    return names


def _letter(number: int) -> str:
    return chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")
