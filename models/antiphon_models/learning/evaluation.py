"""The interface of an evaluation, for plugin authors, and the table of its figures."""

import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.backends.files import write_atomic
from antiphon.api.backends.runtime import instead
from antiphon_models.learning import needs

Role: TypeAlias = Literal["trivial", "classical", "peer", "ours", "oracle"]
T = TypeVar("T")
ROLES: tuple[Role, ...] = ("trivial", "classical", "peer", "ours", "oracle")


@dataclass(frozen=True, slots=True)
class System:
    """A measured system: a processor of ours, or a competitor.

    `name`: its row in the table; `role`: its purpose in the comparison.
    """

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity measured of each system. `unit`: its unit; empty for ratios and counts."""

    name: str
    unit: str = ""
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One figure of one system on one item.

    `value`: the figure; NaN and infinity are left out of the table. `group`: each group has its own table ("" for a
    single one).
    """

    system: str
    measure: str
    item: str
    value: float
    group: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """An item as sound, before or after a system.

    `label`: the system of the output, or the kind of the item ("clean", "noisy"). `sound`: float32 `[frames]`. `rate`:
    frames a second.
    """

    item: str
    label: str
    sound: NDArray[np.float32]
    rate: int


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """An evaluation request of the command line.

    Attributes:
        data: The folder of recorded and written material (pop909/, esc10/, …).
        limit: Maximum number of items; None for all.
        systems: Names of the requested systems; none for all.
        files: The user's own files; none for the evaluation's items.
        synthetic: True if the items are generated without `data`, because folders are missing there.
    """

    data: Path
    work: Path
    seed: int = 1
    limit: int | None = None
    systems: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    say: Callable[[str], None] = print
    synthetic: bool = False

    def wants(self, system: str) -> bool:
        return not self.systems or system in self.systems

    def select(self, systems: Mapping[str, T]) -> dict[str, T]:
        """Requested systems, by name."""
        return {name: system for name, system in systems.items() if self.wants(name)}


def systems_of(**names: str) -> tuple[System, ...]:
    """Systems by role, from `trivial="first; middle", ours="listen"`."""
    return tuple(System(name, role) for role in ROLES for name in names.get(role, "").split("; ") if name)


def measures_of(titles: str) -> tuple[Measure, ...]:
    """Parses measures from titles, as "F1; pauses [dB]; late [ms] ↓": unit in brackets, an arrow if less is better."""
    found = []
    for title in filter(None, titles.split("; ")):
        name, _, unit = title.removesuffix(" ↓").partition(" [")
        found.append(Measure(name, unit.removesuffix("]"), "lower" if title.endswith(" ↓") else "higher"))
    return tuple(found)


def metric_values(
    system: str, item: str, row: Mapping[str, float] | Iterable[tuple[str, float]], group: str = ""
) -> Iterator[MetricValue]:
    """Scores of one system on one item, by measure."""
    for measure, value in row.items() if isinstance(row, Mapping) else row:
        yield MetricValue(system, measure, item, float(value), group)


class Evaluation(ABC):
    """Measures systems on the same items; registered by the hook `antiphon_evaluations`.

    Attributes:
        trivial, classical, peer, ours, oracle: The table's rows by role, as "first; middle".
        on_files_alone: Systems of role "ours" that run only on the user's files; no card has them.
        columns: Its measures, as `measures_of` reads them.
        files_doc: Which files the user may give; empty for none.
        takes_folder: Whether a folder may be among the files.
        folders: Folders of `EvaluationRequest.data` that the evaluation's own items need.
        synthetic_doc: Items used if one of `folders` is missing, such as "24 melodies made by seed"; empty where
            the evaluation cannot run without them.
        road: How the systems of role "ours" are measured: the command as users type it, or the reason for
            another method. `models/RESULTS.md` repeats this text.
    """

    trivial: ClassVar[str] = ""
    classical: ClassVar[str] = ""
    peer: ClassVar[str] = ""
    ours: ClassVar[str] = ""
    oracle: ClassVar[str] = ""
    on_files_alone: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[str] = ""
    systems: ClassVar[tuple[System, ...]] = ()
    measures: ClassVar[tuple[Measure, ...]] = ()
    note: ClassVar[str] = ""
    items_note: ClassVar[str] = ""
    files_doc: ClassVar[str] = ""
    takes_folder: ClassVar[bool] = False
    folders: ClassVar[tuple[str, ...]] = ()
    synthetic_doc: ClassVar[str] = ""
    road: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.systems = cls.systems or systems_of(**{role: getattr(cls, role) for role in ROLES})
        cls.measures = cls.measures or measures_of(cls.columns)

    @abstractmethod
    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Yields scores of the requested systems (`ask.wants`), all on the same items.

        A peer that is not installed is reported by a line to `ask.say`, and has no figures.
        """

    def files_in(self, data: Path, say: Callable[[str], None] = print) -> tuple[Path, ...]:
        """User's files in the folder `data`, measured as if named; empty for none. `say`: receives files left out."""
        return ()

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        """Yields `ask.limit` items as sound, unprocessed and from each requested system."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell. `error`: standard error of the mean; 0 for one item. `worst`: the worst value."""

    system: str
    measure: str
    n: int
    mean: float
    error: float
    worst: float
    worst_item: str
    group: str = ""


