"""SuperDirt's OSC protocol: events of Tidal, Sardine and other clients play the samplers of the patch.

Imports `antiphon.api` only.
"""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_transports(register: Register) -> None:
    """Registers `dirt`."""
    register("dirt", "antiphon_dirt.transport:DirtTransport", "Events of Tidal and other clients of SuperDirt.")
