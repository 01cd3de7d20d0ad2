"""A `HelperProcess` for an event loop, in a session of its own so that what it starts ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Any

from antiphon.kernel.runtime import frames
from antiphon.kernel.runtime.frames import Message
from antiphon.kernel.runtime.helper_process import command, environment

KILL_SECONDS = 3.0
"""In which a process that was killed has ended."""


class HelperTask:
    """A helper that is asked and answers; `start` makes one. `input`: what it reads."""

    def __init__(self, process: Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self.input, self._output = process.stdin, process.stdout

    @staticmethod
    async def start(module: str, *words: str, stderr: int | None = DEVNULL) -> HelperTask:
        """Starts a module, as `HelperProcess`. Raises `OSError` where the system allows no process."""
        return HelperTask(await start_command(command(module, *words), stdin=PIPE, stdout=PIPE, stderr=stderr))

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.returncode is not None

    async def send(self, message: Message) -> None:
        """Sends a request; nothing where it has ended, which `receive` detects."""
        with contextlib.suppress(OSError):
            self.input.write(frames.pack(message))
            await self.input.drain()

    async def receive(self, seconds: float | None) -> Message:
        """The next answer within `seconds`, None for no end, without raw bytes.

        Raises:
            EOFError: It has ended.
            TimeoutError: No answer came in time.
            ValueError: What came is no message.
        """
        async with asyncio.timeout(seconds):
            head = await self._output.readexactly(frames.HEAD.size)
            return frames.parse(await self._output.readexactly(frames.check_head(head, 0)[0]))

    async def end(self) -> int:
        """Ends it and what it has started. It may be called twice. Returns its exit status, negative for a signal."""
        await end_session(self._process, 0.0)
        return await self._process.wait()


async def start_command(words: list[str], **options: Any) -> Process:
    """Starts a command in a session of its own, with the environment of a helper unless `env` is given."""
    return await asyncio.create_subprocess_exec(*words, start_new_session=True, **{"env": environment(), **options})


async def end_session(process: Process, patience: float) -> None:
    """Ends a process of `start_command` and those that it started, by SIGKILL after `patience` seconds; 0 at once."""
    if patience and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):  # one that waits for a hanging disk cannot be killed
        await asyncio.wait_for(process.wait(), KILL_SECONDS)
