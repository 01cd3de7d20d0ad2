"""Streaming classification: one process each, with the sound as its input."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.backends.http import Refusal
from antiphon.api.backends.transports import WireError
from antiphon_classify.http.pool import ANSWER_SECONDS, ClassifierProcess, answer_of, too_many

MAX_STREAMS = 4


@dataclass(slots=True)
class ClassifierStreams:
    """Streams being classified.

    `count`: present streams; `refused`: streams refused because of too many.
    """

    count: int = 0
    refused: int = 0

    async def begin(self, name: str, every: float, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Classifies a stream: an answer for each `every` seconds of sound, as a line of JSON.

        After a failure in the middle, the last line is {"error": "…"}. Raises AntiphonError: before the first answer,
        as `ClassifierPool.receive`.
        """
        if self.count >= MAX_STREAMS:
            self.refused += 1
            raise too_many(f"{MAX_STREAMS} streams are classified already; try again", 30)
        self.count += 1
        lines = self._lines(name, every, pieces)
        first = await anext(lines)

        async def all_lines() -> AsyncIterator[bytes]:
            try:
                yield _line(first)
                async for found in lines:
                    yield _line(found)
            except AntiphonError as error:
                yield _line({"error": str(error)})
            finally:
                await lines.aclose()

        return all_lines()

    async def _lines(
        self, name: str, every: float, pieces: AsyncIterator[bytes]
    ) -> AsyncGenerator[dict[str, Any], None]:
        feeding: asyncio.Task[None] | None = None
        process: ClassifierProcess | None = None
        try:
            process = await ClassifierProcess.start(name, str(every))
            feeding = asyncio.get_running_loop().create_task(_feed(process, pieces))
            last = False
            while not last:
                found = await _next(process, feeding)
                last = "duration" in found
                yield found
        finally:
            if process is not None:
                await process.end()
            if feeding is not None:
                feeding.cancel()
                with contextlib.suppress(BaseException):
                    await feeding
            self.count -= 1


async def _feed(process: ClassifierProcess, pieces: AsyncIterator[bytes]) -> None:
    begun = False
    async for piece in pieces:
        if not begun and piece.startswith(b"fLaC"):
            raise Refusal(415, "flac is no format of a stream; send wav, ogg or mp3, or ask for application/json")
        begun = True
        process.input.write(piece)
        await process.input.drain()
    if not begun:
        raise WireError("the body is empty; send the bytes of a sound file")
    process.input.close()


async def _next(process: ClassifierProcess, feeding: asyncio.Task[None]) -> dict[str, Any]:
    """The next answer; raises the exception that ended the input."""
    answer = asyncio.get_running_loop().create_task(process.receive(None))
    try:
        await asyncio.wait({answer, feeding}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            with contextlib.suppress(OSError):  # it reads no more, and says why in its answer
                feeding.result()
            await asyncio.wait({answer}, timeout=ANSWER_SECONDS)
        if not answer.done():
            raise Refusal(503, f"the classifier did not answer within {ANSWER_SECONDS:g} s")
        return answer_of(answer.result())
    finally:
        answer.cancel()


def _line(found: dict[str, Any]) -> bytes:
    return json.dumps(found).encode() + b"\n"
