"""The notes nodes play, sent to subscribers: what `hum` finds, what an accompanist answers."""

from __future__ import annotations

from collections.abc import Callable

from antiphon.control.osc.clients import Surfaces
from antiphon.control.osc.feedback import Feedback
from antiphon.engine.link import EVERY_NODE, EngineLink, PlayedNote
from antiphon.session.session import Session


class NotesOut:
    """Asks the engine for events: every node's while anybody is subscribed, else those of the node of `wanted`.

    wanted: gives the number of the node whose events are needed without a subscriber, 0 for none.
    """

    def __init__(self, link: EngineLink, session: Session, surfaces: Surfaces, feedback: Feedback) -> None:
        self._link, self._session, self._surfaces, self._feedback = link, session, surfaces, feedback
        self.wanted: Callable[[], int] = _none

    def follow(self) -> None:
        """Asks each time: an engine that was started again has forgotten."""
        self._link.echo(EVERY_NODE if self._surfaces else self.wanted())

    def played(self, found: PlayedNote) -> None:
        """A node emitted an event; notes are sent in the shape in which they are taken, with the node's name."""
        node = self._session.by_id.get(found.node)
        if node is None or found.kind not in ("on", "off"):
            return
        velocity = max(1, min(127, round(127.0 * found.value))) if found.kind == "on" else 0
        self._feedback.event(f"/note/{found.kind}", found.number, velocity, found.channel, node.name)


def _none() -> int:
    return 0
