"""Prints the files that a command has written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from antiphon.cli.terminal.errors import complain

if TYPE_CHECKING:
    from antiphon.offline.output_summary import Written


def report(*written: Written) -> None:
    """A line on standard output for each, behind what is over full scale on standard error."""
    for each in written:
        if each.over:
            complain(each.over)
        typer.echo(str(each))
