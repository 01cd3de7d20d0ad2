"""Delayed answers about notes and queries: unknown words, unplayed notes, patches."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

from antiphon.kernel.control.commands.executor import EngineClock
from antiphon.kernel.control.subscribers.clients import Surfaces
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import EngineBusy
from antiphon.kernel.graph import patch_list
from antiphon.kernel.graph.clock import swung
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session.actions import EngineEffect, NodeControl, NodeNoteOff, NodeNoteOn
from antiphon.kernel.session.commands import Beat, Sample, When
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.session.play import (
    BEGIN,
    beyond_range,
    note_params,
    silent,
    stands_in,
    substituted,
    unknown_words,
)
from antiphon.kernel.session.schedule import due_beat
from antiphon.kernel.wire.osc import MAX_DATAGRAM, Double, encode

ADDRESS = "/note/event"
DISPLAYED_NOTE_BEATS = 0.125
"""Displayed length in beats of a `/node/NAME/play` note, which has no end of its own where its values are declared."""


class NoteWatch:
    """Sends `/note/event d:beat i:note i:velocity i:channel s:node`, velocity 0 for a note's end."""

    def __init__(
        self, link: RemoteEngine, clock: EngineClock, state: GraphState, surfaces: Surfaces, feedback: Feedback
    ) -> None:
        """Starts disabled; `set` enables a subscriber."""
        self._link, self._clock, self._state = link, clock, state
        self._surfaces, self._feedback = surfaces, feedback
        self._brief: set[int] = set()
        self.watched = False  # whether a subscriber asks for notes; `follow` renews it

    def set(self, peer: Peer, *, on: bool) -> None:
        """Enables or disables note events for a subscriber; `RequestError` for any other peer."""
        self._surfaces.subscribed(peer).notes = on
        self.follow()

    def follow(self) -> None:
        """Updates the need for note events; called in every tick, since subscriptions expire by themselves."""
        self.watched = any(surface.notes for surface in self._surfaces)

    def effect(self, effect: EngineEffect) -> None:
        """Handles an effect: reports its notes."""
        if not self.watched:
            return
        match effect:
            case NodeControl(node, number) if number == BEGIN:
                # the controller of `/node/NAME/play` before its note; one with values by name has a note-off
                known = self._state.by_id.get(node)
                if known is not None and note_params(known.info.params):
                    self._brief.add(node)
            case NodeNoteOn(node, note, velocity, channel):
                beat = self._beat(effect.when)
                self._send(beat, note, max(1, min(127, round(127.0 * velocity))), channel, node)
                if node in self._brief:
                    self._brief.discard(node)
                    self._send(beat + DISPLAYED_NOTE_BEATS, note, 0, channel, node)
            case NodeNoteOff(node, note, channel):
                self._send(self._beat(effect.when), note, 0, channel, node)

    def _beat(self, when: When) -> float:
        match when:
            case Beat():
                return swung(due_beat(when), *self._state.swing)
            case Sample(sample):
                return self._link.beat_at(sample)
        return self._clock.moment().beat

    def _send(self, beat: float, note: int, velocity: int, channel: int, node: int) -> None:
        known = self._state.by_id.get(node)
        if known is not None:
            self._feedback.note(encode(ADDRESS, Double(beat), note, velocity, channel, known.name))


MAX_WAITING = 100
"""Maximum queries waiting for the next list; a further one is refused."""


class PatchQuestions:
    """Open queries. Those that arrive while a list is read share the next one, which includes their changes."""

    def __init__(self, replies: Replies) -> None:
        """Begins without queries; answers go by `replies`."""
        self._replies = replies
        self._waiting: list[Peer] = []
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
            peers, self._waiting = self._waiting, []
            packet = await asyncio.to_thread(lambda: words_packet("/patch/list.reply", patch_list.names()))
            for peer in peers:
                self._replies.reply(peer, packet)
            self._replies.send()


def words_packet(address: str, words: list[str]) -> bytes:
    """Message of words, cut to fit into a datagram."""
    packet = encode(address, *words)
    while len(packet) > MAX_DATAGRAM:
        words = words[: len(words) * 3 // 4]
        packet = encode(address, *words)
    return packet


RETRY_SECONDS = 10.0
"""Seconds between two answers about one word of one node: a pattern repeats it many times a second."""
MAX_REMEMBERED_WORDS = 256
"""Maximum words whose last answer is remembered; the oldest is dropped first."""


class UnknownWords:
    """Reports unknown words, each at most once in `RETRY_SECONDS`; to the owner, once to a peer, what others stand in
    for, and values beyond their ranges."""

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
                more = instead(word, known) if peer.level is Level.OWNER else ""
                self._replies.fail(peer, address, f"{silent(node.name, name, word)}{more}")
        if peer.level is not Level.OWNER:
            return
        for word, known in substituted(node.vocabulary, args):
            self._remark(peer, address, (peer.key, node.id, word), stands_in(node.name, word, known))
        for name in past:
            self._remark(peer, address, (peer.key, node.id, name), beyond_range(node.name, node.info.params, name))

    def _remark(self, peer: Peer, address: str, key: tuple[object, int, str], sentence: str) -> None:
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
