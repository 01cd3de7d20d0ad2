"""Sets the server's tempo to what a node `listen` finds, while its switch `drive` is on."""

from __future__ import annotations

import asyncio

from antiphon.api import AntiphonError
from antiphon.api.commands import SetTempo
from antiphon.api.transports import Node, Transport, TransportServer

EVERY = 0.25
"""Seconds between two looks: the node looks at its window about as often."""
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
            if node.info.type != "listen" or not self._value(node, "drive"):
                continue
            found = float(self._value(node, "tempo"))
            if found and abs(found / self._server.tempo()[1] - 1.0) > _STEP:
                try:
                    self._server.command(SetTempo(found), f"/node/{name}")
                except AntiphonError as error:
                    self._server.fault("the tempo that a node finds", error)

    def _value(self, node: Node, name: str) -> float:
        return float(self._server.value_at(node, node.index[name]))
