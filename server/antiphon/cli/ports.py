"""Options for ports and the block, shared by the commands that start or query a server."""

import json
from pathlib import Path
from typing import Annotated, NamedTuple

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.platform import start_time
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.settings import HTTP_PORT, OSC_PORT, ServeSettings

LOCAL = "127.0.0.1"
_OURS = "by default that of your server where one runs, else"
_OSC, _HTTP = f"The server's OSC port; {_OURS} {OSC_PORT}.", f"The server's HTTP port; {_OURS} {HTTP_PORT}."

Host = Annotated[str, argument("The machine the server runs on.")]
"""The option --host."""
Osc = Annotated[int, argument(_OSC, "PORT", low=1, high=65535, flags="--osc-port --port")] | None
"""The option --osc-port of a command that queries a server by OSC; None if not given."""
Http = Annotated[int, argument(_HTTP, "PORT", low=1, high=65535, flags="--http-port --port")] | None
HttpBesideOsc = Annotated[int, argument(_HTTP, "PORT", low=1, high=65535, flags="--http-port")] | None
"""The option --http-port of a command where `--port` is the OSC port."""
InsteadOfHttp = Annotated[int, argument(_OSC, "PORT", low=1, high=65535, flags="--osc-port")] | None


def http_port(http: int | None, osc: int | None) -> int:
    """HTTP port of the queried server: the given one, else that of the server with the OSC port, or of the only server.

    Raises UsageError: no server of this user on this machine has that OSC port, or several run.
    """
    return _port("http_port", http, "osc_port", osc, HTTP_PORT)


def osc_port(osc: int | None, http: int | None, host: str = LOCAL) -> int:
    """OSC port of the queried server, found like `http_port`; on another machine the given one, or the default."""
    if host != LOCAL and http is None:
        return osc or OSC_PORT
    return _port("osc_port", osc, "http_port", http, OSC_PORT)


def _port(wanted: str, number: int | None, other: str, beside: int | None, usual: int) -> int:
    if number is not None:
        return number
    servers = [one.settings for one in running()]
    option, given = (f"--{field.replace('_', '-')}" for field in (wanted, other))
    if beside is not None:
        at = next((int(getattr(one, wanted)) for one in servers if getattr(one, other) == beside), 0)
        if not at:
            raise UsageError(f"no server of yours with {given} {beside} runs on this machine; name its {option}")
        return at
    ports = sorted(int(getattr(one, wanted)) for one in servers)
    if not ports or usual in ports:
        return usual
    if len(ports) > 1:
        raise UsageError(f"{len(ports)} servers of yours run; name one: {option} {' or '.join(map(str, ports))}")
    return ports[0]


class Running(NamedTuple):
    """A running server of this user: its runtime folder and settings."""

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


def found(asked: ServeSettings) -> Running | None:
    """This user's server on one of the asked ports; for the default ports also the only server that runs."""
    servers = running()
    for one in servers:
        if asked.http_port == one.settings.http_port or asked.osc_port == one.settings.osc_port:
            return one
    usual = (asked.http_port, asked.osc_port) == (HTTP_PORT, OSC_PORT)
    return servers[0] if usual and len(servers) == 1 else None
