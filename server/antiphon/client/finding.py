"""Finds this user's running servers on this machine, and the port of the one that is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from antiphon.client import LOCAL
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.platform import start_time
from antiphon.kernel.runtime.ports import HTTP_PORT, OSC_PORT

if TYPE_CHECKING:
    from antiphon.kernel.runtime.settings import ServeSettings

LIST = "*/processes.json"
"""The lists of servers' processes, in the runtime folder."""


class Running(NamedTuple):
    """A running server of this user: its runtime folder, settings, and the PID of its supervisor."""

    folder: Path
    settings: ServeSettings
    pid: int


def running_servers() -> list[Running]:
    """Running servers of this user on this machine."""
    found: list[Running] = []
    for listed in paths.runtime().glob(LIST):
        from antiphon.kernel.runtime.processes import pidfile  # it brings the settings: only where a server runs

        try:
            pid, then = json.loads(listed.read_bytes())["processes"]["supervisor"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        settings = pidfile.crashed_settings(listed.parent)
        if settings is not None and start_time(pid) == then != 0:
            found.append(Running(listed.parent, settings, int(pid)))
    return found


def find_server(asked: ServeSettings) -> Running | None:
    """This user's server on one of the asked ports; for the default ports also the only server that runs."""
    servers = running_servers()
    for one in servers:
        if asked.http_port == one.settings.http_port or asked.osc_port == one.settings.osc_port:
            return one
    usual = (asked.http_port, asked.osc_port) == (HTTP_PORT, OSC_PORT)
    return servers[0] if usual and len(servers) == 1 else None


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
    servers = [one.settings for one in running_servers()]
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
