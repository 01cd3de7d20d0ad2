"""Port and block options shared by the commands that start or query a server."""

import json
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.platform import start_time
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.settings import HTTP_PORT, OSC_PORT, ServeSettings

Osc = Annotated[
    int,
    typer.Option("--osc-port", "--port", metavar="PORT", min=1, max=65535, help="The OSC port of the running server."),
]
"""The option --osc-port of a command that queries a server."""
_HTTP = "The HTTP port of the running server."
Http = Annotated[int, typer.Option("--http-port", "--port", metavar="PORT", min=1, max=65535, help=_HTTP)]
HttpBesideOsc = Annotated[int, typer.Option("--http-port", min=1, max=65535, help=_HTTP)]
"""The option --http-port of a command with both ports, where `--port` is the OSC port."""
HttpBesideOscIfSaid = Annotated[int | None, typer.Option("--http-port", min=1, max=65535, help=_HTTP)]
"""As `HttpBesideOsc`, None if not given."""
InsteadOfHttp = Annotated[
    int | None,
    typer.Option("--osc-port", min=1, max=65535, help="Its OSC port, in place of --http-port, of a server of yours."),
]
InsteadOfOsc = Annotated[
    int | None,
    typer.Option("--http-port", min=1, max=65535, help="Its HTTP port, in place of --osc-port, of a server of yours."),
]
"""The option --http-port of a command that queries by OSC."""


def http_port(http: int, osc: int | None) -> int:
    """HTTP port of the queried server. `UsageError` if no server of this user on this machine has that OSC port."""
    if osc is None or http != HTTP_PORT:
        return http
    found = next((one.http_port for _, one in running() if one.osc_port == osc and one.http_port), None)
    if found is None:
        raise UsageError(f"no server of yours with --osc-port {osc} runs on this machine; name its --http-port")
    return found


def server_http_port(http: int | None, osc: int) -> int:
    """HTTP port of a server of this user: the given one, else that of the server with the OSC port."""
    if http is not None:
        return http
    return HTTP_PORT if osc == OSC_PORT else http_port(HTTP_PORT, osc)


def osc_port(osc: int, http: int | None) -> int:
    """OSC port of the queried server; as `http_port`."""
    if http is None or osc != OSC_PORT:
        return osc
    found = next((one.osc_port for _, one in running() if one.http_port == http and one.osc_port), None)
    if found is None:
        raise UsageError(f"no server of yours with --http-port {http} runs on this machine; name its --osc-port")
    return found


class Running(NamedTuple):
    """A running server of this user, with its runtime folder and settings."""

    folder: Path
    settings: ServeSettings


def running() -> list[Running]:
    """Running servers of this user on this machine."""
    found = []
    for listed in paths.runtime().glob(f"*/{pidfile.LIST}"):
        try:
            pid, then = json.loads(listed.read_bytes())["processes"]["supervisor"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        settings = pidfile.crashed_settings(listed.parent)
        if settings is not None and start_time(pid) == then != 0:
            found.append(Running(listed.parent, settings))
    return found
