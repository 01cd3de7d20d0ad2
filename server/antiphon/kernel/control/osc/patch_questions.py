"""`/patch/list`, read and encoded in a thread: with thousands of patches either takes longer than a turn may."""

from __future__ import annotations

import asyncio

from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.errors import EngineBusy
from antiphon.kernel.graph import patch_list
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.wire.osc import MAX_DATAGRAM, encode

MOST_WAITING = 100
"""Maximum queries waiting for the next list; a further one is refused."""


class PatchQuestions:
    """Open queries. Those that arrive while a list is read share the next one, which includes their changes."""

    def __init__(self, replies: Replies) -> None:
        """No open queries; answers go by `replies`."""
        self._replies = replies
        self._waiting: list[Peer] = []
        self._reading: asyncio.Task[None] | None = None

    def ask(self, peer: Peer) -> None:
        """Answers `/patch/list.reply s:name…` to the sender, later."""
        if len(self._waiting) >= MOST_WAITING:
            raise EngineBusy(f"{MOST_WAITING} wait for the list of patches already; wait for the answer")
        self._waiting.append(peer)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        while self._waiting:
            peers, self._waiting = self._waiting, []
            packet = await asyncio.to_thread(_listed)
            for peer in peers:
                self._replies.reply(peer, packet)
            self._replies.send()


def _listed() -> bytes:
    return words_packet("/patch/list.reply", patch_list.names())


def words_packet(address: str, words: list[str]) -> bytes:
    """Message of words, cut to fit into a datagram."""
    packet = encode(address, *words)
    while len(packet) > MAX_DATAGRAM:
        words = words[: len(words) * 3 // 4]
        packet = encode(address, *words)
    return packet
