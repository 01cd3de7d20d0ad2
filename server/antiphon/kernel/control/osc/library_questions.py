"""`/library/next` and `/library/fits`, computed in a thread and in a process: a catalogue is on a disk."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path

from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.errors import AntiphonError, EngineBusy, RequestError, UsageError
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.child_process import end_with_parent
from antiphon.kernel.runtime.helper_process import command
from antiphon.kernel.runtime.helper_task import end_session, start_command
from antiphon.kernel.wire.osc import Arg, encode

AT_ONCE = 4
"""Maximum open queries; a further one is refused."""
REPLY_BYTES = 8000
"""Maximum bytes of an answer, in one datagram; further tracks are left out."""
BARS = (4, 2, 1)
"""Numbers of last bars compared with loops, longest first: the longest that is still buffered."""
PATIENCE = 60.0
"""Timeout of a comparison in seconds."""
Cut = Callable[[str, int, Callable[[str, str], None]], None]
"""Writes the last bars to a path; then calls its callback with the path, and the error or ""."""
Work = Callable[[], Coroutine[None, None, list[Arg]]]
"""Coroutine factory of an answer, called when its turn comes: a server that ends before leaves nothing half done."""


class LibraryQuestions:
    """Pending queries to the library."""

    def __init__(self, replies: Replies) -> None:
        """No pending queries; errors go to `replies`."""
        self._replies = replies
        self._open: set[asyncio.Task[None]] = set()
        self._one = asyncio.Lock()

    def ask(self, peer: Peer, address: str, count: int, given: tuple[tuple[str, str], ...]) -> None:
        """Answers `ADDRESS.reply s:path…` to the sender, later.

        `given`: (kind, path), kind like, skip, dislike or after.

        Raises:
            EngineBusy: Too many are open.
        """
        self._begin(peer, address, partial(asyncio.to_thread, next_paths, paths.library(), count, given))

    def ask_fitting(self, peer: Peer, address: str, count: int, bar: int, cut: Cut) -> None:
        """Answers `ADDRESS.reply s:path f:score s:why…` to the sender, later: tracks that fit the sound of `cut`.

        `bar`: beats of a bar.

        Raises:
            EngineBusy: Too many are open.
        """
        self._begin(peer, address, partial(_fitting, count, bar, cut))

    def _begin(self, peer: Peer, address: str, work: Work) -> None:
        if len(self._open) >= AT_ONCE:
            raise EngineBusy(f"{AT_ONCE} such questions are open already; wait for the answer")
        task = asyncio.get_running_loop().create_task(self._answer(peer, address, work))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _answer(self, peer: Peer, address: str, work: Work) -> None:
        try:
            async with self._one:
                found = await work()
            peer.send(encode(f"{address}.reply", *found))
        except AntiphonError as error:
            self._replies.fail(peer, address, str(error))
            self._replies.send()


def _settle(written: asyncio.Future[str], _path: str, why: str) -> None:
    if not written.done():
        written.set_result(why)


async def _fitting(count: int, bar: int, cut: Cut) -> list[Arg]:
    """Loops that fit the bars written by `cut` best: path, score and reasons of each, up to one answer's size."""
    folder = paths.make_folder(paths.library() / "captures", paths.PRIVATE_FOLDER)
    path = folder / f".fits-{os.urandom(4).hex()}.wav"
    try:
        for bars in BARS:
            written: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            cut(str(path), bars, partial(_settle, written))
            async with asyncio.timeout(PATIENCE):
                why = await written
            if not why:
                break
        if why:
            raise RequestError(why)
        words = ("library", "fits", str(path), "--beats", str(bars * bar), "-n", str(count), "--json")
        process = await start_command(
            command("antiphon", *words), stdin=DEVNULL, stdout=PIPE, stderr=PIPE, preexec_fn=end_with_parent
        )
        try:
            async with asyncio.timeout(PATIENCE):
                found, problem = await process.communicate()
        finally:
            await end_session(process, 0.0)
    except TimeoutError:
        raise RequestError("it took too long; try again") from None
    finally:
        path.unlink(missing_ok=True)
    if process.returncode:
        said = problem.decode(errors="replace").strip().removeprefix("antiphon: ").replace(path.name, "what sounds")
        raise RequestError(said or "it failed")
    reply: list[Arg] = []
    size = 0
    for match in json.loads(found)["matches"]:
        row = (str(match["path"]), float(match["score"]), ", ".join(match["why"]))
        size += len(row[0].encode()) + len(row[2]) + 24
        if size > REPLY_BYTES:
            break
        reply += row
    return reply


def next_paths(root: Path, count: int, given: tuple[tuple[str, str], ...]) -> list[Arg]:
    """Paths of the next tracks, up to an answer's size; stores the given feedback signals."""
    from antiphon.library.catalogue import Catalogue
    from antiphon.library.schema import FILE
    from antiphon.library.taste.choosing_request import next_summaries, request_of

    if not (root / FILE).is_file():
        raise UsageError("the library is empty; `antiphon library add FOLDER` adds sound files")
    body: dict[str, object] = {"count": count}
    for kind, path in given:
        if kind == "after":
            body["after"] = path
        else:
            files = body.setdefault(kind, [])
            assert isinstance(files, list)
            files.append(path)
    with Catalogue(root) as catalogue:
        found = [str(match["path"]) for match in next_summaries(catalogue, request_of(catalogue, body))]
    size = 0
    fit: list[Arg] = []
    for path in found:
        size += len(path.encode()) + 8
        if size > REPLY_BYTES:
            break
        fit.append(path)
    return fit
