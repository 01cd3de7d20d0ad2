"""`antiphon run`: one plugin over files of sound or notes."""

import typer

from antiphon.cli.option_records import by_records
from antiphon.cli.terminal.errors import endable
from antiphon.operations.requests import RunRequest


@by_records
def run(asked: RunRequest) -> None:
    """Process files by a plugin: same rate, channels and length unless it says otherwise, its delay taken out.

    -p learn=0.5 on a trigger fires it at 0.5 s. A parameter of kind file takes any path. What takes notes reads a MIDI
    file, what gives notes writes one. Echoes go on after the end of IN, until they are over. - is standard input or
    output: a wav, or --raw; what a plugin need not know in advance is worked on as it comes. A video keeps its picture.
    """
    with endable():
        from antiphon.cli.files.reports import PIPED, TERMINAL
        from antiphon.kernel.plugins.loader import load
        from antiphon.operations.run import run as operation

        if operation(asked, load(check=False), PIPED if asked.paths[-1] == "-" else TERMINAL):
            raise typer.Exit(1)
