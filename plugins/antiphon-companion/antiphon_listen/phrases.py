"""The structure of a song: phrase boundaries by repetition and novelty, and sections of similar phrases by name.

Two fitted functions score each beat. The first uses harmony, onsets, level, novelty and repetition around it; the
second the scores of the first 4, 8, 16 beats away and at repeats, as phrases have whole bars and recur.

Similar phrases share a letter. The chorus is the letter, among those that recur after another, of the phrase that is
loud and most exactly repeated; the verse is the most frequent of the others. Others are bridges or keep their letters.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon_listen import harmony, spectra
from antiphon_listen.beats import BeatGrid
from antiphon_listen.signals import MusicCurves
from antiphon_listen.tables import PhraseTables

I64 = NDArray[np.int64]
_TREBLE = 0.5
"""Weight of the treble alone in the similarity of two beats: a melody distinguishes parts with the same chords."""
_MIN_REPEAT_DISTANCE = 8
"""Minimum distance in beats of a repeat; a sustained chord does not count as one."""
_BEST_REPEATS = 4
"""Number of best repeats averaged per beat."""


def beat_rows(curves: MusicCurves, beats: F64) -> F64:
    """Pitch classes of both halves of each beat, without the recording's mean, of length 1, `[n, 72]`."""
    halves = np.stack([beats, beats + 0.5 * np.diff(beats, append=2.0 * beats[-1] - beats[-2])], axis=1).ravel()
    notes = np.sqrt(curves.pitch_classes_by_interval(halves)).reshape(len(beats), 2, 24)
    parts = []
    for part, share in (
        (notes.reshape(len(beats), -1), 1.0 - _TREBLE),
        (notes[:, :, 12:].reshape(len(beats), -1), _TREBLE),
    ):
        even = part - part.mean(axis=0)
        parts.append(np.sqrt(share) * even / (np.linalg.norm(even, axis=1, keepdims=True) + 1e-9))
    return np.asarray(np.concatenate(parts, axis=1))


def novelty(similarity: F64, beats: int) -> F64:
    """Novelty at each beat: dissimilarity of the beats before and after it, `[n]` (Foote's kernel)."""
    count = len(similarity)
    total = np.zeros((count + 1, count + 1))
    total[1:, 1:] = similarity.cumsum(axis=0).cumsum(axis=1)
    at = np.arange(count)
    size = np.minimum(beats, np.minimum(at, count - at))

    def mean(first: I64, last: I64, start: I64, end: I64) -> F64:
        inside = total[last, end] - total[first, end] - total[last, start] + total[first, start]
        return np.asarray(inside / np.maximum(1, size * size))

    low, high = at - size, at + size
    return mean(low, at, low, at) + mean(at, high, at, high) - 2.0 * mean(low, at, at, high)


def repetition(similarity: F64, beats: int) -> F64:
    """Repetition features of each beat, `[n, 6]`, by segments of `beats` beats.

    The features are: best repeat of the segment after the beat, and of the one before it; strongest start and end of a
    repeat at the beat; and means of the best few of each.
    """
    count = len(similarity)
    ahead = np.zeros((count + 1, count + 1))
    behind = np.zeros((count + 1, count + 1))
    last = count + 1 - beats
    if last > 1:
        total = diagonal_sums(similarity)
        ahead[:last, :last] = (total[beats:, beats:] - total[:last, :last]) / beats
        behind[beats:, beats:] = ahead[:last, :last]
    at = np.arange(count + 1)
    near = np.abs(at[:, None] - at[None]) < _MIN_REPEAT_DISTANCE
    ahead[near] = behind[near] = 0.0
    change = np.sort(ahead - behind, axis=1)
    loose = min(_BEST_REPEATS, count)
    columns = (
        ahead.max(axis=1),
        behind.max(axis=1),
        change[:, -1],
        -change[:, 0],
        change[:, -loose:].mean(axis=1),
        -change[:, :loose].mean(axis=1),
    )
    return np.stack(columns, axis=1)[:count]


