"""Process of one job: `antiphon run` or `antiphon render`, at a lower priority than audio.

Overviews of files are computed by such a process too.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from antiphon.kernel.runtime.processes.child_process import PROGRESS_VARIABLE
from antiphon.kernel.runtime.processes.helper_process import bound_command, end_session, environment, start_command

NICE = 10
"""Increment of the web process's nice value, which is above 0 already."""
MAX_OUTPUT = 16 * 1024
"""Maximum bytes kept of the command's output."""
TERM_SECONDS = 3.0
"""Seconds between SIGTERM, on which a command removes partial output, and SIGKILL."""
MAX_SECONDS = 6 * 3600.0
"""Maximum run time of a job in seconds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a command. `status`: its exit status, 0 for success. `printed`, `complaint`: its output and errors."""

    status: int
    printed: str
    complaint: str


async def perform(
    words: Sequence[str],
    progress: Callable[[float], None] = lambda share: None,
    module: str = "antiphon",
    most: int | None = None,
) -> Outcome:
    """Runs a command of Antiphon, or the `main` of another `module`, to its end.

    `progress` is called with the finished share. A file has at most `most` bytes: a small FLAC file may hold hours of
    silence. If the task is cancelled, the command is ended first.
    """
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    loop.add_reader(reading, _read, reading, progress)
    try:
        process = await start_command(
            bound_command(module, *words, nice=NICE, most=-1 if most is None else most),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(writing,),
            env=environment(**{PROGRESS_VARIABLE: str(writing)}),
        )
        os.close(writing)
        writing = -1
        try:
            async with asyncio.timeout(MAX_SECONDS):
                assert process.stdout is not None
                assert process.stderr is not None
                printed, complaint = await asyncio.gather(_text(process.stdout), _text(process.stderr))
                status = await process.wait()
        except TimeoutError:
            return Outcome(1, "", f"it took longer than {MAX_SECONDS / 3600:g} hours")
        finally:
            await asyncio.shield(end_session(process, TERM_SECONDS))
        return Outcome(status, printed, complaint)
    finally:
        loop.remove_reader(reading)
        os.close(reading)
        if writing >= 0:
            os.close(writing)


async def _text(stream: asyncio.StreamReader) -> str:
    """The last `MAX_OUTPUT` bytes of a stream."""
    kept = bytearray()
    while piece := await stream.read(4096):
        kept += piece
        del kept[:-MAX_OUTPUT]
    return kept.decode("utf-8", "replace").strip()


def _read(descriptor: int, progress: Callable[[float], None]) -> None:
    try:
        data = os.read(descriptor, 4096)
    except BlockingIOError:
        return
    if not data:
        # the command has closed its end
        asyncio.get_running_loop().remove_reader(descriptor)
        return
    lines = data.decode("ascii", "replace").split()
    with contextlib.suppress(ValueError, IndexError):
        progress(min(1.0, max(0.0, float(lines[-1]))))
