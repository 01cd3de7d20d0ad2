"""Which label is taken for which: a table of counts, as text and as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon_library.map.picture import INK, PAPER, SOFT, lettering, plain

Counts = NDArray[np.int64]
"""`[labels, labels]`: rows are what is true, columns what was answered."""
CELL, LEAST_CELL, LARGEST = 44, 4, 2400
"""Pixels of a cell, at least, and of the picture's cells together."""
MARGIN = 24
WARM, COOL = np.array([214, 118, 66]), np.array([78, 132, 158])
"""Of answers that are wrong, and of those that are right."""
MOST_COLUMNS = 20
"""Labels of which a table is for a terminal."""


def count(answers: NDArray[np.int64], truth: NDArray[np.int64], labels: int) -> Counts:
    """The table of given answers, numbers of labels `[n]`."""
    return np.bincount(truth * labels + answers, minlength=labels * labels).reshape(labels, labels)


def text(counts: Counts, labels: Sequence[str]) -> str:
    """The table for a terminal: a row for what is true. "" where there are more than `MOST_COLUMNS` labels."""
    if len(labels) > MOST_COLUMNS:
        return ""
    width = max(4, len(str(counts.max())) + 1)
    names = [label[:20] for label in labels]
    head = " " * 21 + "".join(f"{name[: width - 1]:>{width}}" for name in names)
    lines = (
        f"{name:>20} " + "".join(f"{n or '.':>{width}}" for n in row) for name, row in zip(names, counts, strict=True)
    )
    return "\n".join([head, *lines])


def picture(counts: Counts, labels: Sequence[str]) -> NDArray[np.uint8]:
    """A picture of shares of each row, `[height, width, 3]`: right answers on the diagonal, wrong ones beside it."""
    size = len(labels)
    cell = max(LEAST_CELL, min(CELL, LARGEST // size))
    scale = 2 if cell >= 20 else 1
    named = cell >= 8 * scale
    names = [plain(label.replace("_", " ")) if named else "" for label in labels]
    edge = MARGIN + 6 * scale * max(map(len, names)) + 8
    image = np.empty((edge + size * cell + MARGIN, edge + size * cell + MARGIN, 3))
    image[:] = PAPER
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row in range(size):
        for column in range(size):
            top, left = edge + row * cell, edge + column * cell
            strength = 0.06 + 0.94 * shares[row, column] if counts[row, column] else 0.06
            ink = COOL if row == column else WARM
            area = image[top : top + cell - 1, left : left + cell - 1]
            area[:] = (1 - strength) * np.array(PAPER) + strength * (ink if counts[row, column] else np.array(SOFT))
            if counts[row, column] and cell == CELL:
                _write(area, str(counts[row, column]), scale)
        if names[row]:
            word = np.kron(lettering(names[row]), np.ones((scale, scale))).astype(np.bool_)
            start = edge + row * cell + (cell - word.shape[0]) // 2
            image[start : start + word.shape[0], edge - 8 - word.shape[1] : edge - 8][word] = INK
            upwards = np.rot90(word)
            start = edge + row * cell + (cell - upwards.shape[1]) // 2
            image[edge - 8 - upwards.shape[0] : edge - 8, start : start + upwards.shape[1]][upwards] = INK
    for line, words in enumerate(("ROWS: TRUE", "COLUMNS: ANSWERED") if named else ()):
        mask = lettering(words)
        top = MARGIN + 12 * line
        if mask.shape[1] < edge - 2 * MARGIN:
            image[top : top + mask.shape[0], MARGIN : MARGIN + mask.shape[1]][mask] = SOFT
    return np.asarray(image.round().astype(np.uint8))


def _write(area: NDArray[np.float64], number: str, scale: int) -> None:
    """Writes a number into the middle of a cell, where there is room for it."""
    scale = scale if 6 * scale * len(number) <= area.shape[1] else 1
    word = np.kron(lettering(number), np.ones((scale, scale))).astype(np.bool_)
    top, left = (area.shape[0] - word.shape[0]) // 2, (area.shape[1] - word.shape[1]) // 2 + scale // 2
    if left >= 0:
        area[top : top + word.shape[0], left : left + word.shape[1]][word] = INK
