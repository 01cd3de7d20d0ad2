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

from antiphon.errors import UsageError
from antiphon.runtime.suggestion import instead

Role: TypeAlias = Literal["trivial", "classical", "peer", "ours", "oracle"]
"""What a system stands for in the table."""
ROLES: tuple[Role, ...] = ("trivial", "classical", "peer", "ours", "oracle")
"""The roles, in the order of the table's rows."""


@dataclass(frozen=True, slots=True)
class System:
    """A system that is measured: a row of the table.

    Attributes:
        name: Its name.
        role: "trivial", "classical", "peer", "ours" or "oracle".
    """

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured of each system: a column of the table.

    Attributes:
        name: Its name.
        unit: For people, or "".
        better: Whether "higher" or "lower" values are better.
    """

    name: str
    unit: str = ""
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One figure of one system on one item.

    Attributes:
        system: The system's name.
        measure: The measure's name.
        item: The item's name.
        value: The figure.
    """

    system: str
    measure: str
    item: str
    value: float


@dataclass(frozen=True, slots=True)
class Example:
    """An item as sound, as it is or as a system leaves it.

    Attributes:
        item: The item's name.
        made: The system's name, or what the sound is of the item itself.
        sound: float32 `[frames]`.
        rate: Frames per second.
    """

    item: str
    made: str
    sound: NDArray[np.float32]
    rate: int


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What `antiphon evaluate` asks of an evaluation.

    Attributes:
        data: The folder of data sets (pop909/, esc10/, …).
        work: A folder for what is made.
        seed: Of what is drawn at random.
        limit: Items, at most; None for all.
        systems: Names of the systems that are asked for; none for all.
        files: Files to measure on; none for the evaluation's own items.
        say: Takes one line for the person who asked.
    """

    data: Path
    work: Path
    seed: int = 1
    limit: int | None = None
    systems: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    say: Callable[[str], None] = print

    def wants(self, system: str) -> bool:
        """Whether a system is asked for.

        Args:
            system: Its name.

        Returns:
            Whether it is.
        """
        return not self.systems or system in self.systems


class Evaluation(ABC):
    """What a hook `antiphon_evaluations` registers: figures of several systems on the same items.

    Attributes:
        systems: The rows of the table.
        measures: The columns of the table.
        note: What the figures may not be compared with, one sentence, or "".
        files_doc: Which files may be given; "" where none can.
    """

    systems: ClassVar[tuple[System, ...]]
    measures: ClassVar[tuple[Measure, ...]]
    note: ClassVar[str] = ""
    files_doc: ClassVar[str] = ""

    @abstractmethod
    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Measures the systems that are asked for (`ask.wants`), all on the same items.

        A peer that is not installed has no figures, and `ask.say` is given a line that says so.

        Args:
            ask: What is asked for.

        Yields:
            Figures as they come.

        Raises:
            UsageError: Data or programs are missing.
        """

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        """Makes sound of a few items, as they are and as each system that is asked for leaves them.

        Args:
            ask: What is asked for; `ask.limit` items.

        Returns:
            The examples; none unless overridden.
        """
        return iter(())


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table.

    Attributes:
        system: The system's name.
        measure: The measure's name.
        n: Items.
        mean: Over the items.
        error: Standard error of the mean; 0 for one item.
        worst: The least good value.
        worst_item: The item it is of.
    """

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
    """Averages figures by system and measure.

    Args:
        evaluation: Whose figures they are.
        scores: The figures; those that are not finite are left out of mean and n.

    Returns:
        Cells in the order of the table.
    """
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
    """Formats cells for people: a row a system, a column a measure, mean ± standard error; then the worst items.

    Args:
        evaluation: Whose cells they are.
        found: What `mean_cells` gave.

    Returns:
        Lines.
    """
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
