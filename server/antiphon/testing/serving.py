"""A server for a test: on free ports, with user folders of its own, ended with the context."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from antiphon.operations.remote import Server

HOME = "ANTIPHON_HOME"


@contextmanager
def server(patch: str | os.PathLike[str] = "", **options: Any) -> Iterator[Server]:
    """Runs `antiphon.Server` by the software clock, with settings, patches and recordings in a temporary folder.

    Args:
        patch: Name or path of a patch.
        **options: Further options of `antiphon serve`, with `_` for `-`; `audio` is "headless" unless given.

    Raises:
        AntiphonError: It does not start; the error has the reason.
    """
    before = os.environ.get(HOME)
    with tempfile.TemporaryDirectory(prefix="antiphon-test-") as home:
        os.environ[HOME] = home
        try:
            with Server(patch, **{"audio": "headless", **options}) as running:
                yield running
        finally:
            if before is None:
                os.environ.pop(HOME, None)
            else:
                os.environ[HOME] = before
