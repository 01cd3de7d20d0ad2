"""The list of patches by OSC, read beside the event loop."""

import asyncio
from collections.abc import Mapping
from typing import cast

from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.commands.syncs import Syncs
from antiphon.kernel.control.osc.answers import reply_words
from antiphon.kernel.control.osc.arguments import OscCall, osc
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.errors import EngineBusy
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.operations import patch_list as patches

MAX_WAITING = 100
"""Maximum queries waiting for the next list; a further one is refused."""
NAME = "patch_lists"
"""Name of what this module adds, among what has joined control."""


class PatchQueries:
    """Open queries. Queries that arrive while a list is read share the next one, which includes the latest changes."""

    def __init__(self, replies: Replies, syncs: Syncs) -> None:
        """Begins without queries; answers go by `replies`, and a sender's `/synced` comes after them."""
        self._replies, self._syncs = replies, syncs
        self._waiting: list[Peer] = []
        self._answering: list[Peer] = []
        syncs.busy.append(lambda peer: any(one.key == peer.key for one in (*self._waiting, *self._answering)))
        self._reading: asyncio.Task[None] | None = None

    def ask(self, peer: Peer) -> None:
        """Answers `/patch/list.reply s:name…` to the sender, later."""
        if len(self._waiting) >= MAX_WAITING:
            raise EngineBusy(f"{MAX_WAITING} wait for the list of patches already; wait for the answer")
        self._waiting.append(peer)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        while self._waiting:
            self._answering, self._waiting = self._waiting, []
            try:
                names = await asyncio.to_thread(patches.names)
                for peer in self._answering:
                    reply_words(self._replies, peer, "/patch/list.reply", names)
            except OSError as error:
                for peer in self._answering:
                    self._replies.fail(peer, "/patch/list", f"the patches cannot be read: {error.strerror}")
            finally:
                self._answering = []
                self._syncs.release()
                self._replies.send()


@osc("/patch/list", once=True)
def patch_list(ask: OscCall) -> None:
    """Answers `/patch/list.reply s:name…`; where that is more than a datagram, or by TCP 128 KiB, `/remark` says so."""
    cast(PatchQueries, ask.server.joined[NAME]).ask(ask.peer)


def join(app: ControlApp, settings: ServeSettings, fds: Mapping[str, int]) -> None:
    """Has control list patches; as of `Companions.control`."""
    app.joined[NAME] = PatchQueries(app.replies, app.syncs)
    app.directory.add((patch_list,))
    asyncio.get_running_loop().run_in_executor(None, patches.entries)  # reads the files once, beside the loop