def check(evaluation: Evaluation, ask: EvaluationRequest) -> None:
    """Raises `UsageError` for unknown systems, and for files where none can be given."""
    names = [system.name for system in evaluation.systems]
    for name in ask.systems:
        if name not in names:
            raise UsageError(f"there is no system {name!r}{instead(name, names)}")
    if ask.files and not evaluation.files_doc:
        raise UsageError("this evaluation takes no files of yours; leave them out")


def choose_material(evaluation: Evaluation, ask: EvaluationRequest) -> EvaluationRequest:
    """Selects items from the data folder, or synthetic ones.

    They are synthetic, after one line to `ask.say`, if a folder is missing and no files are given.

    Raises `UsageError`: a folder is missing, and the evaluation cannot generate items.
    """
    if not ask.files and (own := evaluation.files_in(ask.data, ask.say)):
        count = len(own) if ask.limit is None else min(ask.limit, len(own))
        ask.say(f"{count} of the {len(own)} files in {ask.data} that have their annotation beside them")
        return replace(ask, files=own)
    missing = [] if ask.files else needs.missing_folders(ask.data, evaluation.folders)
    if not missing:
        return ask
    if not evaluation.synthetic_doc:
        needs.folders(ask.data, evaluation.folders)
    ask.say(
        f"{needs.missing_text(ask.data, missing[0])}: measured on {evaluation.synthetic_doc}; "
        "not to be compared with figures on the data (docs/lab.md says where it is from)"
    )
    return replace(ask, synthetic=True)


def cells(evaluation: Evaluation, scores: Iterable[MetricValue]) -> list[Cell]:
    """Cells by group, system and measure, in order of the groups' appearance and of the evaluation's lists.

    Values that are not finite are left out of mean and n.
    """
    values: dict[tuple[str, str, str], list[MetricValue]] = {}
    for score in scores:
        if math.isfinite(score.value):
            values.setdefault((score.group, score.system, score.measure), []).append(score)
    return [
        _cell(values[group, system.name, measure.name], measure)
        for group in dict.fromkeys(group for group, _, _ in values)
        for system in _ordered(evaluation.systems)
        for measure in evaluation.measures
        if (group, system.name, measure.name) in values
    ]


def _ordered(systems: Sequence[System]) -> list[System]:
    return sorted(systems, key=lambda system: ROLES.index(system.role))


def _cell(scores: Sequence[MetricValue], measure: Measure) -> Cell:
    values = [score.value for score in scores]
    n, mean = len(values), math.fsum(values) / len(values)
    error = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n) if n > 1 else 0.0
    pick = min if measure.better == "higher" else max
    worst = pick(scores, key=lambda score: score.value)
    return Cell(scores[0].system, measure.name, n, mean, error, worst.value, worst.item, worst.group)


def table(evaluation: Evaluation, figures: Sequence[Cell], *, own_files: bool = False) -> list[str]:
    """Lines of the result: `figure_lines`, our systems' worst items in the first group, notes, method."""
    lines = figure_lines(evaluation, figures)
    first = figures[0].group if figures else ""
    ours = {s.name for s in evaluation.systems if s.role == "ours"}
    lines += [
        f"worst of {c.system}, {c.measure}: {_number(c.worst)} ({c.worst_item})"
        for c in figures
        if c.system in ours and c.n > 1 and c.group == first
    ]
    notes = (evaluation.note, "" if own_files else evaluation.items_note, f"ours by {evaluation.road}")
    return [*lines, *(note for note in notes if note)]


def figure_lines(evaluation: Evaluation, figures: Sequence[Cell]) -> list[str]:
    """Table for each group: a row for each system, by role, a column for each measure, mean ± standard error."""
    lines: list[str] = []
    for group in dict.fromkeys(c.group for c in figures):
        inside = [c for c in figures if c.group == group]
        lines += [*([f"{group}:"] if group else []), *_group_lines(evaluation, inside)]
    return [*lines, "mean ± standard error; ↓ less is better"]


