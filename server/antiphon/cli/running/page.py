"""`antiphon page`: opens the page of a server on this machine in the owner's browser."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli import ports
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.console import say, write_output
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.web.page.page_secret import FILE, page_address


def page(
    http_port: ports.Http = None,
    osc_port: ports.InsteadOfHttp = None,
    no_open: Annotated[bool, argument("Print the address alone.")] = False,
) -> None:
    """Open the page of a running server of yours in your browser, which needs no token then."""
    port = ports.http_port(http_port, osc_port)
    found = next((one for one in ports.running() if one.settings.http_port == port), None)
    if found is None:
        raise UsageError(f"no server of yours with --http-port {port} runs on this machine; name its --http-port")
    show_page(found, opens=not no_open)


def show_page(found: ports.Running, room: str = "", *, opens: bool) -> None:
    """Prints the page's address of a running server, and `opens` it. `UsageError` if it is open to the network."""
    if not found.settings.local:
        raise UsageError("that server is open to the network, so its page asks for the token; `antiphon qr` shows it")
    typer.echo(page_address(found.folder, found.settings.http_port, room))
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

    opens: opens the page, in `room`.
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
    """Opens the page in the browser, in the background; nothing without a screen."""
    from antiphon.kernel.runtime.processes.children import SILENT, spawn

    if graphical():
        spawn("webbrowser", (folder / FILE).as_uri(), lane=SILENT, bound=False, env=dict(os.environ))
