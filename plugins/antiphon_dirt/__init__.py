"""SuperDirt's OSC: what Tidal, Sardine and others send to a SuperDirt plays the samplers of the patch.

Imports `antiphon.api` alone.
"""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_transports(register: Register) -> None:
    """Registers `dirt`."""
    register("dirt", "antiphon_dirt.transport:DirtTransport", "Events of Tidal and other clients of SuperDirt.")
