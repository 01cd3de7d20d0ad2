"""Structure image of a song: dissimilarity of bars, phrases, and the summary's parts. As PNG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.backends.files import png_bytes
from antiphon_listen.structure.sections import Structure
from antiphon_listen.summary import SummaryPart

SIDE = 800
"""Approximate size of the matrix in pixels: each bar has a whole number of them."""
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
    """PNG of the dissimilarity of bars from dark (alike) to bright, phrases in colour above, played parts below.

    `rows` `[beats, f]`, of length 1; empty for an empty image.
    """
    if structure is None or not len(rows):
        return png_bytes(np.full((64, 64, 3), 128, np.uint8))
    first, last = structure.phrases[0].first, structure.phrases[-1].last
    edges = np.unique(
        [beat for phrase in structure.phrases for beat in range(phrase.first, phrase.last, structure.bar)]
    )
    step = max(1, len(edges) // SIDE + (len(edges) % SIDE > 0))
    edges = edges[::step]
    bars = np.add.reduceat(rows[first:last], edges - first, axis=0)
    bars /= np.linalg.norm(bars, axis=1, keepdims=True) + 1e-9
    unlike = np.clip(1.0 - bars @ bars.T, 0.0, 1.0)
    field = np.stack([unlike**0.8, unlike**1.3, unlike**2.2], axis=2)
    matrix = np.rint(255.0 * field).astype(np.uint8)
    times = np.array([structure.at(int(beat)) for beat in edges])
    colours = np.zeros((len(edges), 3), np.uint8)
    for phrase in structure.phrases:
        colours[(edges >= phrase.first) & (edges < phrase.last)] = colour_of(phrase.name, phrase.letter)
    played = np.full_like(colours, 40)
    for part in parts:
        inside = (times >= part.start - 1e-6) & (times < part.end - 1e-6)
        played[inside] = colours[inside]
    scale = max(1, SIDE // len(edges))
    picture = [
        _bars(colours, _STRIP, scale),
        np.repeat(np.repeat(matrix, scale, 0), scale, 1),
        _bars(played, _STRIP, scale),
    ]
    gap = np.full((_GAP, scale * len(edges), 3), 255, np.uint8)
    return png_bytes(np.concatenate([picture[0], gap, picture[1], gap, picture[2]]))


def colour_of(name: str, letter: int) -> tuple[int, int, int]:
    """Colour of a part's name."""
    return _COLOURS.get(name, _OTHERS[letter % len(_OTHERS)])


def _bars(colours: Pixels, height: int, scale: int) -> Pixels:
    return np.repeat(np.repeat(colours[None], height, 0), scale, 1)
