"""Beat scheduler from delayed estimates, and the server's tempo driven by a node's estimate."""

from __future__ import annotations

import asyncio
import math

from antiphon.api import AntiphonError
from antiphon.api.backends.transports import Node, SetTempo, Transport, TransportServer

CHECK_SECONDS = 0.25
"""Seconds between two checks, about the node's own analysis interval."""
TEMPO_NAMES = ("player_tempo", "tempo")
"""Parameter names of a node's tempo estimate, by priority."""
_STEP = 0.005
"""Minimum relative change of the tempo: estimates vary by less from beat to beat."""


class TempoDriver(Transport):
    """Watches the nodes of the patch; unchanged tempos are not sent again."""

    def start(self, server: TransportServer) -> None:
        self._server = server
        server.service(self._serve)

    async def _serve(self) -> None:
        while True:
            self._server.attempt("the tempo that a node finds", self.step)
            await asyncio.sleep(CHECK_SECONDS)

    def step(self) -> None:
        """Sets the tempo from each node whose switch is on, if it differs."""
        for name, node in list(self._server.nodes().items()):
            found_as = next((what for what in TEMPO_NAMES if what in node.index), "")
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
    """Tempo, half or double, nearest to the present tempo; 0 for none.

    The octave of the beat is the performer's choice, and estimates alternate between them.
    """
    return min((found / 2, found, 2 * found), key=lambda tempo: abs(math.log(tempo / now))) if found else 0.0


_REFRACTORY_SHARE = 0.6
"""Refractory period after a beat, as a share of a period."""
_MAX_LATENESS = 0.03
"""Maximum lateness of a beat in seconds; a later one is skipped."""


class NextBeats:
    """Scheduled beats in samples of the stream.

    `period`: frames of a beat; 0 where there is none. `meter`: beats of a bar. `place`: place of the last beat in its
    bar, from 0. `last`: sample of the last beat, -inf before the first.
    """

    def __init__(self, rate: int) -> None:
        self._late = _MAX_LATENESS * rate
        self.clear()

    def clear(self) -> None:
        self.period, self.last, self.meter, self.place = 0.0, -math.inf, 4, 0
        self._next, self._next_place = math.inf, 0

    def update(self, period: float, beat: float, place: int, meter: int, now: float) -> None:
        """Sets a new estimate: beat period in frames (0: none), a beat's sample, its place in a bar of `meter`.

        Beats from sample `now` on are still to be output.
        """
        if period <= 0.0:
            self.clear()
            return
        earliest = max(now - self._late, self.last + _REFRACTORY_SHARE * period)
        steps = max(0, math.ceil((earliest - beat) / period))
        self.period, self.meter = period, meter
        self._next, self._next_place = beat + steps * period, (place + steps) % meter

    def due(self, first: int, last: int) -> int | None:
        """The next beat of a block, once.

        `first`: sample of the first frame that is asked for. `last`: sample behind the last. Returns the sample,
        `first` where it was due before; None where there is none.
        """
        if self._next >= last:
            return None
        at = max(first, math.ceil(self._next))
        if at >= last:
            return None
        self.last, self.place = self._next, self._next_place % self.meter
        self._next += self.period
        self._next_place += 1
        return at
