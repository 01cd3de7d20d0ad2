"""Summary of a song: selection of bars, their joins, and an image of the structure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64, Samples
from antiphon.api.backends.files import png_bytes
from antiphon_listen.phrases import Phrase, Structure

CROSSFADE = 0.02
"""Crossfade in seconds, before the cut in both parts, so that the onset at the cut is unaffected."""
FADE_IN_SECONDS = 0.005
"""Fade-in in seconds if the first part does not begin with the sound."""


def play_parts(blocks: Iterable[Samples], parts: Sequence[tuple[int, int]], rate: int) -> Iterator[Samples]:
    """Parts (first frame, end frame; in order) of float32 `[channels, n]`, joined.

    `sum(end - start)` frames less what the sound lacks at its end.
    """
    joined = _follow(parts)
    size = round(CROSSFADE * rate)
    source = _Reader(blocks)
    tail: Samples | None = None
    for place, (start, end) in enumerate(joined):
        lead = 0 if place == 0 else min(size, start - source.at, 0 if tail is None else tail.shape[1])
        source.skip_to(start - lead)
        if tail is not None:
            intro = source.read(lead)
            yield _crossfade_tail(tail, intro, lead)
        last = place == len(joined) - 1
        keep = 0 if last else min(size, end - start, max(0, joined[place + 1][0] - end))
        left, opened = end - start - keep, 0
        while left > 0:
            piece = source.read(min(left, 1 << 15))
            if not piece.shape[1]:
                return
            if place == 0 and start > 0 and opened < round(FADE_IN_SECONDS * rate):
                gain = (opened + np.arange(piece.shape[1])) / round(FADE_IN_SECONDS * rate)
                piece = piece * np.minimum(1.0, gain).astype(np.float32)
            opened += piece.shape[1]
            left -= piece.shape[1]
            yield piece
        tail = source.read(keep) if keep else None


def _follow(parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merges contiguous parts."""
    joined: list[tuple[int, int]] = []
    for start, end in parts:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        elif end > start:
            joined.append((start, end))
    return joined


def _crossfade_tail(tail: Samples, intro: Samples, size: int) -> Samples:
    """`tail`, with its last `size` frames crossfaded into `intro` at equal power."""
    out = tail.copy()
    size = min(size, intro.shape[1], tail.shape[1])
    if size:
        turn = np.linspace(0.0, np.pi / 2, size + 2)[1:-1].astype(np.float32)
        out[:, -size:] = tail[:, -size:] * np.cos(turn) + intro[:, :size] * np.sin(turn)
    return out


class _Reader:
    """Sequential reader of frames from a stream of blocks."""

    def __init__(self, blocks: Iterable[Samples]) -> None:
        self._blocks = iter(blocks)
        self._rest: Samples | None = None
        self.at = 0

    def read(self, frames: int) -> Samples:
        """Reads the next frames, fewer at the end."""
        pieces: list[Samples] = []
        while frames > 0:
            if self._rest is None or not self._rest.shape[1]:
                self._rest = next(self._blocks, None)
                if self._rest is None:
                    break
            pieces.append(self._rest[:, :frames].copy())
            taken = pieces[-1].shape[1]
            self._rest = self._rest[:, taken:]
            frames -= taken
            self.at += taken
        return np.concatenate(pieces, axis=1) if pieces else np.zeros((1, 0), np.float32)

    def skip_to(self, frame: int) -> None:
        """Skips the frames before `frame`."""
        while self.at < frame and self.read(min(1 << 15, frame - self.at)).shape[1]:
            pass


CHORUS_SHARE = 0.91
"""Maximum share of the chorus before other parts get bars; in 30 s all parts get some unless bars are slow."""
MIN_BARS, _SLOW_BAR = 2, 3.0
"""Minimum bars of a part, as fewer are no phrase: one if bars exceed these seconds, as each then counts for two."""
_ROUNDING = 1e-6
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
    left = seconds + _ROUNDING
    order = _order(structure)
    for place, (phrase, most) in enumerate(_phrase_time_limits(bars, order, seconds)):
        others = int((1.0 - CHORUS_SHARE) * seconds / _shortest(bars) + 0.5)  # parts beside the chorus that fit
        rest = _shortest(bars) * min(len(order) - place - 1, others)
        played = _run(structure, phrase) if place == 0 else range(phrase, phrase + 1)
        left -= _fill(bars, chosen, played, min(most, max(left - rest, 0.0) if place == 0 else left))
    if not chosen:
        first = next(bar for bar in bars if bar.phrase == structure.thumbnail)
        start = structure.beat_time(first.first)
        return [SummaryPart(start, start + seconds, structure.phrases[first.phrase].name)]
    _extend(bars, chosen, left, order)
    return _summary_parts([(bars[n].first, bars[n].last, bars[n].phrase) for n in sorted(chosen)], structure)


