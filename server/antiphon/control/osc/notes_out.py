"""The notes nodes play, told to subscribers: what a hum is, what an accompanist answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.engine.link import EVERY_NODE, PlayedNote

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp


class NotesOut:
    """Asks the engine for events: every node's while anybody is subscribed, else those of MIDI's node."""

    def __init__(self, app: ControlApp) -> None:
        self._app = app

    def follow(self) -> None:
        """Said each time: an engine that was started again has forgotten."""
        app = self._app
        app.link.echo(EVERY_NODE if app.surfaces else app.midi.out.echoed if app.midi.out is not None else 0)

    def played(self, found: PlayedNote) -> None:
        """A node emitted an event; notes are told in the shape in which they are taken, with the node's name."""
        node = self._app.session.by_id.get(found.node)
        if node is None or found.kind not in ("on", "off"):
            return
        velocity = max(1, min(127, round(127.0 * found.value))) if found.kind == "on" else 0
        self._app.feedback.event(f"/note/{found.kind}", found.number, velocity, found.channel, node.name)
