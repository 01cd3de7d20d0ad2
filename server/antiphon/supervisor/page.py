"""The address by which the performer opens the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from antiphon.errors import FileError
from antiphon.runtime.console import say, write_output
from antiphon.runtime.page_secret import page_address
from antiphon.supervisor.faults import why


def say_page(folder: Path, http_port: int, opened: Callable[[], None]) -> None:
    """Prints the page's address with a secret, and has `play` open it in a browser by `opened`."""
    try:
        write_output(f"page {page_address(folder, http_port)}", logged=False)
        opened()
    except (FileError, OSError) as error:
        say(f"the page's address cannot be opened ({why(error)}); scripts need the token there")
