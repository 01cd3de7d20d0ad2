"""Access levels of IP addresses, and the list of subscribers."""

import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from antiphon.kernel.control.state import StateSaver
from antiphon.kernel.errors import RequestError, UsageError
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.io.osc_tcp import TcpServer
from antiphon.kernel.io.osc_udp import UdpEndpoint
from antiphon.kernel.wire.osc import encode
from antiphon.kernel.wire.senders import is_loopback

MAX_SURFACES = 64
MAX_HELD = 64
MAX_APPROVED = 256
APPROVAL_SECONDS = 12 * 3600.0
"""Seconds for which an approval lasts, an evening: in another network the same address may be a stranger's."""
REFUSALS = 3
"""Consecutive refused datagrams after which a subscription ends; a packet from the subscriber resets the count."""
LEASE = 300.0
"""Seconds without a packet after which the subscription of a UDP peer on another machine ends."""
RETRY = 1.0
"""Seconds between attempts at a `--surface` that refuses datagrams."""


HELD_ANSWER_SECONDS = 10.0
"""Seconds between two answers to an unapproved machine."""


class Machine(NamedTuple):
    """A known IP address: a sender, or an approved one."""

    ip: str
    state: str  # "held" or "approved"
    seconds: float | None  # since its last message where it is held; until its approval ends where that does, else None
    messages: int = 0


log, printed_log = logging.getLogger("antiphon.lan"), logging.getLogger("antiphon.said")
MAX_PRINTED = 64
"""Maximum unapproved addresses printed, once each: the source of a datagram may be forged."""


class Access:
    """Access level of each IP address. Loopback may do everything; other addresses are held until approved.

    An approval ends after `APPROVAL_SECONDS`.
    """

    def __init__(self, allow: Iterable[str] = (), clock: Callable[[], float] = monotonic) -> None:
        """Starts without approvals; `allow`: addresses that need none; `clock` gives seconds."""
        self.on_change: Callable[[], None] = lambda: None
        self._clock = clock
        self._allowed = {_address(host) for host in allow}
        self._approved: dict[str, float] = {}
        self._forgotten: set[str] = set()
        self._held: dict[str, tuple[int, float]] = {}  # messages, and when the last one came
        self._answered: dict[str, float] = {}
        self._printed: set[str] = set()
        self.held_messages = self.changes = 0  # messages from addresses without approval, so far
        self.approving = "antiphon approve"

    def level(self, host: str) -> Level:
        """Present access level of an address."""
        if is_loopback(host):
            return Level.OWNER
        return Level.SURFACE if host in self._allowed or host in self._approved else Level.HELD

    def hold(self, host: str) -> bool:
        """Counts a message from an unapproved address; the last `MAX_HELD` addresses are listed by `held`.

        Returns whether it may be answered: each address once in `HELD_ANSWER_SECONDS`, and `MAX_HELD` addresses in that
        time. Call `note_answer` after an answer.
        """
        self.held_messages += 1
        if host not in self._printed and len(self._printed) < MAX_PRINTED:
            self._printed.add(host)
            printed_log.info("%s waits: %s %s", host, self.approving, host)
        count, _ = self._held.pop(host, (0, 0.0))
        self.changes += not count
        if len(self._held) >= MAX_HELD:
            del self._held[next(iter(self._held))]
        self._held[host] = (count + 1, self._clock())
        if len(self._answered) >= MAX_HELD:
            now = self._clock()
            self._answered = {ip: at for ip, at in self._answered.items() if now - at < HELD_ANSWER_SECONDS}
        last = self._answered.get(host, -HELD_ANSWER_SECONDS)
        return len(self._answered) < MAX_HELD and self._clock() - last >= HELD_ANSWER_SECONDS

    def note_answer(self, host: str) -> None:
        """Notes that an unapproved address was answered."""
        self._answered[host] = self._clock()

    def held_addresses(self) -> list[str]:
        """Unapproved addresses, the latest sender last."""
        return list(self._held)

    def approved_addresses(self) -> list[str]:
        """Approved addresses and `allow`, sorted."""
        return sorted(self._allowed | self._approved.keys())

    def machines(self) -> list[Machine]:
        """Held addresses, the latest sender first, then the approved ones, sorted."""
        now = self._clock()
        held = [Machine(ip, "held", now - at, count) for ip, (count, at) in reversed(self._held.items())]
        ends = {**dict.fromkeys(self._allowed), **self._approved}
        return held + [
            Machine(ip, "approved", None if (until := ends[ip]) is None else until - now) for ip in sorted(ends)
        ]

    def approve(self, host: str) -> None:
        """Approves an address for `APPROVAL_SECONDS`; `UsageError` beyond `MAX_APPROVED`, or for no IP address."""
        host = _address(host)
        if len(self._approved) >= MAX_APPROVED and host not in self._approved:
            raise UsageError(f"at most {MAX_APPROVED} addresses can be approved; `antiphon forget` one first")
        self._approved[host] = self._clock() + APPROVAL_SECONDS
        self._forgotten.discard(host)
        self._held.pop(host, None)
        self._changed()

    def restore(self, left: Mapping[str, float], forgotten: Iterable[str] = ()) -> None:
        """Restores an earlier process's approvals, remaining seconds by address, and revoked (`forgotten`) ones."""
        now = self._clock()
        self._forgotten |= {_address(host) for host in forgotten}
        self._allowed -= self._forgotten
        approved = self._approved | {host: now + seconds for host, seconds in left.items()}
        self._approved = {host: until for host, until in approved.items() if host not in self._forgotten}
        self._changed()

    def forget(self, host: str) -> None:
        """Revokes an approval, including one by `allow`, or removes an address from the list of held ones."""
        host = _address(host)
        if not {host} & {*self._allowed, *self._approved, *self._held}:
            there = ", ".join([*self.approved_addresses(), *self._held][:40]) or "none"
            raise UsageError(f"{host} is neither approved nor held; these are: {there}")
        self._forgotten.add(host)
        self._allowed.discard(host)
        self._approved.pop(host, None)
        self._held.pop(host, None)
        self._changed()

    @property
    def revoked_addresses(self) -> frozenset[str]:
        """Addresses whose approval was revoked and not given again."""
        return frozenset(self._forgotten)

    def end_expired_approvals(self) -> None:
        """Ends the approvals that have expired."""
        now = self._clock()
        over = [host for host, until in self._approved.items() if until <= now]
        for host in over:
            del self._approved[host]
        if over:
            self._changed()

    def _changed(self) -> None:
        self.changes += 1
        self.on_change()


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise UsageError(f"{host!r} is not an IP address such as 192.168.1.20") from None


