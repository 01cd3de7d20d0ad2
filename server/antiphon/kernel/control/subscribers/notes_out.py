"""Notes that nodes play, to subscribers."""

from collections.abc import Callable

from antiphon.kernel.control.subscribers.clients import Surfaces
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.engine.link import EVERY_NODE, PlayedNote
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.session.graph_state import GraphState


class NotesOut:
    """Requests events from the engine: every node's while there are subscribers, else the `wanted` node's."""

    def __init__(
        self, link: RemoteEngine, state: GraphState, surfaces: Surfaces, feedback: Feedback, wanted: Callable[[], int]
    ) -> None:
        """Idle before `follow`. `wanted` returns the node whose events are always needed, 0 for none."""
        self._link, self._state, self._surfaces, self._feedback = link, state, surfaces, feedback
        self._wanted = wanted

    def follow(self) -> None:
        """Requests the events; called in every tick, as a restarted engine has lost the request."""
        self._link.echo(EVERY_NODE if self._surfaces else self._wanted())

    def played(self, note: PlayedNote) -> None:
        """Sends a node's note-on or note-off as a message the server itself accepts, with the node's name."""
        name = self._state.name_of(note.node)
        if not name or note.kind not in ("on", "off"):
            return
        velocity = max(1, min(127, round(127.0 * note.value))) if note.kind == "on" else 0
        self._feedback.event(f"/note/{note.kind}", note.number, velocity, note.channel, name)
