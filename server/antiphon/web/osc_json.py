"""OSC messages sent as JSON by HTTP clients."""

from __future__ import annotations

from antiphon.kernel.errors import WireError
from antiphon.kernel.wire.osc import Arg

STREAMS = frozenset({"/notify", "/monitor", "/note/watch"})
"""Addresses whose answers would be a packet stream to a socket of the web process."""


CODE = "/live/"
"""Prefix of addresses that carry scripts; no pattern matches them."""


def check_address(address: str) -> None:
    """Raises `WireError` for an address that carries a script.

    Control accepts those from programs of this machine only, which HTTP clients need not be.
    """
    if address.startswith(CODE):
        raise WireError("scripts are not taken by this way; POST /api/live/eval does")


def check_message(address: object, args: list[object]) -> tuple[str, list[Arg]]:
    """Checked and typed message of a client.

    Raises WireError: the address is none, one that answers with a stream, or one that hands a script over; an argument
    is no number, boolean or string.
    """
    if not isinstance(address, str) or not address.startswith("/") or address in STREAMS:
        raise WireError(f"{str(address)[:60]!r} is no address that a page may send to, nor another client of HTTP")
    check_address(address)
    typed: list[Arg] = []
    for arg in args:
        if not isinstance(arg, float | str) and not (isinstance(arg, int) and abs(arg) < 2**63):
            raise WireError("an argument is a number, true, false or a string")
        typed.append(arg)
    return address, typed