@dataclass(slots=True)
class Surface:
    """A subscriber."""

    id: int  # its number, which `/notify` answers
    peer: Peer
    owner: str  # key of the peer that subscribed it; changes that this peer makes are not sent to the surface
    fixed: bool = False  # whether `--surface` names it; then it is never dropped
    refusals: int = 0
    quiet_until: float = 0.0
    since: float = 0.0
    notes: bool = False
    floats: bool = False  # whether notes are sent to it without doubles
    meters: bool = True

    @property
    def may_receive_values(self) -> bool:
        """True if values may be sent to it: `--surface` names it, or its address is approved."""
        return self.fixed or self.peer.level is not Level.HELD

    def is_origin_of(self, source: object) -> bool:
        """True if a change came from this surface itself."""
        if source in (self.owner, self.peer.key):
            return True
        # a fixed surface sends from another port than the one it listens at; on this machine any program could be it
        return self.fixed and self.peer.level != Level.OWNER and str(source).startswith(f"{self.peer.host}:")


class Surfaces:
    """The subscribers, at most `MAX_SURFACES`.

    `by_key`: by the keys of their peers. `expired`: number of subscriptions ended without `/notify 0`.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Begins without subscribers; `clock` gives seconds."""
        self._clock = clock
        self.by_key: dict[str, Surface] = {}
        self.expired = 0

    def __len__(self) -> int:
        return len(self.by_key)

    def __iter__(self) -> Iterator[Surface]:
        return iter(list(self.by_key.values()))

    def find(self, key: str) -> Surface | None:
        """Subscriber with the listening peer of that key."""
        return self.by_key.get(key)

    def subscriber(self, peer: Peer) -> Surface:
        """The subscriber that listens there; `RequestError` for any other peer."""
        surface = self.find(peer.key)
        if surface is None:
            raise RequestError("you are not subscribed; send /notify 1 first")
        return surface

    def add(self, peer: Peer, owner: str, fixed: bool = False, number: int | None = None) -> Surface:
        """Subscribes `owner`'s peer, or renews its lease with the same number; `fixed`: by `--surface`."""
        known = self.by_key.get(peer.key)
        if known is not None:
            known.owner, known.refusals, known.since = owner, 0, self._clock()
            return known
        if len(self) >= MAX_SURFACES:
            raise RequestError(f"at most {MAX_SURFACES} surfaces can subscribe; /notify 0 frees a place")
        used = {s.id for s in self.by_key.values()}
        free = number if number is not None and number not in used else min(set(range(len(used) + 1)) - used)
        surface = Surface(free, peer, owner, fixed, since=self._clock())
        self.by_key[peer.key] = surface
        return surface

    def remove(self, key: str) -> Surface | None:
        """Ends the subscription whose listening peer, or else whose owner, has that key; returns it."""
        removed = self.by_key.pop(key, None)
        if removed is None:
            removed = next((s for s in self.by_key.values() if s.owner == key), None)
            if removed is not None:
                del self.by_key[removed.peer.key]
        return removed

    def update_access(self, access: Access) -> bool:
        """Updates every subscriber's level; True if some lost permission and were dropped."""
        before = len(self)
        for surface in self:
            peer = surface.peer
            peer.level = access.level(peer.host)
            if not surface.may_receive_values or peer.host in access.revoked_addresses:
                del self.by_key[peer.key]
        self.expired += before - len(self)
        return len(self) != before

    def count_refusal(self, key: str) -> bool:
        """Counts a datagram refused by a peer's machine; True if its subscription ended."""
        surface = self.by_key.get(key)
        if surface is None:
            return False
        if surface.peer.last_received > surface.since:
            surface.since, surface.refusals = surface.peer.last_received, 0
        surface.refusals += 1
        if surface.refusals < REFUSALS:
            return False
        if surface.fixed:
            surface.quiet_until = self._clock() + RETRY
            return False
        del self.by_key[key]
        self.expired += 1
        return True

    def expire(self, last_packet: Callable[[str], float]) -> list[Surface]:
        """Drops and returns subscribers that are closed, unapproved or expired by lease or `last_packet`."""
        now = self._clock()
        expired = []
        for surface in self:
            peer = surface.peer
            last = max(surface.since, peer.last_received, last_packet(surface.owner))
            far = peer.udp is not None and peer.level != Level.OWNER and not surface.fixed
            if peer.link_lost or not surface.may_receive_values or (far and now - last > LEASE):
                del self.by_key[peer.key]
                self.expired += 1
                expired.append(surface)
        return expired


