"""Prints the files that a command has written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from antiphon.offline.output_summary import Written


def report(*written: Written) -> None:
    """A line on standard output for each."""
    for each in written:
        typer.echo(str(each))
