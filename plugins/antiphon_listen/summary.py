"""Bar selection of a song's summary: the chorus, then the verse, then remarkable parts, in the song's order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from antiphon_listen.structure.sections import Phrase, Structure

CHORUS_SHARE = 0.75
"""Maximum share of the chorus before the other parts have their bars."""
LEAST_BARS = 2
"""Minimum bars of a part: fewer are no phrase."""
_SLACK = 1e-6
"""Rounding tolerance in seconds."""


@dataclass(frozen=True, slots=True)
class SummaryPart:
    """A part of a song that is played."""

    start: float  # seconds in the song
    end: float  # seconds in the song
    name: str  # as `Phrase.name`


@dataclass(frozen=True, slots=True)
class _Bar:
    first: int
    last: int
    phrase: int
    seconds: float


def summary(structure: Structure, seconds: float) -> list[SummaryPart]:
    """Parts of a summary of `seconds`, in the song's order, shorter by less than a bar.

    If it is shorter than a bar, the beginning of a chorus bar.
    """
    bars = _bars(structure)
    chosen: set[int] = set()
    left = seconds + _SLACK
    order = _order(structure)
    for place, (phrase, most) in enumerate(_budgets(structure, order, seconds)):
        rest = LEAST_BARS * _bar_seconds(bars) * min(len(order) - place - 1, _others(seconds, bars))
        played = _longest_run(structure, phrase) if place == 0 else range(phrase, phrase + 1)
        left -= _fill(bars, chosen, played, min(most, max(left - rest, 0.0) if place == 0 else left))
    if not chosen:
        first = next(bar for bar in bars if bar.phrase == (order[0] if order else 0))
        start = structure.at(first.first)
        return [SummaryPart(start, start + seconds, structure.phrases[first.phrase].name)]
    _extend(bars, chosen, left, order)
    return _parts(structure, bars, chosen)


def compact(structure: Structure) -> list[SummaryPart]:
    """One phrase of each letter, the shortest way to play every part once, in the song's order.

    Sound before the first beat belongs to the first phrase.
    """
    kept = sorted(_typical(structure, letter) for letter in {phrase.letter for phrase in structure.phrases})
    parts = _joined([(structure.phrases[n].first, structure.phrases[n].last, n) for n in kept], structure)
    return [replace(parts[0], start=0.0), *parts[1:]] if kept[0] == 0 else parts


def _bars(structure: Structure) -> list[_Bar]:
    """All bars, counted from each phrase's beginning; a phrase's last may be shorter."""
    bars = []
    for n, phrase in enumerate(structure.phrases):
        for first in range(phrase.first, phrase.last, structure.bar):
            last = min(phrase.last, first + structure.bar)
            bars.append(_Bar(first, last, n, structure.at(last) - structure.at(first)))
    return bars


def _bar_seconds(bars: list[_Bar]) -> float:
    return float(np.median([bar.seconds for bar in bars]))


def _others(seconds: float, bars: list[_Bar]) -> int:
    """Number of parts beside the chorus that fit a summary."""
    return int((1.0 - CHORUS_SHARE) * seconds / (LEAST_BARS * _bar_seconds(bars)) + 0.5)


def _order(structure: Structure) -> list[int]:
    """A phrase of each letter, the most important first: chorus, verse, then frequent or distinctive ones."""
    filled: dict[int, float] = {}
    for phrase in structure.phrases:
        filled[phrase.letter] = filled.get(phrase.letter, 0.0) + phrase.last - phrase.first
    beats = sum(filled.values())

    def weight(n: int) -> float:
        phrase = structure.phrases[n]
        rank = {"chorus": 20.0, "verse": 10.0, "bridge": 0.2, "intro": -1.0, "outro": -2.0}.get(phrase.name, 0.0)
        return rank + filled[phrase.letter] / beats + 0.2 * phrase.unlike

    return sorted((_typical(structure, letter) for letter in filled), key=weight, reverse=True)


def _typical(structure: Structure, letter: int) -> int:
    """Phrase of a letter most similar to its others, among those not much shorter than the longest."""
    own = [n for n, phrase in enumerate(structure.phrases) if phrase.letter == letter]
    longest = max(_length(structure.phrases[n]) for n in own)
    return min(own, key=lambda n: (_length(structure.phrases[n]) < 0.7 * longest, structure.phrases[n].unlike))


def _length(phrase: Phrase) -> int:
    return phrase.last - phrase.first


def _budgets(structure: Structure, order: list[int], seconds: float) -> list[tuple[int, float]]:
    """Phrases with their maximum seconds."""
    if len(order) < 2:
        return [(n, seconds) for n in order]
    other = max(1.0, seconds * (1.0 - CHORUS_SHARE))
    bar = structure.bar * float(np.median(np.diff(structure.beats)))
    each = max(LEAST_BARS * bar + 0.1 * bar, other / max(1, len(order) - 1))
    return [(n, seconds if place == 0 else each) for place, n in enumerate(order)]


def _longest_run(structure: Structure, phrase: int) -> range:
    """Longest run of successive phrases of this one's letter; its own for two of equal length."""
    letters = [each.letter for each in structure.phrases]
    best = range(phrase, phrase + 1)
    beats, first = 0, 0
    while first < len(letters):
        last = first
        while last + 1 < len(letters) and letters[last + 1] == letters[first]:
            last += 1
        length = structure.phrases[last].last - structure.phrases[first].first
        if letters[first] == letters[phrase] and (length > beats or (length == beats and first <= phrase <= last)):
            best, beats = range(first, last + 1), length
        first = last + 1
    return best