def unapproved_answer(host: str, most: int) -> bytes | None:
    """Longest `/fail` for an unapproved host within `most` bytes (no amplification of forged datagrams), or None."""
    for words in (f"{host} is not approved: antiphon approve {host}", "not approved yet", "held"):
        packet = encode("/fail", "", words)
        if len(packet) <= most:
            return packet
    return None


KEEPALIVE = 30.0
"""Seconds between two `/ping`s to a subscriber, by which a closed port is detected."""


class Subscribers:
    """Adds and removes subscriptions, saves and restores them, and ends expired ones."""

    def __init__(self, surfaces: Surfaces, access: Access, udp: UdpEndpoint, tcp: TcpServer, saver: StateSaver) -> None:
        """Creates the manager; nothing is restored before `start`."""
        self._surfaces, self._access, self._udp, self._tcp, self._saver = surfaces, access, udp, tcp, saver
        access.on_change = self.update_access
        self._pinged: dict[str, float] = {}

    def start(self, given: tuple[tuple[str, int], ...], data: dict[str, Any]) -> None:
        """Subscribes (host, port) of each `--surface`, and an earlier process's subscribers, from its state `data`."""
        self._access.restore({}, data.get("forgotten", []))
        given = tuple(_resolve_host(address) for address in given)
        for address in given:
            if address[0] not in self._access.revoked_addresses:
                peer = self._udp.peer(address)
                self._surfaces.add(peer, peer.key, fixed=True)
        for item in data.get("surfaces", [])[:MAX_SURFACES]:
            address = str(item["host"]), int(item["port"])
            self._surfaces.add(self._udp.peer(address), str(item["owner"]), address in given, int(item["id"]))

    def add(self, peer: Peer, port: int) -> int:
        """Subscribes a sender, or with `port` above 0 that port of its machine; returns the subscriber's number."""
        target = self._udp.peer((peer.host, port)) if port else peer
        number = self._surfaces.add(target, peer.key).id
        self._saver.mark_changed()
        return number

    def remove(self, peer: Peer, port: int) -> int:
        """Ends a subscription, named as for `add`; returns its number, or raises `RequestError` without one."""
        removed = self._surfaces.remove(f"{peer.host}:{port}" if port else peer.key)
        if removed is None:
            raise RequestError("you are not subscribed; /notify 1 subscribes")
        self._saver.mark_changed()
        return removed.id

    def update_access(self) -> None:
        """Applies changed access levels to all open connections, known UDP peers and subscriptions."""
        self._udp.update_levels()
        self._tcp.update_levels()
        self._surfaces.update_access(self._access)
        self._saver.mark_changed()

    def expire(self) -> None:
        """Ends expired approvals and subscriptions, and pings UDP subscribers every `KEEPALIVE` seconds."""
        now = monotonic()
        self._access.end_expired_approvals()
        known = {s.peer.key for s in self._surfaces}
        self._pinged = {key: at for key, at in self._pinged.items() if key in known}
        for surface in self._surfaces:
            if surface.peer.udp is not None and now - self._pinged.setdefault(surface.peer.key, now) > KEEPALIVE:
                self._pinged[surface.peer.key] = now
                surface.peer.send(encode("/ping"))

        def last_packet(key: str) -> float:
            peer = self._udp.find_peer(key)
            return 0.0 if peer is None else peer.last_received

        if self._surfaces.expire(last_packet):
            self._saver.mark_changed()

    def to_json(self) -> dict[str, Any]:
        """The subscriptions over UDP and the revoked approvals, for `start`."""
        return {
            "forgotten": sorted(self._access.revoked_addresses),
            "surfaces": [
                {"host": s.peer.udp[0], "port": s.peer.udp[1], "owner": s.owner, "fixed": s.fixed, "id": s.id}
                for s in self._surfaces
                if s.peer.udp is not None
            ],
        }


def _resolve_host(address: tuple[str, int]) -> tuple[str, int]:
    """Address with the host name resolved, as approvals are by IP address."""
    try:
        return socket.gethostbyname(address[0]), address[1]
    except OSError:
        return address
