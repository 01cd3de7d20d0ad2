"""Sets the server's tempo to what a node finds, such as `listen`, while its switch `drive` is on."""

from __future__ import annotations

import asyncio
import math

from antiphon.api import AntiphonError
from antiphon.api.backends.transports import Node, SetTempo, Transport, TransportServer

EVERY = 0.25
"""Seconds between two looks: the node looks at its window about as often."""
FOUND = ("player_tempo", "tempo")
"""What a node finds, by the name of its parameter."""
_STEP = 0.005
"""Share of the tempo by which it has to differ before it is set again: estimates move by less from beat to beat."""


class TempoDriver(Transport):
    """Looks at the nodes of the patch; a tempo that is set twice is set once."""

    def start(self, server: TransportServer) -> None:
        self._server = server
        server.service(self._serve)

    async def _serve(self) -> None:
        while True:
            self._server.attempt("the tempo that a node finds", self.step)
            await asyncio.sleep(EVERY)

    def step(self) -> None:
        """Sets the tempo by each node whose switch is on, where it differs."""
        for name, node in list(self._server.nodes().items()):
            found_as = next((what for what in FOUND if what in node.index), "")
            if "drive" not in node.index or not found_as or not self._value(node, "drive"):
                continue
            now = self._server.tempo()[1]
            found = nearest(float(self._value(node, found_as)), now)
            if found and abs(found / now - 1.0) > _STEP:
                try:
                    self._server.command(SetTempo(found), f"/node/{name}")
                except AntiphonError as error:
                    self._server.fault("the tempo that a node finds", error)

    def _value(self, node: Node, name: str) -> float:
        return float(self._server.value_at(node, node.index[name]))


def nearest(found: float, now: float) -> float:
    """Of a tempo, its half and its double, the one nearest to the present tempo; 0 for none.

    Which of them counts as the beat is the performer's choice, and estimates change from one to another.
    """
    return min((found / 2, found, 2 * found), key=lambda tempo: abs(math.log(tempo / now))) if found else 0.0
