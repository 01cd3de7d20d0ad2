"""`/library/fits`, executed in a process, since a catalogue is on disk."""

import asyncio
import json
import os
from pathlib import Path

from antiphon.api import UsageError
from antiphon.api.backends.files import PRIVATE_FOLDER, library_folder, make_folder
from antiphon.api.backends.runtime import OscForm, run_program
from antiphon.api.backends.transports import AddressList, Arg, OscRequest, RequestError

BARS = (4, 2, 1)
"""Number of last bars compared with loops: the capture's length."""
TIMEOUT_SECONDS = 60.0
"""Timeout in seconds of a comparison."""
MAX_TRACKS = 50


FITS = (
    "The library's loops that go best with the last four bars of a node, else of the output; two or one where no more "
    "are kept. Answers `/library/fits.reply s:path f:score s:why …`, the best first."
)


def add_to(osc: AddressList) -> None:
    """Adds the address, whose questions are answered one after the other."""
    one = asyncio.Lock()

    async def fitting(request: OscRequest) -> None:
        asked: list[Arg] = [*request.args, *(10, "out")[len(request.args) :]]
        count, node = asked
        _checked(count)
        path = make_folder(library_folder() / "captures", PRIVATE_FOLDER) / f".fits-{os.urandom(4).hex()}.wav"
        try:
            async with one, asyncio.timeout(2 * TIMEOUT_SECONDS):
                beats = await _captured(request, path, str(node))
                found = await _asked("fits", str(path), "--beats", str(beats), "-n", str(count), "--json")
        except TimeoutError:
            raise RequestError("it took too long; try again") from None
        except UsageError as error:
            if not str(error).startswith(path.name):
                raise RequestError(str(error)) from None
            raise RequestError("nothing with a beat sounds; let something play for four bars, and ask again") from None
        finally:
            path.unlink(missing_ok=True)
        rows = ((str(row["path"]), float(row["score"]), ", ".join(row["why"])) for row in json.loads(found)["matches"])
        request.reply("/library/fits.reply", *OscForm.within(rows))

    osc.add("/library/fits", "[i:count] [s:node]", fitting, FITS)


def _checked(count: object) -> int:
    if not isinstance(count, int) or not 1 <= count <= MAX_TRACKS:
        raise RequestError(f"count takes 1 to {MAX_TRACKS}, not {count}")
    return count


async def _captured(request: OscRequest, path: Path, node: str) -> int:
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
