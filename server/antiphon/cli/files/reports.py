"""What file commands print: a line for each written file, complaints, progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import typer

from antiphon.cli.terminal.errors import complain
from antiphon.cli.terminal.progress import ProgressBar, ask
from antiphon.kernel.errors import AntiphonError
from antiphon.operations.reporting import Reporting

if TYPE_CHECKING:
    from antiphon.offline.output_summary import Written

OVER_FULL_SCALE_ADVICE = "--limit keeps them below it, --normalise -14 sets the loudness"
"""Advice about samples beyond full scale."""
J = TypeVar("J")


def report(*written: Written) -> None:
    """A line on standard output for each, after over-full-scale warnings on standard error."""
    for each in written:
        if each.over:
            complain(f"{each.over}; {OVER_FULL_SCALE_ADVICE}")
        typer.echo(str(each))


def failures(jobs: Iterable[J], write: Callable[[J], bool]) -> int:
    """Number of failed jobs; each error is printed, and the next job goes on."""
    failed = 0
    for job in jobs:
        try:
            failed += not write(job)
        except AntiphonError as error:
            complain(str(error))
            failed += 1
    return failed


TERMINAL = Reporting(complain, report, ProgressBar, ask)
"""A person at a terminal."""
