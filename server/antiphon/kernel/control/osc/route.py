"""The route of an OSC address: its handler, and how messages to it are treated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.session.commands import When
from antiphon.kernel.wire.osc import Arg

Handler = Callable[[Peer, tuple[Arg, ...], When], None]
"""(sender, arguments, time); raises `AntiphonError`, whose text is sent to the sender."""


@dataclass(slots=True, eq=False)
class AddressRoute:
    """The route of one address.

    `low`, `high`: a single number in this range only sets `param` of `node`, so that `Intake` may gather it; low above
    high for none.
    """

    address: str
    handler: Handler
    level: Level = Level.OWNER
    timed: bool = False  # whether the handler applies `when` itself; other handlers are called when the message is due
    low: float = 1.0
    high: float = 0.0
    node: str = ""
    param: str = ""
    asks: bool = False  # whether a message without arguments asks for the value
    at_once: bool = False  # whether it only asks for the present state; it is then refused with a time in the future
    usage: str = ""
