"""A process of `antiphon.jobs.classifying.worker`: started below everything that plays, asked, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from typing import Any

from antiphon.jobs import errors
from antiphon.jobs.errors import JobError, Unavailable
from antiphon.runtime.child_process import end_with_parent
from antiphon.runtime.scheduling import give_way

MODULE = "antiphon.jobs.classifying.worker"
START_SECONDS = 60.0
"""In which it imports its plugins, also on a machine that is busy."""
ANSWER_SECONDS = 300.0
"""In which it answers: an hour of sound takes half a minute of a free core."""
MAX_LINE = 16 * 1024 * 1024
"""Bytes of an answer."""


class ClassifierProcess:
    """The process; `start` makes one.

    Attributes:
        began: When it was started, on the monotonic clock.
        ready: Whether it can be asked: it runs, and has answered all that it was asked.
        classifiers: What it has said that there is; empty for one that reads a stream.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process, self._ready = process, True
        self.began = time.monotonic()
        self.classifiers: list[dict[str, Any]] = []

    @staticmethod
    async def start(*words: str) -> ClassifierProcess:
        """Starts a process that is asked, or with words one that reads a stream.

        Args:
            words: Name of a classifier, and the seconds of an interim answer.

        Raises:
            Unavailable: It does not start.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", MODULE, *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                limit=MAX_LINE,
                start_new_session=True,
                preexec_fn=_begin,
            )  # fmt: skip
        except OSError as error:
            raise Unavailable(f"no process can be started: {error.strerror}") from None
        started = ClassifierProcess(process)
        if not words:
            try:
                started.classifiers = await started.line(START_SECONDS)
            except BaseException:
                await started.end()
                raise
        return started

    @property
    def ready(self) -> bool:
        return self._ready and self._process.returncode is None

    @ready.setter
    def ready(self, ready: bool) -> None:
        self._ready = ready

    @property
    def input(self) -> asyncio.StreamWriter:
        """The process's standard input."""
        assert self._process.stdin is not None
        return self._process.stdin

    async def ask(self, name: str, path: str) -> dict[str, Any]:
        """Has it classify a file.

        Returns:
            The answer.

        Raises:
            JobError: With the reason.
        """
        self.ready = False
        with contextlib.suppress(OSError):  # it has ended, which `line` detects
            self.input.write(json.dumps({"name": name, "path": path}).encode() + b"\n")
        found = await self.line(ANSWER_SECONDS)
        self.ready = True
        return answer_of(found)

    async def line(self, seconds: float | None) -> Any:
        """Reads the process's next line; raises `Refusal` where it has ended, or none comes in so many seconds."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise Unavailable(f"it took longer than {seconds:g} s; try again, or send a shorter sound") from None
        except ValueError:
            raise Unavailable(f"the classifier's answer has more than {MAX_LINE} bytes") from None
        if not line:
            status = await self._process.wait()
            raise Unavailable(f"the process that classifies ended with status {status}; another one is started")
        return json.loads(line)

    async def end(self) -> None:
        """Ends it and what it has started. It may be called twice."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


def answer_of(line: dict[str, Any]) -> dict[str, Any]:
    """The answer in a line; raises its `JobError` where it has one."""
    if "error" in line:
        kind: type[JobError] = getattr(errors, line["kind"])
        raise kind(line["error"])
    found: dict[str, Any] = line["answer"]
    return found


def _begin() -> None:
    """In the new process: it ends with this one, and gives way to everything that plays."""
    end_with_parent()
    give_way()
