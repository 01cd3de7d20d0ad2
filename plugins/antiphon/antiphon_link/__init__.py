"""Ableton Link: tempo and beat shared with other programs on the network, by an optional library.

Imports `antiphon.api` only, and the library only if `serve --link` asks for it: Ableton Link is GPL.
"""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_transports(register: Register) -> None:
    """Registers `link`."""
    register("link", "antiphon_link.transport:LinkTransport", "Tempo and beat shared by Ableton Link.")