def diagonal_sums(similarity: F64) -> F64:
    """Cumulative sums along diagonals, `[n + 1, n + 1]`."""
    count = len(similarity)
    total = np.zeros((count + 1, count + 1))
    for n in range(count):
        total[n + 1, 1:] = total[n, :-1] + similarity[n]
    return total


def matches(similarity: F64, beats: int, most: int) -> tuple[I64, F64]:
    """Most similar beats of each beat, by segments of `beats` beats around both, and similarity: `[n, most]`."""
    count, half = len(similarity), beats // 2
    around = np.zeros((count, count))
    if count > 2 * half:
        total = diagonal_sums(similarity)
        size = count - 2 * half
        around[half : half + size, half : half + size] = (
            total[2 * half : count, 2 * half : count] - total[:size, :size]
        ) / (2 * half)
    at = np.arange(count)
    around[np.abs(at[:, None] - at[None]) < _MIN_REPEAT_DISTANCE + _BEST_REPEATS] = 0.0
    places = np.argsort(-around, axis=1, kind="stable")[:, :most]
    return places, np.take_along_axis(around, places, axis=1)


MIN_BEATS = 32
"""Minimum beats for phrase detection."""
WINDOW, STEP = 1600, 1200
"""Window length and hop in beats of the self-similarity matrix, whose size is quadratic."""
_KERNELS, _STRETCHES = (4, 8, 16, 32), (8, 16, 32)
_NEAR = range(-4, 5)
_FAR = (-16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16)
_WINDOWS = (8, 16, 32)
_STAY, _SHARE = 0.7, 0.5
_LIKE, _MOST, _ALIKE = 16, 6, 0.4
_APART = (12, 16, 20, 24, 28, 32, 36, 40, 48, 64)


def phrase_odds(curves: MusicCurves, grid: BeatGrid, bar_odds: F64, on_bar: F64, tables: PhraseTables) -> F64:
    """Log odds of each beat starting a phrase, `[n]`, given the log odds of each starting a bar.

    `on_bar`: 1 at detected downbeats.
    """
    rows = beat_rows(curves, grid.beats)
    local = beat_features(curves, grid, bar_odds)
    count = len(rows)
    odds = np.zeros(count)
    for first in range(0, max(1, count - WINDOW + STEP), STEP):
        part = slice(first, min(count, first + WINDOW))
        similarity = rows[part] @ rows[part].T
        table = features(local[part], similarity, on_bar[part])
        early = tables.near(table)
        odds[part] = tables.far(context(early, similarity, on_bar[part]))
    return odds


def beat_features(curves: MusicCurves, grid: BeatGrid, bar_odds: F64) -> F64:
    """Features of single beats, `[n, 26]`: odds of a bar, level and onsets against the recording's, chord."""
    beats = grid.beats
    count = len(beats)
    halves = np.stack([beats, beats + 0.5 * np.diff(beats, append=2.0 * beats[-1] - beats[-2])], axis=1).ravel()
    notes = curves.pitch_classes_by_interval(halves).reshape(count, 2, 2, 12).sum(axis=3)
    level = np.log(np.concatenate([notes.sum(axis=2), notes[:, :, 0], notes[:, :, 1]], axis=1) + 1e-3)
    onsets = np.log(grid.parts[:, :12] + 0.1)
    scores = harmony.shares(curves.pitch_classes_by_interval(beats))
    return np.concatenate(
        [bar_odds[:, None], _even(level), _even(onsets), _chords(scores), grid.parts[:, 12:14]], axis=1
    )


