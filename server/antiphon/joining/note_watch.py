"""Notes that anybody plays, to the subscribers that ask for them."""

from collections.abc import Mapping
from typing import cast

from antiphon.kernel.contract.event import Event
from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.commands.executor import EngineClock
from antiphon.kernel.control.osc.arguments import OWNER, OnOff, OscCall, osc
from antiphon.kernel.control.subscribers.clients import Surfaces
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.graph.clock import swing_beat
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.actions import EngineEffect
from antiphon.kernel.session.commands import Beat, Play, Sample, When
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.play import BEGIN, note_params
from antiphon.kernel.session.schedule import due_beat
from antiphon.kernel.wire.osc import Double, encode

NAME = "notes"
"""Name of the watch among what has joined control."""
ADDRESS = "/note/event"
DISPLAYED_NOTE_BEATS = 0.125
"""Displayed length in beats of a `/node/NAME/play` note, which has no note-off where its values are declared."""


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

    def set(self, peer: Peer, *, on: bool, floats: bool = False) -> None:
        """Enables or disables note events for a subscriber; `RequestError` for any other peer.

        `floats`: as `/note/event.ext`, without doubles.
        """
        surface = self._surfaces.subscriber(peer)
        surface.notes, surface.floats = on, floats
        self.follow()

    def follow(self) -> None:
        """Updates the need for note events; called in every tick, since subscriptions expire by themselves."""
        self.watched = any(surface.notes for surface in self._surfaces)

    def effect(self, effect: EngineEffect) -> None:
        """Handles an effect: reports its notes."""
        if not self.watched:
            return
        match effect:
            case Play(node, Event("control", _, number)) if number == BEGIN:
                # the controller of `/node/NAME/play` before its note; one with values by name has a note-off
                known = self._state.by_id.get(node)
                if known is not None and note_params(known.info.params):
                    self._brief.add(node)
            case Play(node, Event("on", _, note, velocity, channel)):
                beat = self._beat(effect.when)
                self._send(beat, note, max(1, min(127, round(127.0 * velocity))), channel, node)
                if node in self._brief:
                    self._brief.discard(node)
                    self._send(beat + DISPLAYED_NOTE_BEATS, note, 0, channel, node)
            case Play(node, Event("off", _, note, _, channel)):
                self._send(self._beat(effect.when), note, 0, channel, node)

    def _beat(self, when: When) -> float:
        match when:
            case Beat():
                return swing_beat(due_beat(when), *self._state.swing)
            case Sample(sample):
                return self._link.beat_at(sample)
        return self._clock.moment().beat

    def _send(self, beat: float, note: int, velocity: int, channel: int, node: int) -> None:
        known = self._state.by_id.get(node)
        if known is not None:
            rest = note, velocity, channel, known.name
            self._feedback.note(encode(ADDRESS, Double(beat), *rest), encode(f"{ADDRESS}.ext", float(beat), *rest))


@osc("/note/watch", OWNER, once=True)
def note_watch(ask: OscCall, on: OnOff) -> None:
    """1 sends a subscribed sender every note that anybody plays or schedules as
    `/note/event d:beat i:note i:velocity i:channel s:node`; velocity 0 for its end.
    """
    cast(NoteWatch, ask.server.joined[NAME]).set(ask.peer, on=bool(on))
    ask.reply("/done", "/note/watch")


@osc("/note/watch.ext", OWNER, once=True)
def note_watch_ext(ask: OscCall, on: OnOff) -> None:
    """As `/note/watch`, by `/note/event.ext f:beat i:note i:velocity i:channel s:node`: no doubles, for Pure Data."""
    cast(NoteWatch, ask.server.joined[NAME]).set(ask.peer, on=bool(on), floats=True)
    ask.reply("/done", "/note/watch.ext")


def join(app: ControlApp, settings: ServeSettings, fds: Mapping[str, int]) -> None:
    """Has control show the notes that are played; as of `Companions.control`."""
    watch = app.joined[NAME] = NoteWatch(app.link, app.clock, app.session.state, app.surfaces, app.feedback)
    app.directory.add((note_watch, note_watch_ext))
    app.outbox.tap(watch.effect, Play)
    app.ticks.append(("the notes that are played", watch.follow))
