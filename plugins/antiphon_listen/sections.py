"""Sections: where bars begin to be unlike those before, and which sections are alike.

Boundaries are peaks of Foote's novelty (ICME 2000) of a self-similarity matrix of bars; sections are joined by the mean
similarity of their bars in order, as in Paulus and Klapuri (2009). The section of the letter that fills most of the
recording, and is louder than its mean, is called "chorus"; the others are letters.
"""

from __future__ import annotations

import itertools

import numpy as np

from antiphon_listen.signals import F64, MusicCurves

SHORTEST, LONGEST = 8, 1500
"""Bars below which, and above which, no sections are looked for: the matrix grows with the square of their number."""
_KERNEL = 4
"""Bars on either side that are compared."""
_APART = 4
"""Bars of a section at least."""
_ALIKE = 0.8
"""Mean cosine from which two sections have one letter."""


def sections(curves: MusicCurves, downbeats: F64) -> list[tuple[float, float, str]] | None:
    """Sections as (start s, end s, label); None where there are too few bars, or too many."""
    if not SHORTEST <= len(downbeats) <= LONGEST:
        return None
    rows = _bars(curves, downbeats)
    similarity = rows @ rows.T
    edges = _edges(similarity)
    parts = list(itertools.pairwise(edges))
    letters = _letters(similarity, parts)
    level = curves.per_interval(downbeats).sum(axis=1)
    names = _named(parts, letters, level)
    times = [0.0, *(float(downbeats[first]) for first, _ in parts[1:]), curves.seconds]
    return [(times[n], times[n + 1], name) for n, name in enumerate(names)]


def _bars(curves: MusicCurves, downbeats: F64) -> F64:
    """Each bar's pitch classes in four parts and its onsets, standardised, of length 1, `[n, 108]`."""
    quarters = np.interp(np.arange(4 * len(downbeats)) / 4, np.arange(len(downbeats)), downbeats)
    lengths = np.diff(downbeats, append=2 * downbeats[-1] - downbeats[-2])
    quarters[-4:] = downbeats[-1] + lengths[-1] * np.arange(4) / 4
    notes = curves.per_interval(quarters).reshape(len(downbeats), -1)
    rhythm = curves.at_onsets(quarters).reshape(3, len(downbeats), 4).transpose(1, 0, 2).reshape(len(downbeats), -1)
    parts = []
    for part, weight in ((notes, 1.0), (rhythm, 0.5)):
        even = part - part.mean(axis=0)
        parts.append(weight * even / (np.linalg.norm(even, axis=1).mean() + 1e-9))
    rows = np.concatenate(parts, axis=1)
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9))


def _edges(similarity: F64) -> list[int]:
    count = len(similarity)
    novelty = np.zeros(count)
    for n in range(2, count - 1):
        size = min(_KERNEL, n, count - n)
        before, after = slice(n - size, n), slice(n, n + size)
        inside = similarity[before, before].mean() + similarity[after, after].mean()
        novelty[n] = inside - 2.0 * similarity[before, after].mean()
    wanted = novelty > novelty.mean() + 0.3 * novelty.std()
    chosen: list[int] = []
    for n in np.argsort(-novelty, kind="stable"):
        if wanted[n] and all(abs(int(n) - other) >= _APART for other in [0, count, *chosen]):
            chosen.append(int(n))
    return [0, *sorted(chosen), count]


def _letters(similarity: F64, parts: list[tuple[int, int]]) -> list[int]:
    """A number for each section: that of the earlier section it is most like, or a new one."""
    letters: list[int] = []
    for n, (first, last) in enumerate(parts):
        likes = []
        for start, end in parts[:n]:
            size = min(last - first, end - start)
            diagonal = np.diagonal(similarity[first : first + size, start : start + size])
            likes.append(float(diagonal.mean()))
        best = int(np.argmax(likes)) if likes else 0
        letters.append(letters[best] if likes and likes[best] >= _ALIKE else max(letters, default=-1) + 1)
    return letters


def _named(parts: list[tuple[int, int]], letters: list[int], level: F64) -> list[str]:
    bars = [np.concatenate([np.arange(*part) for part, own in zip(parts, letters, strict=True) if own == letter])
            for letter in range(max(letters) + 1)]  # fmt: skip
    repeated = [n for n in range(len(bars)) if letters.count(n) > 1 and level[bars[n]].mean() > level.mean()]
    chorus = max(repeated, key=lambda n: len(bars[n]), default=-1)
    return ["chorus" if letter == chorus else _letter(letter) for letter in letters]


def _letter(number: int) -> str:
    return chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")
