"""Ableton Link: shares tempo and beat with other programs on the network, by an optional library.

Imports only `antiphon.api`, and the library only with `serve --link`, as Ableton Link is GPL.
"""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_transports(register: Register) -> None:
    """Registers `link`."""
    register("link", "antiphon_link.transport:LinkTransport", "Tempo and beat shared by Ableton Link.")
