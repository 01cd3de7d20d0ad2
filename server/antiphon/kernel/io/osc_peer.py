"""One sender of OSC: its reply address, its permissions, the limit on its error replies, and its queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from time import monotonic
from typing import Any

from antiphon.kernel.errors import WireError
from antiphon.kernel.wire.osc import Message

PER_SECOND = 50
FEW = 5
"""Refusals of a sender within a second that others are told of too."""


SLOW = 10
"""Usual messages above its share of a turn that make a lane a slow one."""


class LaneUsage:
    """Packets and bytes waiting in the lanes that share a limit."""

    __slots__ = ("bytes", "packets")

    def __init__(self) -> None:
        self.packets = self.bytes = 0


class Lane:
    """Packets of one sender or connection, in order of arrival.

    `held`: whether they wait for the end of a message that a thread works on. `slow`: whether the last ones cost over
    `SLOW` more than its share of a turn.
    """

    __slots__ = ("came", "held", "listed", "queue", "rest", "room", "slow")

    def __init__(self, room: LaneUsage | None = None) -> None:
        self.queue: deque[tuple[bytes, Peer]] = deque()
        self.rest: deque[tuple[Message | WireError, Peer, Any]] = deque()
        self.listed = self.held = self.slow = False
        self.room = room or LaneUsage()
        self.came = 0

    @property
    def waiting(self) -> bool:
        return bool(self.queue or self.rest)

    @property
    def ready(self) -> bool:
        """Whether the next of its packets may be handled."""
        return not self.held and self.waiting

    def put(self, data: bytes, peer: Peer) -> None:
        self.queue.append((data, peer))
        self.came += 1
        self.room.packets += 1
        self.room.bytes += len(data)

    def has_handled(self, count: int) -> bool:
        """Whether its first `count` packets have been handled, with the bundles among them, or wait for a thread."""
        taken = self.came - len(self.queue)
        return self.held or taken > count or (taken == count and not self.rest)

    def take(self) -> tuple[bytes, Peer]:
        """Removes and returns the oldest packet; the queue must not be empty."""
        data, peer = self.queue.popleft()
        self.room.packets -= 1
        self.room.bytes -= len(data)
        return data, peer


class FailLimiter:
    """At most `PER_SECOND` answers within any one second's window."""

    __slots__ = ("_clock", "_count", "_start")

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._start = -1.0
        self._count = 0

    @property
    def is_among_first(self) -> bool:
        """Whether the last answer was among the first `FEW` of its second."""
        return self._count <= FEW

    def allows(self) -> bool:
        now = self._clock()
        if now - self._start >= 1.0:
            self._start, self._count = now, 0
        self._count += 1
        return self._count <= PER_SECOND


class Level(IntEnum):
    """Permissions of a sender. HELD: nothing. SURFACE: parameters, notes, scenes, time. OWNER: everything."""

    HELD = 0
    SURFACE = 1
    OWNER = 2


class Peer:
    """One sender: a UDP address or a TCP connection. `key` identifies it.

    `room`: the total to which its waiting packets count, where senders share a limit. `link_lost`: the TCP connection
    has ended; nothing can be sent any more.
    """

    __slots__ = ("_send", "fails", "full_reported", "host", "key", "lane", "last_received", "level", "link_lost", "udp")

    def __init__(
        self,
        key: str,
        host: str,
        level: Level,
        send: Callable[[bytes], object],
        udp: tuple[str, int] | None = None,
        room: LaneUsage | None = None,
    ) -> None:
        self.key, self.host, self.level, self.udp = key, host, level, udp
        self._send = send
        self.fails = FailLimiter()
        self.lane = Lane(room)
        self.last_received = 0.0
        self.full_reported = -1.0
        self.link_lost = False

    def send(self, packet: bytes) -> None:
        if not self.link_lost:
            self._send(packet)


class Rotation:
    """The lanes that contain packets, in the order of their turns."""

    def __init__(self) -> None:
        self._lanes: deque[Lane] = deque()
        self._slow: deque[Lane] = deque()

    def __bool__(self) -> bool:
        return bool(self._lanes or self._slow)

    def __len__(self) -> int:
        return len(self._lanes) + len(self._slow)

    def add(self, lane: Lane) -> None:
        """Adds a lane that contains packets; one that is held is added at its end."""
        if not lane.listed and not lane.held:
            lane.listed = True
            (self._slow if lane.slow else self._lanes).append(lane)

    def snapshot(self) -> list[tuple[Lane, int]]:
        """A snapshot: the waiting lanes, each with the number of packets put into it so far."""
        return [(lane, lane.came) for lane in (*self._lanes, *self._slow)]

    def take_next(self, turn: int, *, slow: bool = False) -> tuple[Lane, int]:
        """Removes the next lane, of which there must be one; returns it with its share of `turn`, 1 at least.

        A round of the lanes takes about one turn, or a message of each, also where many senders have left. Slow lanes
        are behind the others, unless `slow`, and have half a share.
        """
        share = max(1, turn // len(self))
        slow = bool(self._slow) and (slow or not self._lanes)
        lane = (self._slow if slow else self._lanes).popleft()
        lane.listed = False
        return lane, max(1, share // 2) if slow else share
