"""The page's address, as the server prints it when it is ready."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from antiphon.errors import FileError
from antiphon.runtime.console import say, write_output
from antiphon.runtime.page_secret import page_address
from antiphon.runtime.settings import ServeSettings
from antiphon.supervisor.faults import why


def announce(folder: Path, settings: ServeSettings, opened: Callable[[], None]) -> None:
    """Prints the address with a secret, of a server with `--live` for this machine alone, and calls `opened`."""
    if not (settings.live and settings.local):
        return
    try:
        write_output(f"page {page_address(folder, settings.http_port)}", logged=False)
        opened()
    except (FileError, OSError) as error:
        say(f"the page's address cannot be opened ({why(error)}); scripts need the token there")