def compact(structure: Structure) -> list[SummaryPart]:
    """One phrase of each letter, the shortest way to play every part once, in the song's order.

    Sound before the first beat belongs to the first phrase.
    """
    kept = sorted(_most_typical_phrase(structure, letter) for letter in {phrase.letter for phrase in structure.phrases})
    parts = _summary_parts([(structure.phrases[n].first, structure.phrases[n].last, n) for n in kept], structure)
    return [replace(parts[0], start=0.0), *parts[1:]] if kept[0] == 0 else parts


def _bars(structure: Structure) -> list[_Bar]:
    """All bars, counted from each phrase's beginning; a phrase's last may be shorter."""
    bars = []
    for n, phrase in enumerate(structure.phrases):
        for first in range(phrase.first, phrase.last, structure.bar):
            last = min(phrase.last, first + structure.bar)
            bars.append(_Bar(first, last, n, structure.beat_time(last) - structure.beat_time(first)))
    return bars


def _bar_seconds(bars: list[_Bar]) -> float:
    return float(np.median([bar.seconds for bar in bars]))


def _min_bars(bars: list[_Bar]) -> int:
    return 1 if _bar_seconds(bars) > _SLOW_BAR else MIN_BARS


def _shortest(bars: list[_Bar]) -> float:
    """Returns the length of the shortest part in seconds."""
    return _min_bars(bars) * _bar_seconds(bars)


def _order(structure: Structure) -> list[int]:
    """A phrase of each letter, the most important first: the thumbnail, verse, then frequent or distinctive ones."""
    filled: dict[int, float] = {}
    for phrase in structure.phrases:
        filled[phrase.letter] = filled.get(phrase.letter, 0.0) + phrase.last - phrase.first
    beats = sum(filled.values())

    def weight(n: int) -> float:
        phrase = structure.phrases[n]
        rank = {"verse": 10.0, "bridge": 0.2, "intro": -1.0, "outro": -2.0}.get(phrase.name, 0.0)
        return rank + filled[phrase.letter] / beats + 0.2 * phrase.unlike

    first = structure.phrases[structure.thumbnail].letter
    others = (_most_typical_phrase(structure, letter) for letter in filled if letter != first)
    return [structure.thumbnail, *sorted(others, key=weight, reverse=True)]


def _most_typical_phrase(structure: Structure, letter: int) -> int:
    """Returns the phrase of a letter that is most similar to its others, among those nearly as long as the longest."""
    own = [n for n, phrase in enumerate(structure.phrases) if phrase.letter == letter]
    longest = max(_length(structure.phrases[n]) for n in own)
    return min(own, key=lambda n: (_length(structure.phrases[n]) < 0.7 * longest, structure.phrases[n].unlike))


def _length(phrase: Phrase) -> int:
    return phrase.last - phrase.first


def _phrase_time_limits(bars: list[_Bar], order: list[int], seconds: float) -> list[tuple[int, float]]:
    """Phrases with their maximum seconds."""
    if len(order) < 2:
        return [(n, seconds) for n in order]
    other = max(1.0, seconds * (1.0 - CHORUS_SHARE))
    each = max(1.05 * _shortest(bars), other / (len(order) - 1))
    return [(n, seconds if place == 0 else each) for place, n in enumerate(order)]


def _run(structure: Structure, phrase: int) -> range:
    """A phrase and those of its letter that follow it."""
    phrases, last = structure.phrases, phrase + 1
    while last < len(phrases) and phrases[last].letter == phrases[phrase].letter:
        last += 1
    return range(phrase, last)


