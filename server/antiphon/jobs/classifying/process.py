"""A process of `antiphon.jobs.classifying.worker`: started below everything that plays, asked, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Any

from antiphon.jobs import errors
from antiphon.jobs.errors import JobError, Unavailable
from antiphon.kernel.runtime.helper_channel import HEAD, Message, check_head, pack, parse
from antiphon.kernel.runtime.helper_process import command, end_session, start_command

MODULE = "antiphon.jobs.classifying.worker"
START_SECONDS = 60.0
"""In which it imports its plugins, also on a machine that is busy."""
ANSWER_SECONDS = 300.0
"""In which it answers: an hour of sound takes half a minute of a free core."""


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
            self.input.write(pack(message))
            await self.input.drain()

    async def receive(self, seconds: float | None) -> Message:
        """The next answer within `seconds`, None for no end, without raw bytes.

        Raises:
            EOFError: It has ended.
            TimeoutError: No answer came in time.
            ValueError: What came is no message.
        """
        async with asyncio.timeout(seconds):
            head = await self._output.readexactly(HEAD.size)
            return parse(await self._output.readexactly(check_head(head, 0)[0]))

    async def end(self) -> int:
        """Ends it and what it has started. It may be called twice. Returns its exit status, negative for a signal."""
        await end_session(self._process, 0.0)
        return await self._process.wait()


class ClassifierProcess:
    """The process; `start` makes one.

    Attributes:
        began: When it was started, on the monotonic clock.
        ready: Whether it can be asked: it runs, and has answered all that it was asked.
        classifiers: What it has said that there is; empty for one that reads a stream.
    """

    def __init__(self, process: HelperTask) -> None:
        self._process, self._ready = process, True
        self.began = time.monotonic()
        self.classifiers: list[dict[str, Any]] = []

    @staticmethod
    async def start(*words: str) -> ClassifierProcess:
        """Starts a process that is asked, or with words, a classifier and seconds, one that reads a stream.

        Raises:
            Unavailable: It does not start.
        """
        try:
            process = await HelperTask.start(MODULE, *words)
        except OSError as error:
            raise Unavailable(f"no process can be started: {error.strerror}") from None
        started = ClassifierProcess(process)
        if not words:
            try:
                started.classifiers = (await started.receive(START_SECONDS))["classifiers"]
            except BaseException:
                await started.end()
                raise
        return started

    @property
    def ready(self) -> bool:
        return self._ready and not self._process.ended

    @ready.setter
    def ready(self, ready: bool) -> None:
        self._ready = ready

    @property
    def input(self) -> asyncio.StreamWriter:
        """The process's standard input."""
        return self._process.input

    async def ask(self, name: str, path: str) -> dict[str, Any]:
        """Has it classify a file; a JobError with the reason where it fails."""
        self.ready = False
        await self._process.send({"name": name, "path": path})
        found = await self.receive(ANSWER_SECONDS)
        self.ready = True
        return answer_of(found)

    async def receive(self, seconds: float | None) -> dict[str, Any]:
        """Reads the next message; raises `Unavailable` where it has ended, or none comes in so many seconds."""
        try:
            return await self._process.receive(seconds)
        except TimeoutError:
            raise Unavailable(f"it took longer than {seconds:g} s; try again, or send a shorter sound") from None
        except ValueError:
            raise Unavailable("the classifier's answer is too long or none") from None
        except EOFError:
            text = f"the process that classifies ended with status {await self._process.end()}; another one is started"
            raise Unavailable(text) from None

    async def end(self) -> None:
        """Ends it and what it has started. It may be called twice."""
        await self._process.end()


def answer_of(message: dict[str, Any]) -> dict[str, Any]:
    """The answer in a message; raises its `JobError` where it has one."""
    if "error" in message:
        kind: type[JobError] = getattr(errors, message["kind"])
        raise kind(message["error"])
    found: dict[str, Any] = message["answer"]
    return found
