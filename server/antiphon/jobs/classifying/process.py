"""A process of `antiphon.jobs.classifying.worker`: started at low priority, queried, and ended."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from antiphon.jobs import errors
from antiphon.jobs.errors import JobError, Unavailable
from antiphon.kernel.runtime.helper_task import HelperTask

MODULE = "antiphon.jobs.classifying.worker"
START_SECONDS = 60.0
"""Maximum seconds to import its plugins, also on a busy machine."""
ANSWER_SECONDS = 300.0
"""Maximum seconds for an answer: an hour of sound takes half a minute of a free core."""


class ClassifierProcess:
    """The process; created by `start`.

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
        """Starts a query process, or with words, a classifier and seconds, one that reads a stream.

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
        """Classifies a file; raises a JobError with the reason on failure."""
        self.ready = False
        await self._process.send({"name": name, "path": path})
        found = await self.receive(ANSWER_SECONDS)
        self.ready = True
        return answer_of(found)

    async def receive(self, seconds: float | None) -> dict[str, Any]:
        """Reads the next message; raises `Unavailable` if the process has ended, or after `seconds`."""
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
        """Ends the process and its children. It may be called twice."""
        await self._process.end()


def answer_of(message: dict[str, Any]) -> dict[str, Any]:
    """Answer in a message; raises its `JobError` if it has one."""
    if "error" in message:
        kind: type[JobError] = getattr(errors, message["kind"])
        raise kind(message["error"])
    found: dict[str, Any] = message["answer"]
    return found
