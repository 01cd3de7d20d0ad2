"""`/library/fits`, executed in a process, since a catalogue is on disk."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from antiphon.api import UsageError
from antiphon.api.backends.files import PRIVATE_FOLDER, library_folder, make_folder
from antiphon.api.backends.runtime import run_program
from antiphon.api.backends.transports import OscRequest, RequestError

BARS = (4, 2, 1)
"""Number of last bars compared with loops: the capture's length."""
TIMEOUT_SECONDS = 60.0
"""Timeout in seconds of a comparison."""
MAX_TRACKS = 50


async def fits_in_a_process(request: OscRequest, given: Mapping[str, Any]) -> Any:
    """Finds loops that fit the last bars of a node, in a separate process that analyses the bars.

    Raises RequestError: the captured bars have no beat, or there is no such node.
    """
    count, node = given.get("count", 10), str(given.get("node", "out"))
    if not isinstance(count, int) or not 1 <= count <= MAX_TRACKS:
        raise RequestError(f"count takes 1 to {MAX_TRACKS}, not {count}")
    path = make_folder(library_folder() / "captures", PRIVATE_FOLDER) / f".fits-{os.urandom(4).hex()}.wav"
    try:
        async with asyncio.timeout(2 * TIMEOUT_SECONDS):
            beats = await _write_captured_bars(request, path, node)
            found = await _asked("fits", str(path), "--beats", str(beats), "-n", str(count), "--json")
    except TimeoutError:
        raise RequestError("it took too long; try again") from None
    except UsageError as error:
        if not str(error).startswith(path.name):
            raise RequestError(str(error)) from None
        raise RequestError("nothing with a beat sounds; let something play for four bars, and ask again") from None
    finally:
        path.unlink(missing_ok=True)
    return SimpleNamespace(**json.loads(found))


async def _write_captured_bars(request: OscRequest, path: Path, node: str) -> int:
    """Writes the captured last bars of a node; returns their beats."""
    for bars in BARS:
        try:
            return await request.server.capture(path, node, bars)
        except RequestError as error:
            refused = error
    raise refused


async def _asked(*words: str) -> str:
    """Output of `antiphon library`; `UsageError` with its reason on failure."""
    done = await run_program("antiphon", "library", *words)
    if done.status:
        raise UsageError(done.complaint.removeprefix("antiphon: ") or "it failed")
    return done.printed
