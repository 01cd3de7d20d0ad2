"""Model Context Protocol: assistants that play along; their proposals are rehearsed offline before they sound.

Imports only `antiphon.api`, and in the command the SDK `mcp`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.api import hookimpl

if TYPE_CHECKING:
    from antiphon.api.backends.cli import CommandGroup
    from antiphon.api.backends.http import HttpServer
    from antiphon.api.backends.transports import AddressList


@hookimpl
def antiphon_commands(cli: CommandGroup) -> None:
    """Adds `antiphon mcp`."""
    from antiphon_mcp.command import EXAMPLES, mcp

    cli.command("mcp", epilog=EXAMPLES)(mcp)


@hookimpl
def antiphon_routes(http: HttpServer) -> None:
    """Adds the operations below `/api/mcp`."""
    from antiphon_mcp.routes import McpRoutes

    McpRoutes(http)


@hookimpl
def antiphon_addresses(osc: AddressList) -> None:
    """Adds `/mcp/off` and the other mcp addresses."""
    from antiphon_mcp.addresses import PerformerSwitches

    PerformerSwitches().add_to(osc)
