"""A process of `antiphon_classify.http.worker`: started below everything that plays, asked, and ended."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from antiphon.api.backends.http import Refusal
from antiphon.api.backends.runtime import HelperTask

MODULE = "antiphon_classify.http.worker"
START_SECONDS = 60.0
"""Maximum seconds to import its plugins, also on a busy machine."""
ANSWER_SECONDS = 300.0
"""Maximum seconds for an answer: an hour of sound takes half a minute of a free core."""


class ClassifierProcess:
    """The process; created by `start`."""

    def __init__(self, process: HelperTask) -> None:
        self._process, self._ready = process, True
        self.began = time.monotonic()  # when it was started, on the monotonic clock
        self.classifiers: list[dict[str, Any]] = []  # what it has said that there is; empty for one that reads a stream

    @staticmethod
    async def start(*words: str) -> ClassifierProcess:
        """Starts a query process, or with words, a classifier and seconds, one that reads a stream.

        Raises Refusal: it does not start.
        """
        try:
            process = await HelperTask.start(MODULE, *words)
        except OSError as error:
            raise Refusal(503, f"no process can be started: {error.strerror}") from None
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
        """Has it classify a file; a Refusal with the reason where it fails."""
        self.ready = False
        await self._process.send({"name": name, "path": path})
        found = await self.receive(ANSWER_SECONDS)
        self.ready = True
        return answer_of(found)

    async def receive(self, seconds: float | None) -> dict[str, Any]:
        """Reads the next message; raises `Refusal` where it has ended, or none comes in so many seconds."""
        try:
            return await self._process.receive(seconds)
        except TimeoutError:
            raise Refusal(503, f"it took longer than {seconds:g} s; try again, or send a shorter sound") from None
        except ValueError:
            raise Refusal(503, "the classifier's answer is too long or none") from None
        except EOFError:
            text = f"the process that classifies ended with status {await self._process.end()}; another one is started"
            raise Refusal(503, text) from None

    async def end(self) -> None:
        """Ends the process and its children. It may be called twice."""
        await self._process.end()


def answer_of(message: dict[str, Any]) -> dict[str, Any]:
    """The answer in a message; raises `Refusal` where it has the reason of a failure."""
    if "error" in message:
        raise Refusal(message["status"], message["error"])
    found: dict[str, Any] = message["answer"]
    return found


def too_many(reason: str, seconds: int) -> Refusal:
    """The refusal of a request that may succeed after some seconds."""
    return Refusal(429, reason, (("Retry-After", str(seconds)),))
