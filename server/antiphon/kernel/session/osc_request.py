"""OSC request to a plugin's address, as passed to the plugin's handler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from antiphon.kernel.session.commands import When
from antiphon.kernel.session.transport_server import TransportServer
from antiphon.kernel.wire.osc import Arg


@dataclass(frozen=True, slots=True)
class OscRequest:
    """A message to a plugin's OSC address.

    `args`: the arguments, whose count and types are as declared; numbers are int for i, float for f and d. `sender`:
    who sent it, for `TransportServer.command`. `reply`: sends the sender a message: `reply("/wobble/shaken", 3)`.
    """

    server: TransportServer
    args: tuple[Arg, ...]
    sender: str
    when: When
    reply: Callable[..., None]
