"""Who sends, what they may do, and who wants to be told."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic

from antiphon.errors import UsageError, WireError
from antiphon.io.osc_peer import Level, Peer
from antiphon.wire.osc import encode

MAX_SURFACES = 64
MAX_HELD = 64
MAX_APPROVED = 256
APPROVAL_SECONDS = 12 * 3600.0
"""An approval is for an evening: at the next venue the same address may be somebody else's."""
REFUSALS = 3
"""Datagrams refused by a subscriber's machine, with nothing heard in between, until it counts as gone."""
LEASE = 300.0
"""Seconds of silence after which a UDP subscriber on another machine counts as gone."""
RETRY = 1.0
"""Seconds between tries of a `--surface` that refuses."""


HELD_TOLD = 10.0
"""Seconds between two answers to a machine that waits for approval."""


class Access:
    """Which addresses may do what. Loopback may do everything; strangers are held until approved.

    An approval ends after `APPROVAL_SECONDS`; `allow` names addresses that need none. on_change: an address may do more
    or less than before.
    """

    def __init__(self, allow: Iterable[str] = (), clock: Callable[[], float] = monotonic) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._clock = clock
        self._allowed = {_address(host) for host in allow}
        self._approved: dict[str, float] = {}
        self._forgotten: set[str] = set()
        self._held: dict[str, None] = {}
        self._told: dict[str, float] = {}
        self.held_messages = 0

    def level(self, host: str) -> Level:
        if own_machine(host):
            return Level.OWNER
        return Level.SURFACE if host in self._allowed or host in self._approved else Level.HELD

    def hold(self, host: str) -> bool:
        """Counts a message from an address that waits for approval; the last `MAX_HELD` of them are remembered.

        True when it may be answered: once in `HELD_TOLD` seconds whatever its port, and `MAX_HELD` machines in that
        time. `told` says that it was.
        """
        self.held_messages += 1
        self._held.pop(host, None)
        if len(self._held) >= MAX_HELD:
            del self._held[next(iter(self._held))]
        self._held[host] = None
        if len(self._told) >= MAX_HELD:
            now = self._clock()
            self._told = {told: at for told, at in self._told.items() if now - at < HELD_TOLD}
        return len(self._told) < MAX_HELD and self._clock() - self._told.get(host, -HELD_TOLD) >= HELD_TOLD

    def told(self, host: str) -> None:
        """An address that waits was answered."""
        self._told[host] = self._clock()

    def held(self) -> list[str]:
        """Addresses that wait, the one that sent last at the end."""
        return list(self._held)

    def approved(self) -> list[str]:
        return sorted(self._allowed | self._approved.keys())

    def approve(self, host: str) -> None:
        """Lets an address play from now on."""
        host = _address(host)
        if len(self._approved) >= MAX_APPROVED and host not in self._approved:
            raise UsageError(f"at most {MAX_APPROVED} addresses can be approved; `antiphon forget` one first")
        self._approved[host] = self._clock() + APPROVAL_SECONDS
        self._forgotten.discard(host)
        self._held.pop(host, None)
        self.on_change()

    def restore(self, left: Mapping[str, float], forgotten: Iterable[str] = ()) -> None:
        """Takes up what an earlier process approved, less what it forgot. left: seconds until each approval ends."""
        now = self._clock()
        self._forgotten |= {_address(host) for host in forgotten}
        self._allowed -= self._forgotten
        self._approved |= {host: now + seconds for host, seconds in left.items() if host not in self._forgotten}
        self.on_change()

    def forget(self, host: str) -> None:
        """Takes an approval back, `--allow`'s too, or an address off the list of those held."""
        host = _address(host)
        if not {host} & {*self._allowed, *self._approved, *self._held}:
            there = ", ".join([*self.approved(), *self._held][:40]) or "none"
            raise UsageError(f"{host} is neither approved nor held; these are: {there}")
        self._forgotten.add(host)
        self._allowed.discard(host)
        self._approved.pop(host, None)
        self._held.pop(host, None)
        self.on_change()

    @property
    def forgotten(self) -> frozenset[str]:
        """Addresses whose approval was taken back and not given again."""
        return frozenset(self._forgotten)

    def lapse(self) -> None:
        """Ends the approvals whose time is over."""
        now = self._clock()
        over = [host for host, until in self._approved.items() if until <= now]
        for host in over:
            del self._approved[host]
        if over:
            self.on_change()


