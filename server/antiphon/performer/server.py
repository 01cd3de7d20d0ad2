"""A server of the performance's own, started where none answers."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Sequence

from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime.processes.helper_process import start_helper

_PATIENCE = 10.0
"""Seconds in which a server ends."""


class OwnServer:
    """`antiphon serve` in a process of its own, which ends with the performance.

    `patch`: that it was started with; `ready`: the line by which it says that it is ready.
    """

    def __init__(self, options: Sequence[str], patch: str) -> None:
        """Starts it, and returns when it is ready.

        Raises EngineError: it does not start; it has said why on standard error.
        """
        self.patch, self.ready = patch, ""
        words = ("serve", *options, "--patch", patch)
        # in a session of its own: Ctrl-C ends the performance, which ends it
        self._process = start_helper(
            "antiphon", *words, stdout=subprocess.PIPE, stderr=None, env=None, start_new_session=True
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(b"ready"):
                self.ready = line.decode("utf-8", "replace").strip()
                break
        if not self.ready:
            self._process.wait()
            raise EngineError("the server could not be started; what it said stands above")
        # what it says later is of no use here, and a full pipe would stop it
        threading.Thread(target=self._process.stdout.read, daemon=True).start()

    def port(self) -> int:
        """OSC port of the server."""
        found = re.search(r":(\d+)", self.ready)
        return int(found[1]) if found else 0

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def end(self) -> None:
        """Ends it."""
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
