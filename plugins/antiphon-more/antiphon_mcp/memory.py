"""What a process of the server that is started again is to know: a private JSON file for each server."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.backends.runtime import runtime_folder, start_time

PRIVATE = 0o600


class DeskMemory:
    """State of one process of a server, by its parent, which starts it again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._written = b""

    def read(self) -> dict[str, Any]:
        """What was written last; empty at first. Files of servers that have ended are removed."""
        try:
            path = self._path()
            for other in path.parent.glob("mcp-*-*-*.json"):
                _, pid, begun, _ = other.stem.split("-")
                if not pid.isdigit() or str(start_time(int(pid))) != begun:
                    other.unlink(missing_ok=True)
            found: dict[str, Any] = json.loads(path.read_bytes())
        except (AntiphonError, OSError, ValueError):
            return {}
        return found

    def write(self, **state: Any) -> None:
        """Writes the state where it has changed."""
        from antiphon.api.backends.files import write_atomic  # with numpy, 10 MB which a web process does without

        content = json.dumps(state).encode()
        if content != self._written:
            with contextlib.suppress(AntiphonError, OSError):  # what plays does not depend on it
                write_atomic(self._path(), content, PRIVATE)
                self._written = content

    def _path(self) -> Path:
        parent = os.getppid()
        return runtime_folder() / f"mcp-{parent}-{start_time(parent)}-{self._name}.json"
