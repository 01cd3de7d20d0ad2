"""Lights and pictures on the beat: Art-Net, sACN, OS2L, and cues by OSC ahead of time. Imports `antiphon.api` only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.api import Register, hookimpl

if TYPE_CHECKING:
    from antiphon.api.backends.http import HttpServer
    from antiphon.api.backends.transports import AddressList


@hookimpl
def antiphon_transports(register: Register) -> None:
    """Registers `lights`."""
    register("lights", "antiphon_lights.transport:LightsTransport", "Lights by Art-Net, sACN and OS2L, cues by OSC.")


@hookimpl
def antiphon_addresses(osc: AddressList) -> None:
    """Adds `/lights/look` and the other addresses of lights."""
    from antiphon_lights.addresses import ADDRESSES

    for path, args, handler, doc in ADDRESSES:
        osc.add(path, args, handler, doc, surfaces=True)


@hookimpl
def antiphon_routes(http: HttpServer) -> None:
    """Adds the page `/plugins/lights/hydra`."""
    from antiphon_lights.pictures import add_routes

    add_routes(http)
