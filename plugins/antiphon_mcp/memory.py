"""What a process of the server that is started again is to know: a private JSON file for each server."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from antiphon.api.backends.files import runtime_folder, write_atomic

PRIVATE = 0o600


class Memory:
    """State of one process of a server, by the pid of its parent, which starts it again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._written = b""

    def read(self) -> dict[str, Any]:
        """What was written last; empty at first. Files of servers that have ended are removed."""
        path = self._path()
        for other in path.parent.glob("mcp-*.json"):
            if not _runs(other.stem.split("-")[1]):
                other.unlink(missing_ok=True)
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def write(self, **state: Any) -> None:
        """Writes the state where it has changed."""
        content = json.dumps(state).encode()
        if content != self._written:
            with contextlib.suppress(OSError):  # what plays does not depend on it
                write_atomic(self._path(), content, PRIVATE)
            self._written = content

    def _path(self) -> Path:
        return runtime_folder() / f"mcp-{os.getppid()}-{self._name}.json"


def _runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except OSError:
        return True
    return True
