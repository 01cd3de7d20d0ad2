"""Pedals and pads that press: an address that is sent once, when a controller goes past its half."""

from __future__ import annotations

from antiphon.api.backends.transports import TransportServer, pressed_message
from antiphon_midi.input.learn import Knob

DOWN = 0.5
"""Of a controller's range, 0 to 1: from here on it is down."""


class PedalState:
    """State of controllers as pedals: which are down."""

    def __init__(self, server: TransportServer) -> None:
        self._server = server
        self._down: set[Knob] = set()

    def remove(self, port: str) -> None:
        """Releases all pedals of a port."""
        self._down = {knob for knob in self._down if knob.port != port}

    def move(self, target: str, knob: Knob, value: float) -> None:
        """Handles a pedal at `value`, 0 to 1; raises the error that the target's address would answer as `/fail`."""
        if value < DOWN:
            self._down.discard(knob)
        elif knob not in self._down:
            self._down.add(knob)
            address, *args = pressed_message(target)
            self._server.message(address, *args, source=f"midi:{knob.port}")
