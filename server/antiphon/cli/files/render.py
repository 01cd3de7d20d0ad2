"""`antiphon render`: a patch over a sound file, with timed events, or a live script, as the engine would play it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from antiphon.cli.option_records import by_records
from antiphon.cli.terminal.errors import complain, termination_signals
from antiphon.operations.requests import RenderRequest, changed

if TYPE_CHECKING:
    from antiphon.live.records import ScriptError


@by_records
def render(asked: RenderRequest) -> None:
    """Play a patch or a live script into a file: the rate of IN, two channels or those of IN if it has more.

    Where a patch plays other pairs (out.3-4), OUT has as many channels.

    Latency is taken out. Without --seconds OUT is longer than IN by the echoes and notes that still sound at its end. A
    MIDI file is played at its tempo by every node that takes notes and that no wire plays; the clock is on its notes'
    beats, which may lie beside the file's, and where they keep none steadily `follow` takes it for a performance.
    """
    with termination_signals():
        from antiphon.cli.files.reports import TERMINAL
        from antiphon.kernel.plugins.loader import load
        from antiphon.live.records import ScriptError
        from antiphon.operations.render import render as operation

        try:
            failed = operation(changed(asked, reporting=TERMINAL), load(check=False))
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