def own_machine(host: str) -> bool:
    """Whether an address is this machine's own: the kernel takes no such packets from outside."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise UsageError(f"{host!r} is not an IP address such as 192.168.1.20") from None


@dataclass(slots=True)
class Surface:
    """One subscriber. peer: where it listens.  owner: key of the peer that asked, whose moves it knows.

    fixed: named by `--surface`, never dropped.
    """

    id: int
    peer: Peer
    owner: str
    fixed: bool = False
    refusals: int = 0
    quiet_until: float = 0.0
    since: float = 0.0

    @property
    def told(self) -> bool:
        """Whether it may be told anything: whoever started the server named it, or its machine is approved."""
        return self.fixed or self.peer.level is not Level.HELD

    def moved_by(self, source: object) -> bool:
        """Whether a change came from this surface itself."""
        if source in (self.owner, self.peer.key):
            return True
        # A surface named by its listening port sends from another port of its machine; here that may be anyone.
        return self.fixed and self.peer.level != Level.OWNER and str(source).startswith(f"{self.peer.host}:")


class Surfaces:
    """Those that are told of changes, beats, meters and events."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._by_key: dict[str, Surface] = {}
        self.expired = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Surface]:
        return iter(list(self._by_key.values()))

    def find(self, key: str) -> Surface | None:
        return self._by_key.get(key)

    def add(self, peer: Peer, owner: str, fixed: bool = False, number: int | None = None) -> Surface:
        """Subscribes `peer`, once: asked again it keeps its number and its lease begins anew."""
        known = self._by_key.get(peer.key)
        if known is not None:
            known.owner, known.refusals, known.since = owner, 0, self._clock()
            return known
        if len(self) >= MAX_SURFACES:
            raise WireError(f"at most {MAX_SURFACES} surfaces can subscribe; /notify 0 frees a place")
        used = {s.id for s in self._by_key.values()}
        free = number if number is not None and number not in used else min(set(range(len(used) + 1)) - used)
        surface = Surface(free, peer, owner, fixed, since=self._clock())
        self._by_key[peer.key] = surface
        return surface

    def remove(self, key: str) -> Surface | None:
        """Ends the subscription of the peer that listens, or of the one that asked."""
        gone = self._by_key.pop(key, None)
        if gone is None:
            gone = next((s for s in self._by_key.values() if s.owner == key), None)
            if gone is not None:
                del self._by_key[gone.peer.key]
        return gone

    def judge(self, access: Access) -> bool:
        """Looks again at what every subscriber may do; True when some may no longer be told anything, and are gone."""
        before = len(self)
        for surface in self:
            peer = surface.peer
            peer.level = access.level(peer.host)
            if not surface.told or peer.host in access.forgotten:
                del self._by_key[peer.key]
        self.expired += before - len(self)
        return len(self) != before

    def refused(self, key: str) -> bool:
        """A datagram to this peer was refused by its machine; True when it is gone for good."""
        surface = self._by_key.get(key)
        if surface is None:
            return False
        if surface.peer.heard > surface.since:
            surface.since, surface.refusals = surface.peer.heard, 0
        surface.refusals += 1
        if surface.refusals < REFUSALS:
            return False
        if surface.fixed:
            surface.quiet_until = self._clock() + RETRY
            return False
        del self._by_key[key]
        self.expired += 1
        return True

    def expire(self, heard: Callable[[str], float]) -> list[Surface]:
        """Drops connections that ended, who is not approved, and far UDP subscribers silent beyond their lease.

        heard: when the peer of a key was last heard, for those that listen elsewhere.
        """
        now = self._clock()
        gone = []
        for surface in self:
            peer = surface.peer
            last = max(surface.since, peer.heard, heard(surface.owner))
            far = peer.udp is not None and peer.level != Level.OWNER and not surface.fixed
            if peer.link_lost or not surface.told or (far and now - last > LEASE):
                del self._by_key[peer.key]
                self.expired += 1
                gone.append(surface)
        return gone


def held_answer(host: str, most: int) -> bytes | None:
    """What an address is answered that waits for approval, in at most so many bytes; None where nothing fits.

    A datagram may come from anywhere and say it came from `host`: no more goes there than was sent.
    """
    for words in (f"{host} waits to be let in: antiphon approve {host}", "not approved yet", "held"):
        packet = encode("/fail", "", words)
        if len(packet) <= most:
            return packet
    return None