def _fill(bars: list[_Bar], chosen: set[int], phrases: range, seconds: float) -> float:
    """Selects bars of phrases from their beginning while they fit; returns their seconds."""
    own = [n for n, bar in enumerate(bars) if bar.phrase in phrases]
    used, taken = 0.0, []
    for n in own:
        if used + bars[n].seconds > seconds + _SLACK:
            break
        used += bars[n].seconds
        taken.append(n)
    if len(taken) < min(LEAST_BARS, len(own)) and chosen:
        return 0.0
    chosen.update(taken)
    return used


def _extend(bars: list[_Bar], chosen: set[int], left: float, order: list[int]) -> None:
    """Adds bars after the selected ones, then before them, while they fit: the most important part's first."""
    rank = {phrase: place for place, phrase in enumerate(order)}
    while True:
        fitting = [n for n, bar in enumerate(bars) if n not in chosen and bar.seconds <= left]
        behind = [n for n in fitting if n - 1 in chosen]
        before = [n for n in fitting if n + 1 in chosen]
        if not behind and not before:
            return
        near, step = (behind, -1) if behind else (before, 1)
        # the rest of a phrase that was begun, then the parts in their order
        best = min(
            near, key=lambda n: (bars[n].phrase != bars[n + step].phrase, rank.get(bars[n].phrase, len(rank)), n)
        )
        chosen.add(best)
        left -= bars[best].seconds


def _parts(structure: Structure, bars: list[_Bar], chosen: set[int]) -> list[SummaryPart]:
    return _joined([(bars[n].first, bars[n].last, bars[n].phrase) for n in sorted(chosen)], structure)


def _joined(stretches: list[tuple[int, int, int]], structure: Structure) -> list[SummaryPart]:
    """Beat ranges as parts; contiguous ones in one phrase are merged."""
    parts: list[tuple[int, int, int]] = []
    for first, last, phrase in stretches:
        if parts and parts[-1][1] == first and parts[-1][2] == phrase:
            parts[-1] = (parts[-1][0], last, phrase)
        else:
            parts.append((first, last, phrase))
    return [SummaryPart(structure.at(first), structure.at(last), structure.phrases[n].name) for first, last, n in parts]
