"""What opens the page: the address that is printed once the server is ready; token and certificate of `--lan`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.child_process import Child
from antiphon.kernel.runtime.console import say, write_output
from antiphon.kernel.runtime.page_secret import page_address
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.supervisor.faults import why
from antiphon.kernel.supervisor.starts import Starts, first_line

SECRETS_SECONDS = 10.0
"""Time in which the token and the certificate must be written."""


def announce(folder: Path, settings: ServeSettings, opened: Callable[[], None]) -> None:
    """Prints the address with a secret, of a server with `--live` for this machine alone, and calls `opened`."""
    if not (settings.live and settings.local):
        return
    try:
        write_output(f"page {page_address(folder, settings.http_port)}", logged=False)
        opened()
    except (FileError, OSError) as error:
        say(f"the page's address cannot be opened ({why(error)}); scripts need the token there")


def make_secrets(starts: Starts) -> None:
    """Creates the token and the certificate of `--lan`; `FileError` where they cannot be written."""
    read, write = os.pipe()
    try:
        child = Child.of("secrets", starts.secrets(write))
    finally:
        os.close(write)
    line = first_line(read, SECRETS_SECONDS)
    child.end()
    errors = json.loads(line) if line else [f"the token and the certificate cannot be made in {paths.config()}"]
    if errors:
        raise FileError(errors[0])
