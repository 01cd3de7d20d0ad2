"""Pedals and pads that press: an address that is sent once, when a controller goes past its half."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.control.midi.learn import Knob
from antiphon.io.osc_peer import Level, Peer
from antiphon.session.commands import NOW

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp

PRESSED = (
    "/set/next",
    "/set/previous",
    "/patch/undo",
    "/patch/redo",
    "/transport/play",
    "/transport/stop",
    "/panic",
)
"""What a controller may press."""
DOWN = 0.5


class Presses:
    """Which controllers are down."""

    def __init__(self, app: ControlApp) -> None:
        self._app = app
        self._down: set[Knob] = set()

    def gone(self, port: str) -> None:
        """Nothing of that port is down any more."""
        self._down = {knob for knob in self._down if knob.port != port}

    def move(self, address: str, knob: Knob, value: float) -> None:
        """The knob is at `value`, 0 to 1; raises what the address would answer `/fail` with."""
        if value < DOWN:
            self._down.discard(knob)
        elif knob not in self._down:
            self._down.add(knob)
            nobody = Peer(f"midi:{knob.port}", "", Level.OWNER, lambda _packet: None)
            self._app.router.exact[address.encode()].handler(nobody, (), NOW)