def _fill(bars: list[_Bar], chosen: set[int], phrases: range, seconds: float) -> float:
    """Selects bars of phrases from their beginning while they fit; returns their seconds."""
    own = [n for n, bar in enumerate(bars) if bar.phrase in phrases]
    used, taken = 0.0, []
    for n in own:
        if used + bars[n].seconds > seconds + _ROUNDING:
            break
        used += bars[n].seconds
        taken.append(n)
    if len(taken) < min(_min_bars(bars), len(own)) and chosen:
        return 0.0
    chosen.update(taken)
    return used


def _extend(bars: list[_Bar], chosen: set[int], left: float, order: list[int]) -> None:
    """Adds bars after the selected ones, then before them, while they fit, starting with the most important part."""
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


def _summary_parts(stretches: list[tuple[int, int, int]], structure: Structure) -> list[SummaryPart]:
    """Beat ranges as parts; contiguous ones in one phrase are merged."""
    parts: list[tuple[int, int, int]] = []
    for first, last, phrase in stretches:
        if parts and parts[-1][1] == first and parts[-1][2] == phrase:
            parts[-1] = (parts[-1][0], last, phrase)
        else:
            parts.append((first, last, phrase))
    return [
        SummaryPart(structure.beat_time(first), structure.beat_time(last), structure.phrases[n].name)
        for first, last, n in parts
    ]


PICTURE_PIXELS = 800
"""Approximate size of the matrix in pixels; each bar has a whole number of pixels."""
_STRIP, _GAP = 16, 4
_COLOURS = {
    "chorus": (232, 89, 60),
    "verse": (63, 124, 191),
    "bridge": (122, 82, 168),
    "intro": (150, 150, 150),
    "outro": (110, 110, 110),
}
_OTHERS = ((60, 150, 90), (200, 160, 40), (30, 160, 170), (180, 90, 140), (130, 110, 60))
Pixels = NDArray[np.uint8]


def structure_picture(rows: F64, structure: Structure | None, parts: Sequence[SummaryPart]) -> bytes:
    """Returns a PNG: dissimilarity of bars, dark if alike; above it the phrases in colour, below it the played parts.

    `rows` `[beats, f]`, of length 1; empty for an empty image.
    """
    if structure is None or not len(rows):
        return png_bytes(np.full((64, 64, 3), 128, np.uint8))
    first, last = structure.phrases[0].first, structure.phrases[-1].last
    edges = np.unique(
        [beat for phrase in structure.phrases for beat in range(phrase.first, phrase.last, structure.bar)]
    )
    step = max(1, len(edges) // PICTURE_PIXELS + (len(edges) % PICTURE_PIXELS > 0))
    edges = edges[::step]
    bars = np.add.reduceat(rows[first:last], edges - first, axis=0)
    bars /= np.linalg.norm(bars, axis=1, keepdims=True) + 1e-9
    unlike = np.clip(1.0 - bars @ bars.T, 0.0, 1.0)
    field = np.stack([unlike**0.8, unlike**1.3, unlike**2.2], axis=2)
    matrix = np.rint(255.0 * field).astype(np.uint8)
    times = np.array([structure.beat_time(int(beat)) for beat in edges])
    colours = np.zeros((len(edges), 3), np.uint8)
    for phrase in structure.phrases:
        colours[(edges >= phrase.first) & (edges < phrase.last)] = colour_of(phrase.name, phrase.letter)
    played = np.full_like(colours, 40)
    for part in parts:
        inside = (times >= part.start - 1e-6) & (times < part.end - 1e-6)
        played[inside] = colours[inside]
    scale = max(1, PICTURE_PIXELS // len(edges))
    picture = [
        _draw_bars(colours, _STRIP, scale),
        np.repeat(np.repeat(matrix, scale, 0), scale, 1),
        _draw_bars(played, _STRIP, scale),
    ]
    gap = np.full((_GAP, scale * len(edges), 3), 255, np.uint8)
    return png_bytes(np.concatenate([picture[0], gap, picture[1], gap, picture[2]]))


def colour_of(name: str, letter: int) -> tuple[int, int, int]:
    """Colour of a part's name."""
    return _COLOURS.get(name, _OTHERS[letter % len(_OTHERS)])


def _draw_bars(colours: Pixels, height: int, scale: int) -> Pixels:
    return np.repeat(np.repeat(colours[None], height, 0), scale, 1)
