"""`antiphon render`: a patch over a sound file, with timed events, or a live script, as the engine would play it."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TYPE_CHECKING

import typer

from antiphon.cli.files.finish_options import FinishOptions, finish_of
from antiphon.cli.files.render_options import RenderOptions
from antiphon.cli.option_records import by_records
from antiphon.cli.terminal.errors import complain, endable

if TYPE_CHECKING:
    from antiphon.live.records import ScriptError


@by_records
def render(asked: RenderOptions, finishing: FinishOptions) -> None:
    """Render a patch or a live script to a file: the rate of IN, two channels or those of IN if it has more.

    Where a patch plays other pairs (out.3-4), OUT has as many channels.

    Latency is taken out. Without --seconds OUT is longer than IN by the echoes and notes that still sound at its end. A
    MIDI file is played at its tempo by every node that takes notes and that no wire plays.
    """
    finish = finish_of(finishing, asked.rate)
    given = {field.name: getattr(asked, field.name) for field in fields(asked)}
    del given["rate"]
    given["source"] = tuple(asked.source or ())
    with endable():
        from antiphon.cli.files.reports import TERMINAL
        from antiphon.kernel.plugins.loader import load
        from antiphon.live.records import ScriptError
        from antiphon.operations.render import render as operation
        from antiphon.operations.rendering import RenderRequest

        try:
            failed = operation(RenderRequest(**given, finish=finish, reporting=TERMINAL), load(check=False))
        except ScriptError as error:
            show(error)
            raise typer.Exit(2) from None
    if failed:
        raise typer.Exit(1)


def show(error: ScriptError) -> None:
    """Prints a script's fault with its source excerpt."""
    complain(str(error))
    if error.picture:
        sys.stderr.write("".join(f"  {line}\n" for line in error.picture.split("\n")))