def _chords(rows: F64) -> F64:
    """Chord features: change, tonic, fifth, fourth, sixth, `[n, 5]`."""
    from antiphon_listen import tables

    path = harmony.viterbi_states(_SHARE * harmony.likelihoods(rows, tables.load()), _STAY)
    tonic = int(np.argmax(np.bincount(path, minlength=harmony.NO_CHORD + 1)[: harmony.NO_CHORD]))
    step = np.where(path < harmony.NO_CHORD, (path % 12 - tonic) % 12, -1)
    change = np.concatenate([[False], np.diff(path) != 0])
    return np.stack([change, path == tonic, step == 7, step == 5, step == 9], axis=1).astype(np.float64)


def features(local: F64, similarity: F64, on_bar: F64) -> F64:
    """Inputs of the first fitted function, `[n, 627]`."""
    count = len(local)
    at = np.arange(count)
    total = np.concatenate([np.zeros((1, local.shape[1])), np.cumsum(local, axis=0)])

    def mean(first: int, last: int) -> F64:
        low, high = np.clip(at + first, 0, count), np.clip(at + last, 0, count)
        return np.asarray((total[high] - total[low]) / np.maximum(1, high - low)[:, None])

    bar = local[:, :1]
    phases = [sum((shift_rows(bar, 4 * k + step) for k in range(-8, 9)), np.zeros_like(bar)) / 17 for step in range(4)]
    own = np.concatenate(
        [
            *(np.sqrt(size) * novelty(similarity, size)[:, None] for size in _KERNELS),
            *(repetition(similarity, size) for size in _STRETCHES),
        ],
        axis=1,
    )
    edges = np.stack([np.minimum(at, 64) / 64, np.minimum(count - at, 64) / 64, on_bar], axis=1)
    return np.concatenate(
        [
            *(shift_rows(local, step) for step in _NEAR),
            *(mean(0, size) - mean(-size, 0) for size in _WINDOWS),
            *phases,
            *(shift_rows(own, step) for step in _FAR),
            edges,
        ],
        axis=1,
    )


def context(odds: F64, similarity: F64, on_bar: F64) -> F64:
    """Inputs of the second fitted function, `[n, 58]`: the first one's odds around each beat and its repeats."""
    odds = np.clip(odds, -7.0, 4.0)
    share = 1.0 / (1.0 + np.exp(-odds))
    places, alike = matches(similarity, _LIKE, min(_MOST, len(odds)))
    weight = np.maximum(alike - 0.25, 0.0) ** 2 + 1e-6
    elsewhere = (weight * share[places]).sum(axis=1) / weight.sum(axis=1)
    zero = np.zeros(len(odds))
    columns = [shift_rows(odds, step, -5.0) for step in range(-8, 9)]
    columns += [shift_rows(share, sign * step) for step in _APART for sign in (1, -1)]
    for step, reach, late in ((4, 8, 0), (8, 6, 0), (16, 4, 0), (4, 8, 1), (4, 8, 2), (4, 8, 3), (8, 6, 4), (16, 4, 8)):
        columns.append(sum((shift_rows(share, step * k + late) for k in range(-reach, reach + 1) if k or late), zero))
    columns += [shift_rows(elsewhere, step) for step in (-4, -2, -1, 0, 1, 2, 4)]
    columns += [
        (share[places] * (alike > _ALIKE)).max(axis=1),
        alike[:, 0],
        np.convolve(share, np.ones(17), "same")[: len(odds)],
    ]
    columns += [shift_rows(elsewhere * odds, 0), odds * share, on_bar]
    return np.stack(columns, axis=1)


def shift_rows(rows: F64, step: int, fill: float = 0.0) -> F64:
    """Rows shifted by `step`: row n of the result is row n + `step`."""
    out = np.full_like(rows, fill)
    count = len(rows)
    if step >= 0:
        out[step:] = rows[: max(0, count - step)]
    else:
        out[:step] = rows[-step:]
    return out


def _even(rows: F64) -> F64:
    return np.asarray((rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-6))


