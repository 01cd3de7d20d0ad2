"""Confusion matrix as text and as a picture."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
"""Confusion matrix `[labels, labels]`: rows are true labels, columns answers."""
CELL, MIN_CELL, LARGEST, MARGIN = 44, 4, 2400, 24
"""Pixels of a cell, at least, of all cells together, and of the margins."""
RIGHT, WRONG = "#4e849e", "#d67642"
MAX_COLUMNS = 20
"""Maximum labels of a terminal table."""


def count(answers: NDArray[np.int64], truth: NDArray[np.int64], labels: int) -> Counts:
    """Confusion matrix of answers, numbers of labels `[n]`."""
    return np.bincount(truth * labels + answers, minlength=labels * labels).reshape(labels, labels)


def text(counts: Counts, labels: Sequence[str]) -> str:
    """Confusion matrix for a terminal, a row per true label. "" beyond `MAX_COLUMNS` labels."""
    if len(labels) > MAX_COLUMNS:
        return ""
    width = max(4, len(str(counts.max())) + 1)
    names = [label[:20] for label in labels]
    head = " " * 21 + "".join(f"{name[: width - 1]:>{width}}" for name in names)
    lines = (
        f"{name:>20} " + "".join(f"{n or '.':>{width}}" for n in row) for name, row in zip(names, counts, strict=True)
    )
    return "\n".join([head, *lines])


def picture(counts: Counts, labels: Sequence[str]) -> str:
    """SVG of row shares, true labels down and answers across: right answers on the diagonal."""
    size = len(labels)
    cell = max(MIN_CELL, min(CELL, LARGEST // size))
    edge = MARGIN + 7 * max(map(len, labels)) + 8
    side = edge + size * cell + MARGIN
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{side}" font-family="sans-serif" '
        'font-size="11" text-anchor="middle">',
        f'<rect width="{side}" height="{side}" fill="white"/>',
    ]
    for row, column in np.ndindex(size, size):
        x, y = edge + column * cell, edge + row * cell
        colour = RIGHT if row == column else WRONG
        strength = 0.06 + 0.94 * shares[row, column]
        parts.append(f'<path d="M{x} {y}h{cell - 1}v{cell - 1}h{1 - cell}z" fill="{colour}" opacity="{strength:.2f}"/>')
        if counts[row, column] and cell == CELL:
            parts.append(f'<text x="{x + cell // 2}" y="{y + cell // 2 + 4}">{counts[row, column]}</text>')
    for place, label in enumerate(labels if cell >= 12 else ()):
        at = edge + place * cell + cell // 2
        parts.append(f'<text x="{edge - 8}" y="{at + 4}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<text transform="translate({at + 4} {edge - 8}) rotate(-90)" text-anchor="start">')
        parts.append(f"{escape(label)}</text>")
    return "\n".join([*parts, "</svg>", ""])
