"""Queue of time-tagged messages that control handles itself, bounded in number and in bytes."""

from __future__ import annotations

from collections.abc import Iterable

from antiphon.kernel.control.osc.route import AddressRoute
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session.commands import When
from antiphon.kernel.session.schedule import Moment, Schedule, ScheduleFull
from antiphon.kernel.wire.osc import Arg, Message

MAX_MESSAGES, MAX_BYTES = 4096, 4 << 20
EACH_MESSAGES, EACH_BYTES = MAX_MESSAGES // 4, MAX_BYTES // 4
"""Limits per machine, so that no sender can fill the queue alone."""
MESSAGE_BYTES, ARG_BYTES = 256, 64
"""Approximate memory of a message, and of an argument, without its text and blobs."""


class Deferred:
    """Messages waiting for the time of their bundle."""

    def __init__(self, rate: int) -> None:
        """An empty queue; `rate` is in frames per second."""
        self._schedule: Schedule[tuple[Message, Peer, AddressRoute]] = Schedule(rate, MAX_MESSAGES)
        self._each: dict[str, tuple[int, int]] = {}
        self.bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._schedule)

    def future(self, when: When, now: Moment) -> bool:
        """True if a time is in the future, as `Schedule.future`."""
        return self._schedule.future(when, now)

    def add(self, when: When, message: Message, peer: Peer, route: AddressRoute) -> None:
        """Adds a message to be handled at a future time."""
        size = weight(message)
        count, used = self._each.get(peer.host, (0, 0))
        if count >= EACH_MESSAGES or used + size > EACH_BYTES:
            raise ScheduleFull(
                f"{peer.host} has {count} messages of {used >> 10} KiB scheduled already, of at most "
                f"{EACH_MESSAGES} and {EACH_BYTES >> 10} KiB; send them nearer to their time"
            )
        if self.bytes + size > MAX_BYTES:
            raise ScheduleFull(
                f"{self.bytes >> 20} MiB of messages are scheduled already; send this one nearer to its time"
            )
        self._schedule.add(when, (message, peer, route))
        self._each[peer.host] = (count + 1, used + size)
        self.bytes += size

    def due(self, now: Moment) -> list[tuple[Message, Peer]]:
        """Removes and returns the due messages, in order, without queries of closed connections."""
        messages = self._schedule.due(now)
        self._forget(messages)
        due = [(message, peer) for message, peer, route in messages if not (peer.link_lost and asks(message, route))]
        self.dropped += len(messages) - len(due)
        return due

    def clear(self) -> None:
        """Removes all messages."""
        self._schedule.clear()
        self._each.clear()
        self.bytes = 0

    def _forget(self, taken: Iterable[tuple[Message, Peer, AddressRoute]]) -> None:
        for message, peer, _ in taken:
            size = weight(message)
            count, used = self._each[peer.host]
            self.bytes -= size
            if count > 1:
                self._each[peer.host] = (count - 1, used - size)
            else:
                del self._each[peer.host]


def asks(message: Message, route: AddressRoute) -> bool:
    """True if a message is a query."""
    return route.asks and not message.args


def weight(message: Message) -> int:
    """Approximate bytes of memory of a message."""
    return MESSAGE_BYTES + len(message.address) + len(message.tags) + _weight(message.args)


def _weight(args: tuple[Arg, ...]) -> int:
    size = 0
    for arg in args:
        size += ARG_BYTES
        if isinstance(arg, str):
            size += 4 * len(arg)
        elif isinstance(arg, bytes):
            size += len(arg)
        elif isinstance(arg, tuple):
            size += _weight(arg)
    return size
