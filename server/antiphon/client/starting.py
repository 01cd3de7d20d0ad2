"""Starts `antiphon serve` as a child process, and ends it."""

import os
import queue
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import IO

from antiphon.client.connection import GIVEN_UP
from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime import terms
from antiphon.kernel.runtime.processes.child_process import OWNER
from antiphon.kernel.runtime.processes.children import ChildLane, spawn

START_SECONDS = 120.0
"""Timeout in seconds for the start of a server: the first start compiles."""
STOP_SECONDS = 8.0
"""Timeout in seconds for the end of a server, in addition to that of any child."""
LOOK_SECONDS = 0.1
"""Interval in seconds at which a start checks `GIVEN_UP`."""


class StartedServer:
    """`antiphon serve` as a child process, which ends with this one. `ready`: the line that it printed when ready."""

    def __init__(self, words: Sequence[str], *, shown: bool = False) -> None:
        """Starts the server, and waits until it is ready.

        `words`: its options. `shown`: whether its errors go to this process's standard error. Raises EngineError: it
        does not start; it has the reason unless that is shown.
        """
        self._said: deque[str] = deque(maxlen=100)
        self._starting = True
        pipe = subprocess.PIPE
        lane = ChildLane(output=pipe, errors=None if shown else pipe)
        # in a session of its own: Ctrl-C is for this program, which ends it; not bound, as the thread may end before it
        env = {**os.environ, OWNER: str(os.getpid()), **({} if shown else {terms.VARIABLE: "names"})}
        self._process = spawn("antiphon", "serve", *words, lane=lane, bound=False, env=env)
        try:
            self.ready = self._wait_until_ready()
        except BaseException:
            self.end()
            raise

    @property
    def ports(self) -> tuple[int, int]:
        """OSC port and HTTP port."""
        ports = re.findall(r":(\d+)", self.ready)
        return int(ports[0]), int(ports[-1])

    @property
    def ended(self) -> bool:
        """Whether the server has ended."""
        return self._process.ended

    def end(self) -> None:
        """Ends the server, and completes its recording."""
        self._process.end(STOP_SECONDS)

    def _wait_until_ready(self) -> str:
        lines: queue.Queue[str | None] = queue.Queue()
        streams = [stream for stream in (self._process.output, self._process.errors) if stream is not None]
        for stream in streams:
            threading.Thread(target=self._read, args=(stream, lines), daemon=True).start()
        until, ended = time.monotonic() + START_SECONDS, 0
        while ended < len(streams):
            try:
                line = lines.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if GIVEN_UP.get()():
                    raise EngineError("the server's start was cancelled") from None
                if time.monotonic() > until:
                    raise EngineError(f"the server was not ready within {START_SECONDS:g} s") from None
                continue
            ended += line is None
            if line is not None and line.startswith("ready"):
                self._starting = False
                return line
        if len(streams) == 1:
            raise EngineError("the server could not be started; what it said stands above")
        reason = next((line for line in reversed(self._said) if line.startswith("antiphon: ")), "")
        reason = reason.replace("(see: antiphon serve --help)", "(see: help(antiphon.Server))")
        raise EngineError(reason.removeprefix("antiphon: ") or "the server ended before it was ready")

    def _read(self, stream: IO[bytes], lines: "queue.Queue[str | None]") -> None:
        """Reads a stream to its end, since a full pipe would block the server."""
        for line in stream:
            self._said.append(line.decode("utf-8", "replace").strip())
            if self._starting:
                lines.put(self._said[-1])
        if self._starting:
            lines.put(None)
