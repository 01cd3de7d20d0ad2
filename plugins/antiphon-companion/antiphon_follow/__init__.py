"""Tracking of the player's beat, and control of the clock by it.

Imports `antiphon.api` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.api import Register, hookimpl

if TYPE_CHECKING:
    from antiphon.api.backends.transports import AddressList


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `follow`."""
    register("follow", "antiphon_follow.processor:Follow", "The player's beat: tempo, bar and a clock that follows.")


@hookimpl
def antiphon_addresses(osc: AddressList) -> None:
    """Adds `/follow/half`, `/follow/double`, `/follow/downbeat`, `/follow/tap` and `/follow/go`."""
    from antiphon_follow.addresses import HANDLERS

    for path, args, handler, doc in HANDLERS:
        osc.add(path, args, handler, doc, surfaces=True, timed=True)
