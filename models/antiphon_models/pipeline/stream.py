"""Sounds arriving in a folder and over MQTT: analysed, two at a time, through one bounded queue.

What does not fit in the queue stays in the folder, and is counted; by MQTT it is refused. Results are in a journal, so
that a run that is killed goes on where it was: a file's line is written once, and a file without one is analysed again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from antiphon.api import FileError
from antiphon.api.backends.files import printable_path
from antiphon.api.backends.runtime import shorten
from antiphon.api.backends.transports import WireError
from antiphon_library.identity import identify_and_analyse
from antiphon_models.pipeline.analysing import prediction
from antiphon_models.pipeline.arrivals import Arrival, FolderWatch, check_size
from antiphon_models.pipeline.journal import ResultJournal
from antiphon_models.pipeline.settings import WatchSettings
from antiphon_models.pipeline.shards import file_digest

CONCURRENCY = 2
POLL_SECONDS = 0.1
"""Polling interval of the folder in seconds; ten times the duration of a poll where that is more."""


@dataclass(slots=True)
class StreamCounts:
    """Counts of sounds by outcome.

    Attributes:
        bad: Without: they could not be read.
        lost: Answers that could not be published, as the broker was away too long; the journal has them.
    """

    analysed: int = 0
    bad: int = 0
    left: int = 0
    refused: int = 0
    lost: int = 0


class SoundSource(Protocol):
    """Source of sounds besides the folder."""

    async def run(self, stream: SoundStream) -> None:
        """Feeds sounds to the stream until it is cancelled."""

    async def flush(self) -> None:
        """Waits until its answers are sent, at most two seconds."""


class SoundStream:
    """Queue of sounds, with its producer and its workers.

    `settings`: settings of the table [watch]. `journal`: where results go. `clock`: seconds.
    """

    def __init__(
        self,
        settings: WatchSettings,
        names: Sequence[str],
        journal: ResultJournal,
        counts: StreamCounts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings, self.counts, self.clock = settings, counts, clock
        self._names, self._journal = tuple(names), journal
        self._queue: asyncio.Queue[Arrival] = asyncio.Queue(settings.queue)
        self._folder = FolderWatch(settings.path, journal.done)

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def offer(self, sound: Arrival) -> bool:
        """Enqueues a sound; False if the queue is full."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(sound)
            return True
        return False

    def look(self) -> None:
        """Polls the folder once."""
        self.counts.left = self._folder.look(self.clock(), self.offer)

    async def watch(self) -> None:
        """Polls the folder until it is cancelled."""
        while True:
            begun = time.monotonic()
            self.look()
            await asyncio.sleep(max(POLL_SECONDS, 10.0 * (time.monotonic() - begun)))

    async def work(self) -> None:
        """Analyses queued sounds until it is cancelled."""
        while True:
            sound = await self._queue.get()
            task = asyncio.ensure_future(asyncio.to_thread(self.result, sound))
            try:
                row = await asyncio.shield(task)
            except asyncio.CancelledError:  # a thread cannot be: what it has begun is kept
                self._keep(sound, await task)
                raise
            self._keep(sound, row)

    def _keep(self, sound: Arrival, row: dict[str, Any]) -> None:
        self._journal.put(row)
        if "reason" in row:
            self.counts.bad += 1
        else:
            self.counts.analysed += 1
        sound.answer(row)

    def result(self, sound: Arrival) -> dict[str, Any]:
        """Journal line of a sound: its prediction, or "reason" if it cannot be read.

        And "after", seconds since it had arrived, and "size" and "mtime" of a file in the folder.
        """
        where = {} if sound.mtime is None else {"size": sound.size, "mtime": sound.mtime}
        try:
            check_size(sound.size, self.settings.largest)
            digest = file_digest(sound.path)
            identity, _, results = identify_and_analyse(os.fsencode(sound.path), self._names)
        except (FileError, WireError) as error:  # a client knows no path of this machine
            said = {
                "name": sound.name,
                "reason": str(error).replace(printable_path(sound.path), printable_path(sound.name)),
            }
        except Exception as error:  # a fault of ours costs one sound, and not those that follow
            reason = shorten(" ".join(f"Antiphon failed at this: {type(error).__name__}: {error}".split()), 300)
            said = {"name": sound.name, "reason": reason}
        else:
            said = prediction(sound.name, digest, identity.duration, results)
        return {**said, "after": round(self.clock() - sound.begun, 3), **where}


async def run(stream: SoundStream, sources: Sequence[SoundSource]) -> None:
    """Runs until SIGINT or SIGTERM. Sounds under analysis are finished, queued ones are left to the next run.

    Raises `FileError`: the journal cannot be written.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    if hasattr(signal, "SIGIO"):
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # sent when a lease for reading is broken (`arrivals.is_written`)
    tasks = [asyncio.ensure_future(task) for task in (stream.watch(), *(stream.work() for _ in range(CONCURRENCY)))]
    others = [asyncio.ensure_future(source.run(stream)) for source in sources]
    end = asyncio.ensure_future(ended.wait())
    try:
        done, _ = await asyncio.wait([end, *tasks, *others], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {end}:
            task.result()
    finally:
        await _cancel(end, *tasks)
        await asyncio.gather(*(source.flush() for source in sources))
        await _cancel(*others)


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
