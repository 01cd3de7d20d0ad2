"""Answers to notes with unknown words: silent in the engine, reported as a sentence here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.session.play import silent, stands_in, substituted, unknown_words
from antiphon.kernel.wire.osc import encode

AGAIN_SECONDS = 10.0
"""Seconds between two answers about one word of one node: a pattern repeats it many times a second."""
MOST = 256
"""Maximum words whose last answer is remembered; the oldest is dropped first."""


class UnknownWords:
    """Reports unknown words, each at most once in `AGAIN_SECONDS`, and what others stand in for, once to a peer."""

    def __init__(self, replies: Replies, now: Callable[[], float] = monotonic) -> None:
        self._replies, self._now = replies, now
        self._answered: dict[tuple[int, str, str], float] = {}
        self._remarked: set[tuple[object, int, str]] = set()

    def answer(self, peer: Peer, address: str, node: Node, args: Sequence[object]) -> None:
        """Answers the sender of a note whose values (alternating names and values) contain unknown words."""
        for name, word, known in unknown_words(node.vocabulary, args):
            if self._due((node.id, name, word)):
                # a library's content is private to the owner, as file names are
                more = instead(word, known) if peer.level is Level.OWNER else ""
                self._replies.fail(peer, address, f"{silent(node.name, name, word)}{more}")
        for word, known in substituted(node.vocabulary, args):
            if peer.level is Level.OWNER and (peer.key, node.id, word) not in self._remarked:
                if len(self._remarked) >= MOST:
                    self._remarked.clear()
                self._remarked.add((peer.key, node.id, word))
                self._replies.reply(peer, encode("/remark", address, stands_in(node.name, word, known)))

    def _due(self, key: tuple[int, str, str]) -> bool:
        now = self._now()
        if now - self._answered.get(key, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return False
        self._answered.pop(key, None)
        while len(self._answered) >= MOST:
            del self._answered[next(iter(self._answered))]
        self._answered[key] = now
        return True
