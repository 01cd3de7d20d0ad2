"""Clips: notes and controller moves, recorded from bar to bar and looped. Imports only `antiphon.api`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.api import Register, hookimpl

if TYPE_CHECKING:
    from antiphon.api.backends.transports import AddressList


@hookimpl
def antiphon_transports(register: Register) -> None:
    """Registers `clip`."""
    register("clip", "antiphon_clip.launcher:ClipTransport", "Clips, recorded on the bar and played in loops.")


@hookimpl
def antiphon_addresses(osc: AddressList) -> None:
    """Adds `/clip/record` and the other clip addresses."""
    from antiphon_clip.launcher import ADDRESSES

    for path, args, handler, doc in ADDRESSES:
        osc.add(path, args, handler, doc, surfaces=True)
