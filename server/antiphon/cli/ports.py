"""Port and block options shared by the commands that start or query a server."""

import json
from pathlib import Path
from typing import Annotated, NamedTuple

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.platform import start_time
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.settings import HTTP_PORT, OSC_PORT, ServeSettings

Osc = Annotated[
    int,
    argument("The OSC port of the running server.", "PORT", low=1, high=65535, flags="--osc-port --port"),
]
"""The option --osc-port of a command that queries a server."""
_HTTP = "The HTTP port of the running server."
Http = Annotated[int, argument(_HTTP, "PORT", low=1, high=65535, flags="--http-port --port")]
HttpBesideOsc = Annotated[int, argument(_HTTP, low=1, high=65535, flags="--http-port")]
"""The option --http-port of a command with both ports, where `--port` is the OSC port."""
HttpBesideOscIfSaid = Annotated[int | None, argument(_HTTP, low=1, high=65535, flags="--http-port")]
"""As `HttpBesideOsc`, None if not given."""
InsteadOfHttp = Annotated[
    int | None,
    argument("Its OSC port, in place of --http-port, of a server of yours.", low=1, high=65535, flags="--osc-port"),
]
InsteadOfOsc = Annotated[
    int | None,
    argument("Its HTTP port, in place of --osc-port, of a server of yours.", low=1, high=65535, flags="--http-port"),
]
"""The option --http-port of a command that queries by OSC."""


def http_port(http: int, osc: int | None) -> int:
    """HTTP port of the queried server. `UsageError` if no server of this user on this machine has that OSC port."""
    return http if osc is None or http != HTTP_PORT else _port_of("http_port", "osc_port", osc)


def server_http_port(http: int | None, osc: int) -> int:
    """HTTP port of a server of this user: the given one, else that of the server with the OSC port."""
    if http is not None:
        return http
    return HTTP_PORT if osc == OSC_PORT else http_port(HTTP_PORT, osc)


def osc_port(osc: int, http: int | None) -> int:
    """OSC port of the queried server; as `http_port`."""
    return osc if http is None or osc != OSC_PORT else _port_of("osc_port", "http_port", http)


def _port_of(wanted: str, given: str, number: int) -> int:
    ports = (getattr(one, wanted) for _, one in running() if getattr(one, given) == number)
    found: int = next(filter(None, ports), 0)
    if not found:
        by, name = (f"--{one.replace('_', '-')}" for one in (given, wanted))
        raise UsageError(f"no server of yours with {by} {number} runs on this machine; name its {name}")
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
