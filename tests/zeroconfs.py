"""Looks for announced servers on loopback, as a surface does on the network."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from zeroconf import IPVersion, ServiceInfo, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from antiphon.web.oscquery.announcement import OSC, OSCQUERY

LOOPBACK = "127.0.0.1"
PATIENCE = 60.0
GROUP = ("224.0.0.251", 5353)


def multicast_on_loopback() -> bool:
    """Whether a datagram to the group of mDNS comes back on loopback; in some sandboxes it does not."""
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        try:
            receiver.bind(("", 0))
            member = socket.inet_aton(GROUP[0]) + socket.inet_aton(LOOPBACK)
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
            receiver.settimeout(5.0)
            sender.sendto(b"?", (GROUP[0], receiver.getsockname()[1]))
            return receiver.recv(16) == b"?"
        except OSError:
            return False


class Watcher:
    """What is announced on loopback: the services found so far, by type and name.

    Other servers of this machine are there too, and asking each takes seconds: `found` asks those alone whose name has
    the port of OSC, which `free_port` gives to one test.
    """

    def __init__(self, zeroconf: AsyncZeroconf) -> None:
        self._zeroconf = zeroconf
        self._changed = asyncio.Event()
        self._names: set[tuple[str, str]] = set()

    def seen(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:  # as the browser calls it
        if state_change is ServiceStateChange.Removed:
            self._names.discard((service_type, name))
        else:
            self._names.add((service_type, name))
        self._changed.set()

    async def found(self, kind: str, port: int, osc_port: int) -> ServiceInfo:
        """The service of that kind at that port, of the server with that port of OSC, once it is announced."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._changed.clear()
                for service_type, name in sorted(self._names):
                    if service_type != kind or f"({osc_port})" not in name:
                        continue
                    info = AsyncServiceInfo(service_type, name)
                    if await info.async_request(self._zeroconf.zeroconf, 3000) and info.port == port:
                        return info
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 1.0)

    async def gone(self, kind: str, name: str) -> None:
        """Returns once the service of that name is withdrawn."""
        async with asyncio.timeout(PATIENCE):
            while (kind, name) in self._names:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def watching() -> AsyncIterator[Watcher]:
    """Browses loopback for OSC and OSCQuery; skips the test where that does not work."""
    if not multicast_on_loopback():
        pytest.skip("multicast does not work on this machine's loopback interface, so that mDNS cannot be tested")
    zeroconf = AsyncZeroconf(interfaces=[LOOPBACK], ip_version=IPVersion.V4Only)
    watcher = Watcher(zeroconf)
    browser = AsyncServiceBrowser(zeroconf.zeroconf, [OSC, OSCQUERY], handlers=[watcher.seen])
    try:
        yield watcher
    finally:
        await browser.async_cancel()
        await zeroconf.async_close()
