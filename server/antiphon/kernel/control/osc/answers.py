"""Delayed answers on unknown words of notes, and answers of many words."""

from collections.abc import Callable, Sequence
from time import monotonic

from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.runtime.sound_packs import in_pack
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.session.play import beyond_range_message, find_substituted_words, silent, stands_in, unknown_words
from antiphon.kernel.wire.osc import MAX_ARGS, MAX_DATAGRAM, encode

MAX_LIST = 128 << 10
"""Maximum bytes of a list by TCP."""


def reply_words(replies: Replies, peer: Peer, address: str, words: Sequence[str]) -> None:
    """Answers with a message of words; of those beyond a datagram, or `MAX_LIST` by TCP, `/remark` gives the number."""
    left, most = MAX_DATAGRAM if peer.udp is not None else MAX_LIST, 0
    tags = len(encode(address)) + 8
    for word in words[:MAX_ARGS]:
        left -= len(encode("/", word)) - 8 + 1  # without the address and tags of this message, with its tag
        if left < tags:
            break
        most += 1
    replies.reply(peer, encode(address, *words[:most]))
    if most < len(words):
        by = ", which a datagram holds; ask by TCP" if peer.udp is not None else ""
        asked = address.removesuffix(".reply")
        replies.reply(peer, encode("/remark", asked, f"these are the first {most} of {len(words)}{by}"))


RETRY_SECONDS = 10.0
"""Seconds between two answers about one word of one node: a pattern repeats it many times a second."""
MAX_REMEMBERED_WORDS = 256
"""Maximum words whose last answer is remembered; the oldest is dropped first."""


class UnknownWords:
    """Tells senders of unknown words, each at most once in `RETRY_SECONDS`. The owner, once per connection, is also
    told of words that others replace, and of values beyond their ranges.
    """

    def __init__(self, replies: Replies, now: Callable[[], float] = monotonic) -> None:
        self._replies, self._now = replies, now
        self._answered: dict[tuple[int, str, str], float] = {}
        self._remarked: set[tuple[object, int, str]] = set()

    def answer(self, peer: Peer, address: str, node: Node, args: Sequence[object], past: Sequence[str] = ()) -> None:
        """Answers the sender of a note whose values (alternating names and values) contain unknown words.

        `past`: names of values that were beyond their ranges.
        """
        for name, word, known in unknown_words(node.vocabulary, args):
            if self._due((node.id, name, word)):
                # a library's content is private to the owner, as file names are
                more = in_pack(name, word) or instead(word, known) if peer.level is Level.OWNER else ""
                note = not address.endswith(f"/{name}")
                self._replies.fail(peer, address, f"{silent(node.name, name, word, note=note)}{more}")
        if peer.level is not Level.OWNER:
            return
        for word, known in find_substituted_words(node.vocabulary, args):
            self._send_remark_once(peer, address, (peer.key, node.id, word), stands_in(node.name, word, known))
        for name in past:
            self._send_remark_once(
                peer, address, (peer.key, node.id, name), beyond_range_message(node.name, node.info.params, name)
            )

    def _send_remark_once(self, peer: Peer, address: str, key: tuple[object, int, str], sentence: str) -> None:
        if key in self._remarked:
            return
        if len(self._remarked) >= MAX_REMEMBERED_WORDS:
            self._remarked.clear()
        self._remarked.add(key)
        self._replies.reply(peer, encode("/remark", address, sentence))

    def _due(self, key: tuple[int, str, str]) -> bool:
        now = self._now()
        if now - self._answered.get(key, -RETRY_SECONDS) < RETRY_SECONDS:
            return False
        self._answered.pop(key, None)
        while len(self._answered) >= MAX_REMEMBERED_WORDS:
            del self._answered[next(iter(self._answered))]
        self._answered[key] = now
        return True
