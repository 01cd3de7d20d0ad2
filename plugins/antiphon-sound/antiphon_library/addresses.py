"""`/library/next` and `/library/fits`, executed in a thread and in a process, since a catalogue is on disk."""

import asyncio
import json
import os
from collections.abc import Iterable
from pathlib import Path

from antiphon.api import UsageError
from antiphon.api.backends.files import PRIVATE_FOLDER, library_folder, make_folder
from antiphon.api.backends.runtime import run_program
from antiphon.api.backends.transports import AddressList, Arg, OscRequest, RequestError

MAX_REPLY_BYTES = 8000
"""Maximum bytes of a reply, in one datagram; further tracks are dropped."""
BARS = (4, 2, 1)
"""Number of last bars compared with loops: the capture's length."""
TIMEOUT_SECONDS = 60.0
"""Timeout in seconds of a comparison."""
MAX_TRACKS, MAX_SIGNALS = 50, 20
KINDS = ("like", "skip", "dislike", "after")


class Questions:
    """Handlers of queries, executed sequentially."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    def add_to(self, osc: AddressList) -> None:
        """Registers the addresses."""
        osc.add(
            "/library/next",
            "[i:count] [s:signal]…",
            self.following,
            "Suggests the library's tracks that may come next. Signals, each a kind (like, skip, dislike, or after "
            "for the track that plays) and a path, are stored first. Answers `/library/next.reply s:path…`.",
        )
        osc.add(
            "/library/fits",
            "[i:count] [s:node]",
            self.fitting,
            "The library's loops that go best with the last four bars of a node, else of the output; two or one where "
            "no more are kept. Answers `/library/fits.reply s:path f:score s:why …`, the best first.",
        )

    async def following(self, request: OscRequest) -> None:
        """Answers `/library/next.reply s:path…`."""
        count, given = (request.args or (1,))[0], request.args[1:]
        signals = list(zip(given[::2], given[1::2], strict=False))
        if len(given) > 2 * MAX_SIGNALS:
            raise RequestError(f"takes {MAX_SIGNALS} signals at most")
        for kind in given[::2]:
            if kind not in KINDS:
                raise RequestError(f"kind is {', '.join(KINDS[:-1])} or {KINDS[-1]}, not {str(kind)[:40]!r}")
        if len(given) % 2:
            raise RequestError("path is missing")
        async with self._one:
            found = await asyncio.to_thread(next_paths, library_folder(), _checked(count), signals)
        request.reply("/library/next.reply", *_limit_to_datagram((path,) for path in found))

    async def fitting(self, request: OscRequest) -> None:
        """Answers `/library/fits.reply s:path f:score s:why…`: loops compatible with the last bars of a node."""
        asked: list[Arg] = [*request.args, *(10, "out")[len(request.args) :]]
        count, node = asked
        _checked(count)
        path = make_folder(library_folder() / "captures", PRIVATE_FOLDER) / f".fits-{os.urandom(4).hex()}.wav"
        try:
            async with self._one, asyncio.timeout(2 * TIMEOUT_SECONDS):
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
        request.reply("/library/fits.reply", *_limit_to_datagram(rows))


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


def _limit_to_datagram(rows: Iterable[tuple[Arg, ...]]) -> list[Arg]:
    """Rows as arguments, as far as they fit into one datagram."""
    reply: list[Arg] = []
    size = 0
    for row in rows:
        size += sum(len(item.encode()) + 8 if isinstance(item, str) else 8 for item in row)
        if size > MAX_REPLY_BYTES:
            break
        reply += row
    return reply


def next_paths(root: Path, count: int, given: Iterable[tuple[Arg, Arg]]) -> list[str]:
    """Paths of the recommended tracks; stores the signals, (kind, path) each."""
    from antiphon_library.catalogue import Catalogue
    from antiphon_library.taste.choosing import next_summaries, request_of

    body: dict[str, object] = {"count": count}
    for kind, path in given:
        body[str(kind)] = path if kind == "after" else [*body.get(str(kind), ()), path]  # type: ignore[misc]
    with Catalogue(root, make=len(body) > 1) as catalogue:
        return [str(match["path"]) for match in next_summaries(catalogue, request_of(catalogue, body))]
