"""Client of the stage process in the web process: kept warm, sequential, ended when idle."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from antiphon.api.backends.http import Refusal
from antiphon.api.backends.runtime import HELPER_FAULTS, HelperTask

MODULE = "antiphon_mcp.stage"
MAX_WAITING = 4
"""Maximum pieces of work waiting or in progress; a further one is refused."""
TIMEOUT_SECONDS = 180.0
"""Timeout in seconds of an answer: the process's own limit, and its start on a busy machine."""
IDLE_SECONDS = 600.0
"""Seconds of idleness after which the process ends."""


class Rehearser:
    """Client of the stage process, which is started by the first request."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()
        self._process: HelperTask | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self.waiting = 0

    async def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Answer to a request. Raises Refusal: too much waits, or the process has ended."""
        if self.waiting >= MAX_WAITING:
            raise Refusal(429, f"{MAX_WAITING} rehearsals wait already; try again", (("Retry-After", "5"),))
        self.waiting += 1
        try:
            async with self._one:
                return await self._asked(asked)
        finally:
            self.waiting -= 1

    async def _asked(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self._idle is not None:
            self._idle.cancel()
        process = self._process
        try:
            if process is None or process.ended:
                process = self._process = await HelperTask.start(MODULE)
            await process.send(asked)
            answer = await process.receive(TIMEOUT_SECONDS)
        except (*HELPER_FAULTS, TimeoutError, asyncio.CancelledError) as error:
            self._process = None
            if process is not None:
                await process.end()
            if isinstance(error, asyncio.CancelledError):
                raise
            raise Refusal(503, "the process that rehearses has ended; try again") from None
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end)
        return answer

    def _end(self) -> None:
        task = asyncio.get_running_loop().create_task(self.close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):
                await process.end()
