"""`antiphon live`: performs a live script beside a server, and reloads it each time it is saved."""

import sys
from typing import Annotated

import typer

from antiphon.cli import ports
from antiphon.cli.option_records import by_records
from antiphon.cli.terminal.errors import complain
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.operations.wording import option_words
from antiphon.web.script_link import MAX_QUANTUM

OPTIONS = ("osc_port", "http_port", "audio", "input", "output", "record", "block", "ahead")
"""Options of `serve` that `live` takes, for a server that it starts."""


@by_records
def live(
    script: Annotated[str, argument("A live script.", "SET.py")],
    *,
    quantum: Annotated[
        float,
        argument(
            "A saved script begins at multiples of this; 0 for its bars.",
            "BEATS",
            low=0,
            high=MAX_QUANTUM,
            unit="beats",
        ),
    ] = 1.0,
    from_top: Annotated[bool, argument("A saved script begins at its first bar, on a bar of the server.")] = False,
    patch: Annotated[str, argument("Play this patch, not the one that the script names.", names="patches")] = "",
    server: Annotated[ServeSettings, OPTIONS],
    midi: Annotated[bool, argument("A server started here listens to MIDI ports.")] = False,
) -> None:
    """Perform a live script: by the server on --osc-port, or one that is started. Ctrl-C ends its notes, then it.

    Each time the file is saved, it takes over on the next beat where the one before it is, or by --quantum and
    --from-top. One with an error changes nothing: the last that was good plays on.

    --audio, --input, --output, --record, --block, --ahead and --midi are of a server that is started here.
    """
    from antiphon.performer.performing import Performing, ended_by_signals
    from antiphon.performer.scripts import Begin

    given = {**{name: getattr(server, name) for name in OPTIONS}, "midi": midi}
    options = [word for name, value in given.items() for word in option_words(name, value)]
    begin = Begin(quantum, from_top)
    shown = _with_page if server.audio in ("auto", "headless") else show
    performing = Performing(script, shown, osc_port=server.osc_port, patch=patch, begin=begin, serve=options)
    ended_by_signals(performing)
    performing.run()


def _with_page(sentence: str, picture: str = "", *, fault: bool = False) -> None:
    """As `show`; after a server without a sound card is ready, the address where its sound is heard."""
    show(sentence, picture, fault=fault)
    if not (sentence.startswith("ready ") and " headless " in sentence):
        return
    from antiphon.web.page.files import page_address

    for found in ports.running():
        if f"http://127.0.0.1:{found.settings.http_port}" in sentence.split() and found.settings.local:
            show(f"page {page_address(found.folder, found.settings.http_port)}: it works once; press Listen there")


def show(sentence: str, picture: str = "", *, fault: bool = False) -> None:
    """Prints a sentence; one of a fault on standard error, with its source excerpt below."""
    if not fault:
        typer.echo(sentence)
        sys.stdout.flush()
        return
    complain(sentence)
    if picture:
        sys.stderr.write("".join(f"  {line}\n" for line in picture.split("\n")))
