"""The log of a training: rows of a CSV file, and a picture of them."""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

# ---- Line plots over one axis in panels, as an SVG: the curve of a training, the plot of `bench soak`

WIDTH, HEIGHT = 900, 170
"""Heights in px of a panel, its title and its axis."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 120, 26, 24
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777", "#000000", "#ee9944")
"""Paul Tol's bright scheme, which colour-blind readers can distinguish, and two more."""
MAX_POINTS = 800
"""Maximum points of a line; more are not visible."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of lines.

    `lines`: points (x, y) by line name, in ascending x; NaN leaves a gap. `limits`: range of y, to which points are
    clipped; None for 0 and all values.
    """

    title: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    limits: tuple[float, float] | None = None


def svg(panels: Sequence[Panel], title: str, unit: str, marks: Sequence[tuple[float, str]] = ()) -> str:
    """Draws panels as an SVG from top to bottom, with `unit` of x and `marks`, labelled x values."""
    end = max((line[-1][0] for panel in panels for line in panel.lines.values() if line), default=1.0) or 1e-3
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{30 + HEIGHT * len(panels)}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate(0 {30 + HEIGHT * number})">')
        parts += _panel_svg_lines(panel, marks, end, unit)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel_svg_lines(panel: Panel, marks: Sequence[tuple[float, str]], end: float, unit: str) -> list[str]:
    values = [y for line in panel.lines.values() for _, y in line if not math.isnan(y)]
    low, high = panel.limits or (min([0.0, *values]), max(values, default=0.0))
    step = _step((high - low) or 1.0)
    low, high = math.floor(low / step) * step, max(math.ceil(high / step) * step, math.floor(low / step) * step + step)
    wide, tall = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def x(place: float) -> float:
        return _LEFT + wide * place / end

    def y(value: float) -> float:
        return _TOP + tall * (high - min(high, max(low, value))) / (high - low)

    elements = [f'<text x="{_LEFT}" y="{_TOP - 9}" font-weight="bold">{escape(panel.title)}</text>']
    for n in range(round((high - low) / step) + 1):
        value = low + n * step
        elements.append(f'<path d="M{_LEFT} {y(value):.1f}H{_LEFT + wide}" stroke="#dddddd"/>')
        elements.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    apart = _step(end, 8)
    for n in range(int(end / apart) + 1):
        elements.append(
            f'<text x="{x(n * apart):.1f}" y="{HEIGHT - 10}" text-anchor="middle">{n * apart:g} {unit}</text>'
        )
    for at, what in marks:
        elements.append(
            f'<path d="M{x(at):.1f} {_TOP}v{tall}" stroke="#bb0000" stroke-dasharray="2 3" opacity=".5">'
            f"<title>{escape(what)}</title></path>"
        )
    for place, (name, points) in enumerate(panel.lines.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        elements.append(f'<path d="{_line(points, x, y)}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
        beside = _TOP + 6 + 13 * place
        elements.append(f'<text x="{_LEFT + wide + 8}" y="{beside}" fill="{colour}">{escape(name)}</text>')
    return elements


def _line(points: Sequence[tuple[float, float]], x: Callable[[float], float], y: Callable[[float], float]) -> str:
    every = max(1, len(points) // MAX_POINTS)
    drawn, pen = [], "M"
    for place, value in points[::every]:
        if math.isnan(value):
            pen = "M"
            continue
        drawn.append(f"{pen}{x(place):.1f} {y(value):.1f}")
        pen = "L"
    return "".join(drawn)


def _step(reach: float, most: int = 4) -> float:
    """Round axis step that divides `reach` into at most `most` steps."""
    rough = reach / most
    tens = 10.0 ** math.floor(math.log10(rough))
    return next(tens * n for n in (1, 2, 5, 10) if tens * n >= rough * (1 - 1e-9))


class Log:
    """A CSV log of step, part ("train" or "valid"), name, value. Existing rows before `step` are kept."""

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
    """Reads rows (step, part, name, value) of a log, skipping invalid lines, such as a last one cut by a crash."""
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
