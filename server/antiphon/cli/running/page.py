"""`antiphon page` and `qr` open the page of a server; `surfaces`, `approve` and `forget` say what may send to it."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import click

from antiphon.cli import ports
from antiphon.cli.command import Json
from antiphon.cli.progress import echo_answer
from antiphon.client import finding
from antiphon.kernel.errors import EngineError, FileError, UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.console import say, write_output
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.runtime.shortening import escape_unprintable
from antiphon.web.access import plain_ip
from antiphon.web.page.files import FILE, page_address


def page(
    http_port: ports.Http = None,
    osc_port: ports.InsteadOfHttp = None,
    no_open: Annotated[bool, argument("Print the address alone.")] = False,
) -> None:
    """Open the page of your running server in your browser, which then needs no token."""
    port = finding.http_port(http_port, osc_port)
    found = next((one for one in finding.running_servers() if one.settings.http_port == port), None)
    if found is None:
        raise UsageError(f"no server of yours with --http-port {port} runs on this machine; name its --http-port")
    show_page(found, opens=not no_open)


def show_page(found: finding.Running, room: str = "", *, opens: bool) -> None:
    """Prints the page's address of a running server; `opens` opens it. `UsageError` if it is open to the network."""
    if not found.settings.local:
        raise UsageError("that server is open to the network, so its page asks for the token; `antiphon qr` shows it")
    click.echo(page_address(found.folder, found.settings.http_port, room))
    if opens:
        open_page(found.folder)


def graphical() -> bool:
    """Whether a browser can open a window on this machine."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def announce(
    folder: Path,
    settings: ServeSettings,
    *,
    opens: bool,
    says: Callable[[ServeSettings], list[str]] | None = None,
    room: str = "",
) -> None:
    """Prints the lines of `says`, then the page's address with a secret, for a local server with `--live`.

    opens: whether to open the page, in `room`.
    """
    for line in says(settings) if says else ():
        write_output(line, logged=False)
    if not (settings.live and settings.local):
        return
    try:
        write_output(f"page {page_address(folder, settings.http_port, room)}", logged=False)
        if opens:
            open_page(folder)
    except (FileError, OSError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else error
        say(f"the page's address cannot be opened ({why}); scripts need the token there")


def open_page(folder: Path) -> None:
    """Opens the page in the browser, in the background; does nothing without a screen."""
    from antiphon.kernel.runtime.processes.children import SILENT, spawn

    if graphical():
        spawn("webbrowser", (folder / FILE).as_uri(), lane=SILENT, bound=False, env=dict(os.environ))


BORDER = 4
"""Width in modules of the light border around the code, by the standard."""
_COLOURS, _PLAIN = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
"""Colours of the code: black on white, since few phones read a light code on dark."""
_HALVES = {("0", "0"): " ", ("1", "0"): "▀", ("0", "1"): "▄", ("1", "1"): "█"}


def qr(http_port: ports.Http = None, osc_port: ports.InsteadOfHttp = None) -> None:
    """Show the page's address as a QR code for a phone. It contains the token: anyone who scans it is an owner."""
    from antiphon.client.http import ask

    found = ask("GET", "/api/phone", paths.config(), finding.http_port(http_port, osc_port))["addresses"]
    if not found:
        raise EngineError("this machine has no address on a network; connect it, and start the server again")
    for one in found:
        click.echo("\n".join(lines(one["rows"])))
        click.echo(escape_unprintable(str(one["url"])))


def lines(rows: list[str]) -> list[str]:
    """Terminal lines of a QR code; 1 is dark, 0 light. Each line shows two rows of modules."""
    side = "0" * BORDER
    empty = ["0" * (len(rows) + 2 * BORDER)] * BORDER
    framed = [*empty, *(side + row + side for row in rows), *empty]
    if len(framed) % 2:
        framed.append(empty[0])
    return [
        _COLOURS + "".join(_HALVES[pair] for pair in zip(above, below, strict=True)) + _PLAIN
        for above, below in zip(framed[::2], framed[1::2], strict=True)
    ]


# ---- `antiphon surfaces`, `approve` and `forget`: lists and changes which addresses may send OSC under `--lan`

Machine = Annotated[str, argument("The surface's IP address, or its host name.", "NAME|ADDRESS")]


def surfaces(http_port: ports.Http = None, osc_port: ports.InsteadOfHttp = None, as_json: Json = False) -> None:
    """List the phones and controllers that wait for approval, and the approved ones."""
    from antiphon.client.http import ask

    answer = ask("GET", "/api/surfaces", paths.config(), finding.http_port(http_port, osc_port))
    echo_answer(as_json, answer, listing(answer))


def approve(machine: Machine, http_port: ports.Http = None, osc_port: ports.InsteadOfHttp = None) -> None:
    """Let a phone or controller play the server, for twelve hours."""
    click.echo(change("approve", machine, paths.config(), finding.http_port(http_port, osc_port)))


def forget(machine: Machine, http_port: ports.Http = None, osc_port: ports.InsteadOfHttp = None) -> None:
    """Revoke an approval: that phone or controller can no longer play, and is sent nothing."""
    click.echo(change("forget", machine, paths.config(), finding.http_port(http_port, osc_port)))


def change(word: str, machine: str, folder: Path, port: int) -> str:
    """Asks the running server to `approve` or `forget` an address; returns the action, and the address as stored."""
    from antiphon.client.http import ask

    answer = ask("POST", f"/api/surfaces/{word}", folder, port, {"ip": address_of(machine)})
    done = "approved" if word == "approve" else "forgot"
    return escape_unprintable(f"{done} {answer[done]}")


def address_of(machine: str) -> str:
    """IP address of a machine, given as such or by its host name; `UsageError` for any other text."""
    try:
        return plain_ip(machine)
    except ValueError:
        pass
    try:
        return plain_ip(socket.gethostbyname(machine))
    except (OSError, ValueError):
        raise UsageError(
            f"{machine!r} is not an IP address, and no machine of this network has that name; `antiphon surfaces` "
            "lists the addresses that are not approved yet"
        ) from None


def listing(answer: dict[str, Any]) -> list[str]:
    """Lines to print: "held 192.168.1.7", "approved 192.168.1.9"."""
    lines = [f"held {ip}" for ip in answer["held"]] + [f"approved {ip}" for ip in answer["approved"]]
    return [escape_unprintable(line) for line in lines] or ["no surface has sent anything yet"]
