"""What waits to be handled: a lane for each sender, and the lanes in rotation.

Within a lane things keep their order. Between lanes turns are taken, so that what one sender asks for
holds up another by a share of a turn, however much it is.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.errors import WireError
    from antiphon.io.osc_peer import Peer
    from antiphon.session.commands import When
    from antiphon.wire.osc import Message

AT_ONCE = 4
"""Lanes that share a turn; with fewer that wait, each has more of it."""


class Room:
    """How much waits in the lanes that share a bound. packets, bytes: as they came, not yet taken out."""

    __slots__ = ("bytes", "packets")

    def __init__(self) -> None:
        self.packets = self.bytes = 0


class Lane:
    """Packets of one sender or connection, in order of arrival.

    queue: as they came.  rest: messages of a bundle that was opened.  listed: it is in the rotation.
    room: what its packets count towards.  came: packets put in so far.
    """

    __slots__ = ("came", "listed", "queue", "rest", "room")

    def __init__(self, room: Room | None = None) -> None:
        self.queue: deque[tuple[bytes, Peer]] = deque()
        self.rest: deque[tuple[Message | WireError, Peer, When]] = deque()
        self.listed = False
        self.room = room or Room()
        self.came = 0

    @property
    def waiting(self) -> bool:
        return bool(self.queue or self.rest)

    def put(self, data: bytes, peer: Peer) -> None:
        self.queue.append((data, peer))
        self.came += 1
        self.room.packets += 1
        self.room.bytes += len(data)

    def past(self, count: int) -> bool:
        """Whether its first `count` packets are handled, with the bundles among them."""
        taken = self.came - len(self.queue)
        return taken > count or (taken == count and not self.rest)

    def take(self) -> tuple[bytes, Peer]:
        """The oldest packet; the queue must hold one."""
        data, peer = self.queue.popleft()
        self.room.packets -= 1
        self.room.bytes -= len(data)
        return data, peer


class Rotation:
    """The lanes in which something waits, in the order of their turns."""

    def __init__(self) -> None:
        self._lanes: deque[Lane] = deque()

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def __len__(self) -> int:
        return len(self._lanes)

    def add(self, lane: Lane) -> None:
        """Something waits in a lane."""
        if not lane.listed:
            lane.listed = True
            self._lanes.append(lane)

    def now(self) -> list[tuple[Lane, int]]:
        """The lanes that wait and how many packets each was given: what came before this moment."""
        return [(lane, lane.came) for lane in self._lanes]

    def next(self, turn: int) -> tuple[Lane, int]:
        """Takes out the lane whose turn it is, and its share of `turn`; there must be one."""
        share = max(1, turn // min(AT_ONCE, len(self._lanes)))
        lane = self._lanes.popleft()
        lane.listed = False
        return lane, share