def phrase_starts(odds: F64, tables: PhraseTables) -> list[int]:
    """Beats at which phrases begin, on the best path by their odds and the frequency of phrase lengths."""
    count, longest = len(odds), len(tables.lengths) - 1
    score = tables.path[1] * odds + tables.path[2]
    total, back = np.full(count, -np.inf), np.full(count, -1)
    first = min(count, _FIRST)
    total[:first] = score[:first]
    for n in range(1, count):
        low = max(0, n - longest)
        through = total[low:n] + tables.path[0] * tables.lengths[n - np.arange(low, n)]
        best = int(np.argmax(through))
        if through[best] + score[n] > total[n]:
            total[n], back[n] = through[best] + score[n], low + best
    at = max(0, count - _LAST) + int(np.argmax(total[-_LAST:]))
    found = []
    while at >= 0:
        found.append(at)
        at = int(back[at])
    return found[::-1]


_FIRST, _LAST = 13, 48
"""Maximum beats from the beginning to the first phrase, and from the last phrase's start to the end."""


SHORTEST, LONGEST = MIN_BEATS, 20_000
"""Minimum and maximum beats for section detection: an hour has 7,200 at 120 bpm."""
_SAME, _REPEATED = 0.5, 0.45
"""Minimum mean cosine of beats for two phrases to share a letter: the absolute minimum, and the fraction from the
median of all pairs to the highest, as all phrases of a song on few chords are similar."""
_LOUD, _EXACT, _LONG, _LATE, _ENDS = 1.2, 1.9, 1.9, 2.0, 1.0
"""Chorus weights of a phrase: its level in standard deviations of phrases, exactness of repetition, length from it to
the end of its block, and the relative times of its letter's first occurrence and last end. The values lie between a
conditional logit on renders of 196 POP909 songs and one on 31 others. The fourth is kept low: their labels never call
a first part chorus, and records do begin with it."""
_LONGEST_RUN = 30.0
"""Maximum seconds of a block that count."""
_COMPARED = 32
"""Maximum beats of a phrase that are compared with other places."""
_MAX_FIRST_TIME = 0.25
"""Maximum relative time of a first occurrence that counts."""


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

    `thumbnail`: number of the phrase that a summary plays, from the chorus if there is one.
    `certain`: probability of the chorus; listeners agree with .8 of 35 songs below .5, with .9 above.
    """

    beats: F64  # seconds
    bar: int  # beats of a bar
    phrases: tuple[Phrase, ...]  # in order, without gaps
    seconds: float
    thumbnail: int = 0
    certain: float = 0.0

    def beat_time(self, beat: int) -> float:
        """Time of a beat in seconds; the recording's end after the last."""
        return float(self.beats[beat]) if beat < len(self.beats) else self.seconds

    def spans(self) -> list[tuple[float, float, str]]:
        """Sections as (start s, end s, name) from 0 to the end."""
        edges = [0.0, *(self.beat_time(phrase.first) for phrase in self.phrases[1:]), self.seconds]
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
    odds = phrase_odds(curves, grid, bar_odds, on_bar.astype(np.float64), tables)
    edges = phrase_starts(odds, tables)
    steps = np.diff(np.flatnonzero(on_bar))
    bar = int(np.median(steps)) if len(steps) else 4
    rows = beat_rows(curves, grid.beats)
    parts = list(zip(edges, [*edges[1:], count], strict=True))
    letters, likeness = find_letters(rows, parts)
    lengths = np.diff([grid.beats[first] for first in edges], append=curves.seconds)
    thumbnail, certain = choose_chorus(letters, lengths, _levels(curves, grid.beats, parts), repeats(rows, parts))
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
    least = max(_SAME, float(_REPEATED * pairs.max() + (1.0 - _REPEATED) * np.median(pairs)))
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


def choose_chorus(letters: list[int], seconds: F64, level: F64, repeated: F64) -> tuple[int, float]:
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
    places = np.clip(np.array(edges) * spectra.FRAMES_PER_SECOND, 0, len(total) - 1).astype(int).reshape(-1, 2)
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
            names.append(chr(ord("A") + letter % 26) + (str(letter // 26) if letter >= 26 else ""))
    return names
