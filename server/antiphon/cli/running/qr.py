"""`antiphon qr`: the page's address for a phone, as a QR code in the terminal."""

import typer

from antiphon.cli import ports
from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime import paths
from antiphon.kernel.wire.text import printable

BORDER = 4
"""Light modules around the code, by the standard."""
_COLOURS, _PLAIN = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
"""Colours of the code, black on white: few phones read a code that is light on dark."""
_HALVES = {("0", "0"): " ", ("1", "0"): "▀", ("0", "1"): "▄", ("1", "1"): "█"}


def qr(http_port: ports.Http = None, osc_port: ports.InsteadOfHttp = None) -> None:
    """Show the page's address as a QR code for a phone, with the token: who scans it is an owner."""
    from antiphon.cli.running.running_server import ask

    found = ask("GET", "/api/phone", paths.config(), ports.http_port(http_port, osc_port))["addresses"]
    if not found:
        raise EngineError("this machine has no address on a network; connect it, and start the server again")
    for one in found:
        typer.echo("\n".join(lines(one["rows"])))
        typer.echo(printable(str(one["url"])))


def lines(rows: list[str]) -> list[str]:
    """Terminal lines of a code of 1 (dark) and 0, two rows of modules per line."""
    side = "0" * BORDER
    empty = ["0" * (len(rows) + 2 * BORDER)] * BORDER
    framed = [*empty, *(side + row + side for row in rows), *empty]
    if len(framed) % 2:
        framed.append(empty[0])
    return [
        _COLOURS + "".join(_HALVES[pair] for pair in zip(above, below, strict=True)) + _PLAIN
        for above, below in zip(framed[::2], framed[1::2], strict=True)
    ]
