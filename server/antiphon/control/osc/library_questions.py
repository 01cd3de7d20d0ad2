"""`/library/next`: what comes next, worked out in a thread, for a catalogue is on a disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

from antiphon.control.subscribers.replies import Replies
from antiphon.errors import AntiphonError, EngineBusy, UsageError
from antiphon.io.osc_peer import Peer
from antiphon.runtime import paths
from antiphon.wire.osc import encode

AT_ONCE = 4
"""Questions that are worked on or wait for it; a further one is refused."""
REPLY_BYTES = 8000
"""Of an answer, in one datagram; further tracks are left out."""


class LibraryQuestions:
    """The questions that are open."""

    def __init__(self, replies: Replies) -> None:
        """None yet; `replies` takes the sentences of those that fail."""
        self._replies = replies
        self._open: set[asyncio.Task[None]] = set()
        self._one = asyncio.Lock()

    def ask(self, peer: Peer, address: str, count: int, given: tuple[tuple[str, str], ...]) -> None:
        """Answers `ADDRESS.reply s:path…` to the sender, later.

        `given`: (kind, path), kind like, skip, dislike or after.

        Raises:
            EngineBusy: Too many are open.
        """
        if len(self._open) >= AT_ONCE:
            raise EngineBusy(f"{AT_ONCE} such questions are open already; wait for the answer")
        task = asyncio.get_running_loop().create_task(self._answer(peer, address, count, given))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _answer(self, peer: Peer, address: str, count: int, given: tuple[tuple[str, str], ...]) -> None:
        try:
            async with self._one:
                found = await asyncio.to_thread(next_paths, paths.library(), count, given)
            peer.send(encode(f"{address}.reply", *found))
        except AntiphonError as error:
            self._replies.fail(peer, address, str(error))
            self._replies.send()


def next_paths(root: Path, count: int, given: tuple[tuple[str, str], ...]) -> list[str]:
    """The paths of the next tracks, as many as fit into an answer; stores the signals that are given."""
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
    fit = []
    for path in found:
        size += len(path.encode()) + 8
        if size > REPLY_BYTES:
            break
        fit.append(path)
    return fit
