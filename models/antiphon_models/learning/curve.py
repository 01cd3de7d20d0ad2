"""The log of a training: rows of a CSV file, and a picture of them."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from antiphon_models.learning.plot import Panel, svg


class Log:
    """A CSV file of step, part ("train" or "valid"), name, value. Rows of an existing file before `step` are kept."""

    def __init__(self, path: Path, step: int) -> None:
        rows = [row for row in read(path) if row[0] < step] if path.exists() else []
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(("step", "part", "name", "value"))
        self._rows.writerows((n, part, name, f"{value:.6g}") for n, part, name, value in rows)
        self._file.flush()

    def add(self, step: int, part: str, values: Mapping[str, float]) -> None:
        """Appends a row for each value, by name."""
        self._rows.writerows((step, part, name, f"{value:.6g}") for name, value in values.items())
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> list[tuple[int, str, str, float]]:
    """Rows (step, part, name, value) of a log, without invalid lines, such as a last one cut by a crash."""
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            try:
                rows.append((int(row[0]), row[1], row[2], float(row[3])))
            except (ValueError, IndexError):
                continue
    return rows


def draw(rows: Sequence[tuple[int, str, str, float]], title: str) -> str:
    """Draws rows of a log as an SVG: a panel for each name, with training and validation over the steps."""
    panels = []
    for name in dict.fromkeys(row[2] for row in rows):
        own = [row for row in rows if row[2] == name and math.isfinite(row[3])]
        lines = {part: [(step, value) for step, of, _, value in own if of == part] for part in ("train", "valid")}
        if values := sorted(row[3] for row in own):
            # the first steps of a loss would flatten all that follows
            limits = values[len(values) // 100], values[-1 - len(values) // 50]
            panels.append(Panel(name, {part: line for part, line in lines.items() if line}, limits))
    return svg(panels, f"{title}: {max((row[0] for row in rows), default=0)} steps", "steps")
