"""A module run as a program, to its end, while the event loop goes on."""

import asyncio
import os
import subprocess
from dataclasses import dataclass
from typing import IO

from antiphon.kernel.runtime.processes.children import ChildLane, ChildLimits, environment, readable, spawn
from antiphon.kernel.runtime.processes.helper_channel import PIECE

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
    """Runs a module as a program, with its words, to its end, while the event loop goes on.

    Of its output and errors the last `most` bytes are kept each. It ends with this process, and where the task is
    cancelled: by SIGTERM, after `more` seconds in addition to `TERM_SECONDS` by SIGKILL. Raises OSError: the system
    allows no process.
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
    """The last bytes of a pipe."""
    assert pipe is not None
    kept = bytearray()
    while await readable(pipe.fileno(), None) and (piece := os.read(pipe.fileno(), PIECE)):
        kept += piece
        del kept[:-most]
    return bytes(kept)
