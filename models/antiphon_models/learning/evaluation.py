"""What a plugin's author writes to have something measured, and the table that is made of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.console import instead

Role: TypeAlias = Literal["trivial", "classical", "peer", "ours", "oracle"]
ROLES: tuple[Role, ...] = ("trivial", "classical", "peer", "ours", "oracle")


@dataclass(frozen=True, slots=True)
class System:
    """What is measured. role: what it stands for in the table."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured of it. better: which way."""

    name: str
    unit: str = ""
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One figure of one system on one item."""

    system: str
    measure: str
    item: str
    value: float


@dataclass(frozen=True, slots=True)
class Example:
    """What an item sounds like. made: by which system, or what it is itself.  sound: float32 `[frames]`."""

    item: str
    made: str
    sound: NDArray[np.float32]
    rate: int


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """One evaluation. data: the folder with what was given (pop909/, esc10/, …).  work: a folder for what is made.
    limit: items at most, None for all.  systems: their names, none for all.  files: of whoever asks; none for the
    evaluation's own.  say: takes one line for whoever watches.
    """

    data: Path
    work: Path
    seed: int = 1
    limit: int | None = None
    systems: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    say: Callable[[str], None] = print

    def wants(self, system: str) -> bool:
        return not self.systems or system in self.systems


class Evaluation(ABC):
    """systems, measures: rows and columns.  note: what the figures may not be compared with, one sentence.
    files_doc: what files may be given; "" where none can.
    """

    systems: ClassVar[tuple[System, ...]]
    measures: ClassVar[tuple[Measure, ...]]
    note: ClassVar[str] = ""
    files_doc: ClassVar[str] = ""

    @abstractmethod
    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Scores as they come, of the systems that are asked for (`ask.wants`), all on the same items.

        A peer that is not installed has no scores, and `ask.say` is told so.
        """

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        """A few items, `ask.limit` of them, as they are and as each system that is asked for leaves them."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Cell:
    """mean, error: over n items, its standard error, 0 for one.  worst: the least good value.  worst_item: whose."""

    system: str
    measure: str
    n: int
    mean: float
    error: float
    worst: float
    worst_item: str


def check(evaluation: Evaluation, ask: EvaluationRequest) -> None:
    """`UsageError` for systems there are none of, and for files where none can be given."""
    names = [system.name for system in evaluation.systems]
    for name in ask.systems:
        if name not in names:
            raise UsageError(f"there is no system {name!r}{instead(name, names)}")
    if ask.files and not evaluation.files_doc:
        raise UsageError("this evaluation takes no files of yours; leave them out")


def cells(evaluation: Evaluation, scores: Iterable[MetricValue]) -> list[Cell]:
    """Scores by system and measure, in the evaluation's order. What is no number is left out of mean and n."""
    held: dict[tuple[str, str], list[MetricValue]] = {}
    for score in scores:
        if math.isfinite(score.value):
            held.setdefault((score.system, score.measure), []).append(score)
    return [
        _cell(held[system.name, measure.name], measure)
        for system in _ordered(evaluation.systems)
        for measure in evaluation.measures
        if (system.name, measure.name) in held
    ]


def _ordered(systems: Sequence[System]) -> list[System]:
    return sorted(systems, key=lambda system: ROLES.index(system.role))


def _cell(scores: Sequence[MetricValue], measure: Measure) -> Cell:
    values = [score.value for score in scores]
    n, mean = len(values), math.fsum(values) / len(values)
    error = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n) if n > 1 else 0.0
    pick = min if measure.better == "higher" else max
    worst = pick(scores, key=lambda score: score.value)
    return Cell(scores[0].system, measure.name, n, mean, error, worst.value, worst.item)


def table(evaluation: Evaluation, found: Sequence[Cell]) -> list[str]:
    """Lines to be read: a row a system, by role; a column a measure, mean ± standard error; then the worst items."""
    measures = [m for m in evaluation.measures if any(c.measure == m.name for c in found)]
    by = {(c.system, c.measure): c for c in found}
    rows = [
        ["", "", *(f"{m.name}{f', {m.unit}' if m.unit else ''}{' ↓' if m.better == 'lower' else ''}" for m in measures)]
    ]
    for system in _ordered(evaluation.systems):
        if any(c.system == system.name for c in found):
            rows.append([system.role, system.name, *(_shown(by.get((system.name, m.name))) for m in measures)])
    lines = _columns(rows)
    counts = sorted({c.n for c in found})
    each = " to ".join(map(str, counts[:: max(1, len(counts) - 1)]))
    lines.append(f"mean ± standard error; n {each} a figure; ↓ less is better")
    ours = {s.name for s in evaluation.systems if s.role == "ours"}
    lines += [
        f"worst of {c.system}, {c.measure}: {_number(c.worst)} ({c.worst_item})"
        for c in found if c.system in ours and c.n > 1
    ]  # fmt: skip
    return [*lines, evaluation.note] if evaluation.note else lines


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    return _number(cell.mean) + (f" ± {_number(cell.error)}" if cell.n > 1 else "")


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1.0 else f"{value:.2f}" if abs(value) < 100.0 else f"{value:.0f}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(width) if n < 2 else text.rjust(width)
            for n, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def as_json(name: str, evaluation: Evaluation, ask: EvaluationRequest, found: Sequence[Cell]) -> dict[str, Any]:
    """The same for a machine."""
    return {
        "evaluation": name,
        "seed": ask.seed,
        "limit": ask.limit,
        "files": [path.name for path in ask.files],
        "systems": [asdict(system) for system in evaluation.systems],
        "measures": [asdict(measure) for measure in evaluation.measures],
        "figures": [asdict(cell) for cell in found],
    }
