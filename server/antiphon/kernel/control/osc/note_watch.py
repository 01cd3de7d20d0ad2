"""Sends subscribers on request every note sent to a node, by OSC, MIDI, page, script or schedule, with its beat."""

from __future__ import annotations

from antiphon.kernel.control.commands.engine_clock import EngineClock
from antiphon.kernel.control.subscribers.clients import Surfaces
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import RequestError
from antiphon.kernel.graph.clock import swung
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session.actions import NodeControl, NodeNoteOff, NodeNoteOn
from antiphon.kernel.session.commands import Beat, Sample, When
from antiphon.kernel.session.effects import EngineEffect
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.play import BEGIN, note_params
from antiphon.kernel.session.schedule import due_beat
from antiphon.kernel.wire.osc import Double, encode

ADDRESS = "/note/event"
SHORT = 0.125
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
        surface = self._surfaces.find(peer.key)
        if surface is None:
            raise RequestError("you are not subscribed; send /notify 1 first")
        surface.notes = on
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
                    self._send(beat + SHORT, note, 0, channel, node)
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
