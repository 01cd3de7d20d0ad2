"""Zeroconf announcement of the server (mDNS, DNS-SD), so that surfaces list it by its name.

`_osc._udp` announces the OSC port, for TouchOSC and others; `_oscjson._tcp` the HTTP port, for OSCQuery clients.
Sources of the two names: the OSCQuery proposal, and the names that TouchOSC and Chataigne search for.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import antiphon
from antiphon.kernel.io.listening import local_addresses
from antiphon.kernel.runtime.settings import OSC_PORT

if TYPE_CHECKING:
    from zeroconf import ServiceInfo

log = logging.getLogger("antiphon.lan")

OSC, OSCQUERY = "_osc._udp.local.", "_oscjson._tcp.local."
LOOK_SECONDS = 10.0
"""Seconds between checks of this machine's addresses: a laptop may change its network while the server runs."""
MAX_LABEL = 63
"""Maximum bytes of one part of a DNS name."""


def instance_name(host: str, osc_port: int = OSC_PORT) -> str:
    """Display name in lists of servers: "Antiphon on studio", with a non-default OSC port in brackets."""
    port = "" if osc_port == OSC_PORT else f" ({osc_port})"
    name = f"Antiphon on {host.partition('.')[0]}".encode()[: MAX_LABEL - len(port)]
    return name.decode(errors="ignore").strip() + port


def host_name(host: str) -> str:
    """The server's own mDNS host name, since the system may already announce the machine's."""
    label = "".join(c if c.isascii() and c.isalnum() else "-" for c in host.partition(".")[0].lower())
    return f"antiphon-{label}"[:MAX_LABEL].rstrip("-") + ".local"


def reachable(where: str) -> tuple[str, ...]:
    """IPv4 addresses to announce. `where`: "all" for every interface but loopback, or one address."""
    if where != "all":
        return (where,)
    return tuple(address for address in local_addresses() if not address.startswith("127."))


class Announcement:
    """Announces OSC and OSCQuery while `serve` runs.

    `name`: the server's name; if another machine has a server of that name, it becomes "Antiphon on studio-2".
    """

    def __init__(
        self, osc_port: int, http_port: int, where: str = "all", look: Callable[[str], tuple[str, ...]] = reachable
    ) -> None:
        """Idle until `serve`, with the addresses of `reachable(where)`."""
        self._ports = {OSCQUERY: http_port, OSC: osc_port}
        self._where, self._look = where, look
        self._host = socket.gethostname()
        self.name = instance_name(self._host, osc_port)

    async def serve(self) -> None:
        """Announces until it is cancelled, again after each address change; then withdraws."""
        from zeroconf import Error

        reported = ""
        while True:
            addresses = self._look(self._where)
            try:
                async with self._announce_services(addresses):
                    reported = ""
                    await self._wait_for_move(addresses)
            except (OSError, Error, TimeoutError) as error:
                reason = str(error) or type(error).__name__
                if reason != reported:
                    log.warning("the server is not announced on the network (%s); its address still works", reason)
                reported = reason
                await asyncio.sleep(LOOK_SECONDS)

    async def _wait_for_move(self, addresses: tuple[str, ...]) -> None:
        """Waits until the machine's addresses differ from these."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._look(self._where) != addresses:
                return

    @asynccontextmanager
    async def _announce_services(self, addresses: tuple[str, ...]) -> AsyncIterator[None]:
        if not addresses:
            yield
            return
        from zeroconf import IPVersion
        from zeroconf.asyncio import AsyncZeroconf

        zeroconf = AsyncZeroconf(interfaces=list(addresses), ip_version=IPVersion.V4Only)
        try:
            name = instance_name(self._host, self._ports[OSC])
            broadcasts = []
            for kind in (OSCQUERY, OSC):
                info = self._info(kind, name, addresses)
                broadcasts.append(await zeroconf.async_register_service(info, allow_name_change=True))
                # both services have one name, by which a client knows them for one server
                name = info.name.removesuffix(f".{kind}")
            self.name = name
            await asyncio.gather(*broadcasts)
            yield
        finally:
            await zeroconf.async_close()  # which withdraws both

    def _info(self, kind: str, name: str, addresses: tuple[str, ...]) -> ServiceInfo:
        from zeroconf import ServiceInfo

        text = {"txtvers": "1", "version": antiphon.__version__}
        if kind == OSCQUERY:
            text |= {"path": "/", "scheme": "https", "authorization": "bearer"}
        return ServiceInfo(
            kind,
            f"{name}.{kind}",
            port=self._ports[kind],
            parsed_addresses=list(addresses),
            properties=text,
            server=f"{host_name(self._host)}.",
        )
