"""The figures in models/RESULTS.md have the form that `antiphon evaluate NAME --card` gives them.

Those of `EXACT` are held to be what one run of the command wrote: no row of another run, none left out.
"""

import re
from functools import cache

import pytest
from tests.each import each

from antiphon.kernel.plugins.loader import load
from antiphon_models.learning import evaluation as tables
from antiphon_models.learning.evaluation import Cell, Evaluation, column_title, columns, figure_lines

SECTIONS = tables.sections()
EXACT = ("denoise",)
HEADING = r"`antiphon evaluate {}( --limit \d+)?( --seed \d+)?`, seed \d+, Antiphon \S+;"


@cache
def evaluations() -> dict[str, Evaluation]:
    pytest.importorskip("torch", reason="evaluations of networks import it")
    return {name: factory() for name, factory in load(check=False).factories["evaluations"].items()}


@each("name", SECTIONS)
def test_the_figures_are_of_the_systems_and_measures_there_are(name: str) -> None:
    evaluation = evaluations()[name]
    heading, road, empty, fence, *lines, end = SECTIONS[name].split("\n")
    assert re.fullmatch(HEADING.format(name), heading), heading
    assert road == f"ours by {evaluation.road}:"
    assert (empty, fence, end) == ("", tables.FENCE, tables.FENCE)
    assert lines[-1] == "mean ± standard error; ↓ less is better"
    known = {column_title(measure) for measure in evaluation.measures}
    names = {system.name: system.role for system in evaluation.systems}
    seen: set[str] = set()
    for line in lines[:-1]:
        cells = re.split(r"\s{2,}", line.strip())
        if cells[0] == "n":
            unknown = [title for title in cells[1:] if title not in known]
            assert not unknown, f"{name} measures no {unknown}; renew it: antiphon evaluate {name} --card"
        elif not line.endswith(":"):
            assert names.get(cells[1]) == cells[0], f"{name} has no system {cells[:2]}; renew it"
            seen.add(cells[1])
    missing = {system.name for system in evaluation.systems if system.role == "ours"} - seen
    missing -= set(evaluation.on_files_alone)
    assert not missing, f"{name} lacks {missing}; renew it: antiphon evaluate {name} --card"
    assert _as_written(lines[:-1]) == lines[:-1], f"{name}: edited by hand? antiphon evaluate {name} --card renews it"


def _as_written(lines: list[str]) -> list[str]:
    """The tables of these lines, parsed and formatted as the command formats them."""
    made: list[str] = []
    rows: list[list[str]] = []
    for line in [*lines, ":"]:
        if line.endswith(":"):
            made += columns(rows) if rows else []
            rows = []
            made += [line] if line != ":" else []
        else:
            cells = re.split(r"\s{2,}", line.strip())
            rows.append(["", "", *cells] if cells[0] == "n" else cells)
    return made


@pytest.mark.parametrize("name", EXACT)
def test_the_figures_are_what_one_run_wrote(name: str) -> None:
    evaluation = evaluations()[name]
    lines = SECTIONS[name].split("\n")[4:-1]
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines[:-1]]
    assert rows[0] == ["n", *map(column_title, evaluation.measures)]
    # a peer may be one that the machine of the run lacked; every other system is in the table
    known = {system.name: system.role for system in evaluation.systems}
    written = [row[1] for row in rows[1:]]
    assert len(set(written)) == len(written)
    assert {name for name, role in known.items() if role != "peer"} <= set(written) <= set(known)
    # all of them had the same items
    assert len({row[2] for row in rows[1:]}) == 1, {row[1]: row[2] for row in rows[1:]}
    assert figure_lines(evaluation, [cell for row in rows[1:] for cell in _cells(evaluation, row)]) == lines


def _cells(evaluation: Evaluation, row: list[str]) -> list[Cell]:
    """A row's figures as they are shown. Which of them have the least and the most items does not matter."""
    system, counts = row[1], [int(n) for n in row[2].split("-")]
    made: list[Cell] = []
    for measure, text in zip(evaluation.measures, row[3:], strict=True):
        if text != "-":
            mean, _, error = text.partition(" ± ")
            n = counts[min(len(made), len(counts) - 1)]
            made.append(Cell(system, measure.name, n, float(mean), float(error or 0.0), 0.0, ""))
    return made


def test_sections_belong_to_evaluations() -> None:
    """A section of a name that nothing registers could never be renewed."""
    assert set(SECTIONS) <= set(evaluations())
