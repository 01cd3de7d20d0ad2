"""What one OSC address does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from antiphon.io.osc_peer import Level, Peer
from antiphon.session.commands import When
from antiphon.wire.osc import Arg

Handler = Callable[[Peer, tuple[Arg, ...], When], None]
"""(sender, arguments, time); raises `AntiphonError` with what the sender is answered."""


@dataclass(slots=True, eq=False)
class AddressRoute:
    """What an address does.

    low, high: one number in between sets `param` of `node` and nothing else happens; low above high: none does.
    asks: without arguments it is a question.  timed: the handler sees to `when` itself; others are
    called when their time has come.  at_once: answered when it comes; one dated to come is refused.
    """

    address: str
    handler: Handler
    level: Level = Level.OWNER
    timed: bool = False
    low: float = 1.0
    high: float = 0.0
    node: str = ""
    param: str = ""
    asks: bool = False
    at_once: bool = False
