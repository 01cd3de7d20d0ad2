"""A module run as a program, to its end, while the event loop goes on; a job is one at a lower priority than audio.

Overviews of files are computed by such a process too.
"""

import asyncio
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from antiphon.kernel.runtime.processes.child_process import PROGRESS_VARIABLE
from antiphon.kernel.runtime.processes.children import ChildLane, ChildLimits, environment, readable, spawn
from antiphon.kernel.runtime.processes.helper_channel import PIECE
from antiphon.kernel.runtime.terms import VARIABLE as TERMS_VARIABLE

# ---- A module run as a program, to its end, while the event loop goes on

NO_LIMITS = ChildLimits()


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """Result of a command. `status`: its exit status, 0 for success. `printed`, `complaint`: its output and errors."""

    status: int
    printed: str
    complaint: str


async def run_program(
    *words: str,
    limits: ChildLimits = NO_LIMITS,
    most: int = 1 << 24,
    more: float = 0.0,
    fds: tuple[int, ...] = (),
    **variables: str,
) -> CommandEnd:
    """Runs a module as a program, with arguments, to its end, while the event loop continues.

    The last `most` bytes of its output and of its errors are kept. It ends with this process. If the task is cancelled,
    it is ended by SIGTERM, and by SIGKILL `more` seconds after `TERM_SECONDS`. Raises OSError: the system allows no
    process.
    """
    pipe = subprocess.PIPE
    lane = ChildLane(output=pipe, errors=pipe, fds=fds)
    child = spawn(*words, limits=limits, lane=lane, env=environment(**variables))
    try:
        printed, complaint = await asyncio.gather(_last(child.output, most), _last(child.errors, most))
        await asyncio.to_thread(child.wait)  # it has closed both
    finally:
        await asyncio.shield(asyncio.to_thread(child.end, more))
    return CommandEnd(child.status or 0, *(text.decode("utf-8", "replace").strip() for text in (printed, complaint)))


async def _last(pipe: IO[bytes] | None, most: int) -> bytes:
    """Returns the last bytes of a pipe."""
    assert pipe is not None
    kept = bytearray()
    while await readable(pipe.fileno(), None) and (piece := os.read(pipe.fileno(), PIECE)):
        kept += piece
        del kept[:-most]
    return bytes(kept)


# ---- Process of one job: `antiphon run` or `antiphon render`, at a lower priority than audio

NICE = 10
"""Increment of the web process's nice value, which is above 0 already."""
MAX_OUTPUT = 16 * 1024
"""Maximum bytes kept of the command's output."""
MAX_STAGE = 40
"""Maximum characters of a command's stage text."""
MAX_SECONDS = 6 * 3600.0
"""Maximum run time of a job in seconds."""


async def perform(
    words: Sequence[str],
    progress: Callable[[float, str], None] = lambda share, stage: None,
    module: str = "antiphon.cli.files.direct",
    most: int | None = None,
    nice: int = NICE,
) -> CommandEnd:
    """Runs the `main` of a module, by default that of a job, to its end.

    `progress` is called with the finished fraction, or with the current stage while the fraction is unknown. A file has
    at most `most` bytes: a small FLAC file may hold hours of silence. Cancelling the task ends the command first.
    """
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    loop.add_reader(reading, _read, reading, progress)
    try:
        limits = ChildLimits(nice=nice, file=-1 if most is None else most)
        variables = {PROGRESS_VARIABLE: str(writing), TERMS_VARIABLE: "web"}
        running = run_program(module, *words, limits=limits, most=MAX_OUTPUT, fds=(writing,), more=1.0, **variables)
        async with asyncio.timeout(MAX_SECONDS):
            return await running
    except TimeoutError:
        return CommandEnd(1, "", f"it took longer than {MAX_SECONDS / 3600:g} hours")
    finally:
        loop.remove_reader(reading)
        os.close(reading)
        os.close(writing)


def _read(descriptor: int, progress: Callable[[float, str], None]) -> None:
    try:
        data = os.read(descriptor, 4096)
    except BlockingIOError:
        return
    told = data.decode("ascii", "replace").strip().rpartition("\n")[2]
    try:
        progress(min(1.0, max(0.0, float(told))), "")
    except ValueError:
        progress(0.0, told[:MAX_STAGE])