def _group_lines(evaluation: Evaluation, figures: Sequence[Cell]) -> list[str]:
    measures = [m for m in evaluation.measures if any(c.measure == m.name for c in figures)]
    by = {(c.system, c.measure): c for c in figures}
    rows = [["", "", "n", *(column_title(measure) for measure in measures)]]
    for system in _ordered(evaluation.systems):
        own = [by[system.name, m.name] for m in measures if (system.name, m.name) in by]
        if own:
            counts = sorted({c.n for c in own})
            each = "-".join(map(str, counts[:: max(1, len(counts) - 1)]))
            rows.append([system.role, system.name, each, *(_shown(by.get((system.name, m.name))) for m in measures)])
    return columns(rows)


def column_title(measure: Measure) -> str:
    """Column heading of a measure: name, unit and direction."""
    unit = f", {measure.unit}" if measure.unit else ""
    return f"{measure.name}{unit}{' ↓' if measure.better == 'lower' else ''}"


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    return _number(cell.mean) + (f" ± {_number(cell.error)}" if cell.n > 1 else "")


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1.0 else f"{value:.2f}" if abs(value) < 100.0 else f"{value:.0f}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first two columns at the left, the others at the right, two spaces apart."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(width) if n < 2 else text.rjust(width)
            for n, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def as_json(name: str, evaluation: Evaluation, ask: EvaluationRequest, figures: Sequence[Cell]) -> dict[str, Any]:
    """The request and the figures as JSON data."""
    return {
        "evaluation": name,
        "seed": ask.seed,
        "limit": ask.limit,
        "files": [path.name for path in ask.files],
        "synthetic": ask.synthetic,
        "systems": [asdict(system) for system in evaluation.systems],
        "measures": [asdict(measure) for measure in evaluation.measures],
        "figures": [asdict(cell) for cell in figures],
    }


# ---- `models/RESULTS.md`: scores of each evaluation, replaced by `antiphon evaluate NAME --card`

CARD_PAGE = Path(__file__).parents[2] / "RESULTS.md"
HEAD = """\
# Results

Written by `antiphon evaluate NAME --card`: not to be edited by hand. The figures of an evaluation without a section are
in its plugin's card.
"""
FENCE = "```"


def check_card(ask: EvaluationRequest, path: Path = CARD_PAGE) -> None:
    """Checks, before measuring, that this request's scores can go into the page.

    Raises `UsageError`: the page is missing or cannot be written, or the request measures something other than all
    systems on the evaluation's own items.
    """
    if ask.files or ask.systems or ask.synthetic:
        what = "files of yours" if ask.files else "some systems" if ask.systems else f"items without {ask.data}"
        raise UsageError(f"{path.name} has all systems on the evaluation's own items, and this measures {what}")
    if not os.access(path, os.W_OK):
        raise UsageError(f"{path} cannot be written to; --card is for a checkout of Antiphon")


def sections(path: Path = CARD_PAGE) -> dict[str, str]:
    """Text of each section by the evaluation's name, without its heading."""
    _, *rest = re.split(r"^## ([\w-]+)\n", path.read_text(), flags=re.MULTILINE)
    return {name: text.strip("\n") for name, text in zip(rest[::2], rest[1::2], strict=True)}


def figures(name: str, evaluation: Evaluation, ask: EvaluationRequest, cells: Sequence[Cell]) -> str:
    """Text of a section: command, seed and version, method, and the table in a fence."""
    from antiphon import __version__

    limit = f" --limit {ask.limit}" if ask.limit is not None else ""
    seed = f" --seed {ask.seed}" if ask.seed != 1 else ""
    lines = [
        f"`antiphon evaluate {name}{limit}{seed}`, seed {ask.seed}, Antiphon {__version__};",
        f"ours by {evaluation.road}:",
        "",
        FENCE,
        *figure_lines(evaluation, cells),
        FENCE,
    ]
    return "\n".join(lines)


def write_section(
    name: str, evaluation: Evaluation, ask: EvaluationRequest, cells: Sequence[Cell], path: Path = CARD_PAGE
) -> Path:
    """Replaces the section of an evaluation, or adds it; returns the page's path."""
    found = {**sections(path), name: figures(name, evaluation, ask, cells)}
    text = [HEAD, *(f"\n## {each}\n\n{found[each]}\n" for each in sorted(found))]
    write_atomic(path, "".join(text).encode())
    return path
