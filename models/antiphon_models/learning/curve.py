"""The log of a training: rows of a CSV file, and a picture of them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, GAP = 760, 180, 64, 34
COLOURS = {"train": "#3b6ea5", "valid": "#c2571a"}


class Log:
    """A CSV file of step, part ("train" or "valid"), name, value. What is in it already stays, up to `step`."""

    def __init__(self, path: Path, step: int) -> None:
        rows = [row for row in read(path) if row[0] < step] if path.exists() else []
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(("step", "part", "name", "value"))
        self._rows.writerows((n, part, name, f"{value:.6g}") for n, part, name, value in rows)
        self._file.flush()

    def add(self, step: int, part: str, values: Mapping[str, float]) -> None:
        self._rows.writerows((step, part, name, f"{value:.6g}") for name, value in values.items())
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> list[tuple[int, str, str, float]]:
    """Rows of a log; what cannot be read of the last line, after a crash, is left out."""
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            try:
                rows.append((int(row[0]), row[1], row[2], float(row[3])))
            except (ValueError, IndexError):
                continue
    return rows


def draw(rows: Sequence[tuple[int, str, str, float]], title: str) -> str:
    """An SVG: a panel for each name, training and validation in it over the steps."""
    names = list(dict.fromkeys(row[2] for row in rows))
    last = max((row[0] for row in rows), default=1) or 1
    height = GAP + len(names) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for place, name in enumerate(names):
        top = GAP + place * (HEIGHT + GAP)
        values = sorted(row[3] for row in rows if row[2] == name and math.isfinite(row[3]))
        if not values:
            continue
        # the first steps of a loss would flatten all that follows
        low, high = values[len(values) // 100], values[-1 - len(values) // 50]
        span = (high - low) or 1.0
        parts.append(
            f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 12}" height="{HEIGHT}" fill="none" stroke="#bbb"/>'
            f'<text x="{LEFT}" y="{top - 4}">{escape(name)}</text>'
            f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{high:.3g}</text>'
            f'<text x="{LEFT - 6}" y="{top + HEIGHT}" text-anchor="end">{low:.3g}</text>'
        )
        for part, colour in COLOURS.items():
            points = " ".join(
                f"{LEFT + (WIDTH - LEFT - 12) * step / last:.1f},"
                f"{top + HEIGHT * (1.0 - min(1.0, max(0.0, (value - low) / span))):.1f}"
                for step, of, label, value in rows
                if of == part and label == name and math.isfinite(value)
            )
            if points:
                parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    parts.append(
        f'<text x="{WIDTH - 12}" y="20" text-anchor="end">{last} steps; training blue, validation orange</text>'
    )
    return "\n".join([*parts, "</svg>\n"])
