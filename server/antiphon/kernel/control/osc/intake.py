"""Packet intake: dispatches about a hundred messages a turn, round robin over the senders' lanes.

Of the plain values of a parameter in a turn the last is applied; any other message first applies those before it.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from time import monotonic, thread_time
from typing import TypeVar

from antiphon.kernel.control.commands.executor import CommandExecutor
from antiphon.kernel.control.subscribers.clients import Access, unapproved_answer
from antiphon.kernel.errors import AntiphonError, EngineBusy, MissingArgument, RequestError, WireError
from antiphon.kernel.io.osc_peer import SLOW, Lane, Level, Peer, Rotation
from antiphon.kernel.runtime.extras import advice
from antiphon.kernel.runtime.suggestion import nearest, suggest
from antiphon.kernel.session.commands import NOW, Beat, Sample, When
from antiphon.kernel.session.router import Router
from antiphon.kernel.session.schedule import Moment, Schedule, ScheduleFull
from antiphon.kernel.session.session import Session
from antiphon.kernel.wire.osc import (
    IMMEDIATELY,
    MAX_DATAGRAM,
    Arg,
    Bundle,
    Message,
    Packet,
    address_text,
    decode,
    encode,
)
from antiphon.kernel.wire.pattern import is_pattern

T = TypeVar("T")
Handler = Callable[[Peer, tuple[Arg, ...], When], None]
"""(sender, arguments, time); raises `AntiphonError`, whose text is sent to the sender."""


@dataclass(slots=True, eq=False)
class AddressRoute:
    """The route of one address.

    `low`, `high`: a single number in this range only sets `param` of `node`, so that `Intake` may gather it; low above
    high for none.
    """

    address: str
    handler: Handler
    level: Level = Level.OWNER
    timed: bool = False  # whether the handler applies `when` itself; other handlers are called when the message is due
    low: float = 1.0
    high: float = 0.0
    node: str = ""
    param: str = ""
    asks: bool = False  # whether a message without arguments asks for the value
    at_once: bool = False  # whether it only asks for the present state; it is then refused with a time in the future
    usage: str = ""
    check: Handler | None = None  # raises AntiphonError: the handler would refuse the message
    is_value: bool = False  # whether it is a parameter's or macro's value, which patterns reach
    edits: bool = False  # whether nodes, and with them addresses and ranges, may be others after a message


MAX_MESSAGES, MAX_BYTES = 4096, 4 << 20
EACH_MESSAGES, EACH_BYTES = MAX_MESSAGES // 4, MAX_BYTES // 4
"""Limits per machine, so that no sender can fill the queue alone."""
MESSAGE_BYTES, ARG_BYTES = 256, 64
"""Approximate memory of a message, and of an argument, without its text and blobs."""


class DeferredMessages(Schedule[tuple[Message, Peer, AddressRoute]]):
    """Messages waiting for the time of their bundle."""

    def __init__(self, rate: int) -> None:
        """An empty queue; `rate` is in frames per second."""
        super().__init__(rate, MAX_MESSAGES)
        self._each: dict[str, tuple[int, int]] = {}
        self.bytes = 0
        self.dropped = 0

    def defer(self, when: When, message: Message, peer: Peer, route: AddressRoute) -> None:
        """Adds a message to be handled at a future time."""
        size = message_bytes(message)
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
        self.add(when, (message, peer, route))
        self._each[peer.host] = (count + 1, used + size)
        self.bytes += size

    def take_due(self, now: Moment) -> list[tuple[Message, Peer]]:
        """Removes and returns the due messages, in order, without queries of closed connections."""
        due = []
        for message, peer, route in self.due(now):
            size = message_bytes(message)
            count, used = self._each.pop(peer.host)
            self.bytes -= size
            if count > 1:
                self._each[peer.host] = (count - 1, used - size)
            if peer.link_lost and is_query(message, route):
                self.dropped += 1
            else:
                due.append((message, peer))
        return due

    def clear(self) -> list[tuple[Message, Peer, AddressRoute]]:
        """Removes all messages and returns them."""
        self._each.clear()
        self.bytes = 0
        return super().clear()


def is_query(message: Message, route: AddressRoute) -> bool:
    """True if a message is a query."""
    return route.asks and not message.args


def message_bytes(message: Message) -> int:
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


PER_TURN = 100
MESSAGE_SECONDS = 100e-6
"""Processor time of a usual message; one that takes longer counts as many."""
MAX_ATOMIC_MESSAGES = 256
"""Maximum messages of a bundle handled atomically, so that the engine gets all of it before one block. A pattern counts
as the addresses it matches; a longer bundle is handled message by message."""
SYNC = b"/sync"
MAX_BEHIND = 1024
"""Maximum `/sync` messages waiting for other senders' earlier messages; further ones wait for their own sender only.
Maximum messages too that wait in a lane for one on which a thread works, besides those of its queue."""
_SHORT = 3
"""Words longer than this are matched as part of an address."""
NUMBERS = frozenset({float, int, bool})
PASSED_SECONDS = 1.0
"""Lateness after a message's beat, in s, above which the sender is answered; a busy machine or network stays below."""
_NEEDS_TOKEN = "this needs the token: use the page, or the machine Antiphon runs on"
_AT_ONCE = "is answered at once; send it without a time tag, or with one that is not in the future"
_NO_BEAT = "this takes effect at no beat; send it without /at"
_NOTHING_DONE = "; nothing of its bundle was done"
_NEVER_ANSWERED = ("/fail", "/refused", "/remark", "/done", "/pong", "/synced", "/late", "/meter", "/packet")


class Intake:
    """Packet intake: dispatches messages to their handlers.

    `tap`: called with every packet and its sender, for `antiphon monitor`; None for nothing.
    """

    def __init__(
        self, router: Router[AddressRoute], executor: CommandExecutor, access: Access, wake_at: Callable[[int], None]
    ) -> None:
        """Connects the parts; `wake_at` schedules a call of `handle_due` for when a sample's time has passed."""
        parts = executor.parts
        self._router, self._executor, self._access, self._wake_at = router, executor, access, wake_at
        self._session, self._clock, self._replies = parts.session, parts.clock, parts.replies
        self._feedback, self._faults = parts.feedback, parts.faults
        self.lanes, self._passed = Rotation(), 0  # turns since a slow lane had one
        self._behind: list[tuple[list[tuple[Lane, int]], AddressRoute, Message, Peer]] = []
        self.deferred = DeferredMessages(self._session.rate)
        self._deferred_at: set[int] = set()
        self._held: dict[Lane, asyncio.Task[None]] = {}
        self.wake: Callable[[], None] = lambda: None  # has the lanes handled
        self.tap: Callable[[bytes, Peer], None] | None = None
        self.handling = Message(b"", b",", ())
        self.received = 0
        self.ignored = 0
        self.late = 0

    def turn(self) -> None:
        """Handles about `PER_TURN` messages, round robin over the lanes, slow ones behind the others."""
        left, long_ago = PER_TURN, self._passed >= len(self.lanes)
        self._passed += 1
        for n in range(len(self.lanes)):
            lane, share = self.lanes.take_next(PER_TURN, slow=n == 0 and long_ago)
            cost, was_slow = self._work(lane, min(share, left)), lane.slow
            left -= cost
            lane.slow = lane.ready and cost > share + SLOW
            if was_slow or lane.slow:
                self._passed = 0
            if lane.ready:
                self.lanes.add(lane)
            if left <= 0:
                break
        self._executor.flush()
        if self._behind:
            self._sync()

    def begin_slow(self, peer: Peer, address: str, work: Callable[[], T], then: Callable[[T], object]) -> None:
        """Works in a thread, and calls `then` with the result; the sender's later messages wait for that.

        An AntiphonError of either is answered with `/fail`.
        """

        async def finish() -> None:
            try:
                then(await asyncio.to_thread(work))
            except AntiphonError as error:
                self._replies.fail(peer, address, str(error))
            except Exception as error:
                self._replies.fail(peer, address, self._faults.add(address, error))
            finally:
                del self._held[peer.lane]
                peer.lane.held = False
                if peer.lane.waiting:
                    self.lanes.add(peer.lane)
                self.wake()

        peer.lane.held = True
        self._held[peer.lane] = asyncio.get_running_loop().create_task(finish(), name=address)

    def queue_behind_slow(self, message: Message, peer: Peer) -> bool:
        """Queues a message behind the one of its lane that a thread works on, and behind those that waited for that.

        Returns False where there are none. Raises EngineBusy: `MAX_BEHIND` messages wait in that lane already.
        """
        lane = peer.lane
        if not (lane.held or lane.rest):
            return False
        if len(lane.rest) >= MAX_BEHIND:
            raise EngineBusy(f"{MAX_BEHIND} messages wait for a patch that is being read; send it again in a moment")
        lane.rest.append((message, peer, NOW))
        return True

    def _sync(self) -> None:
        """Handles each `/sync` after all packets that arrived before it, from any sender."""
        waiting, self._behind = self._behind, []
        for others, route, message, peer in waiting:
            left = [(lane, count) for lane, count in others if not lane.has_handled(count)]
            if left:
                self._behind.append((left, route, message, peer))
            else:
                self.call(route, message, peer, NOW)

    def _work(self, lane: Lane, share: int) -> int:
        """Handles up to `share` messages of a lane; returns the cost in messages. An exception ends one message."""
        budget = share
        while budget > 0 and lane.ready:
            try:
                budget = self._handle_some(lane, budget)
            except Exception as error:
                # the number handled before it is unknown: count the whole share
                budget = 0
                self._replies.failed += 1
                self._faults.add("a message", error)
        return share - budget

    def _handle_some(self, lane: Lane, budget: int) -> int:
        """Handles messages of a lane until the budget is spent; returns the remaining budget. Exceptions propagate."""
        queue, rest, moves = lane.queue, lane.rest, self._executor.gathered
        exact = self._router.exact
        now = monotonic()
        while budget > 0 and not lane.held:
            if rest:
                budget -= self._handle_elements(
                    lane, max(budget, MAX_ATOMIC_MESSAGES) if len(rest) <= MAX_ATOMIC_MESSAGES else budget
                )
                continue
            if not queue:
                break
            data, peer = lane.take()
            self.received += 1
            if self.tap is not None:
                self.tap(data, peer)
            if peer.level is Level.HELD:
                self._hold(peer, len(data))
                budget -= 1
                continue
            peer.last_received = now
            decoded = decode(data)
            if type(decoded) is Message:
                route = exact.get(decoded.address)
                args = decoded.args
                if route is not None and len(args) == 1:
                    value = args[0]
                    if type(value) in NUMBERS and route.low <= value <= route.high:  # type: ignore[operator]
                        # remove and reinsert, so that the order is by last value
                        moves.pop(route, None)
                        moves[route] = (value, peer)  # type: ignore[assignment]
                        budget -= 1
                        continue
                budget -= self._one(decoded, peer, NOW)
            elif type(decoded) is Bundle:
                budget -= self._unpack_bundle(lane, decoded, peer)
            else:
                assert isinstance(decoded, WireError)
                self._replies.fail(peer, decoded.address, str(decoded))
                budget -= 1
        return budget

    def _hold(self, peer: Peer, size: int) -> None:
        """Counts a packet of `size` bytes from an unapproved address, and may answer it."""
        if not self._access.hold(peer.host):
            return
        # the source of a TCP connection is verified, that of a datagram may be forged
        answer = unapproved_answer(peer.host, MAX_DATAGRAM if peer.udp is None else size)
        if answer is not None:
            self._access.note_answer(peer.host)
            self._replies.reply(peer, answer)

    def _unpack_bundle(self, lane: Lane, bundle: Bundle, peer: Peer) -> int:
        """Unpacks a bundle's messages, each with its time, to the front of the lane; returns the cost in messages.

        Of up to `MAX_ATOMIC_MESSAGES` none is handled if one would be refused.
        """
        messages: list[tuple[Message | WireError, Peer, When]] = []
        stack: list[tuple[Packet, int]] = [(bundle, 0)]
        whens: dict[int, When] = {0: NOW}
        while stack:
            packet, tag = stack.pop()
            if isinstance(packet, Bundle):
                # a nested bundle is never earlier than the one around it
                inner = tag if packet.timetag <= IMMEDIATELY else max(tag, packet.timetag)
                if inner not in whens:
                    try:
                        whens[inner] = self._clock.sample_at_timetag(inner)
                    except RequestError as error:
                        self._replies.fail(peer, "#bundle", str(error))
                        return 1
                stack.extend((item, inner) for item in reversed(packet.items))
            else:
                messages.append((packet, peer, whens[tag]))
        checked = 1 < len(messages) <= MAX_ATOMIC_MESSAGES
        if not checked or self._check_bundle(messages):
            lane.rest.extendleft(reversed(messages))
        return len(messages) if checked else 1

    def _check_bundle(self, messages: Iterable[tuple[Message | WireError, Peer, When]]) -> bool:
        """Answers the first message of a bundle that would be refused; returns False if there is one."""
        present, now = True, self._clock.moment()
        for message, peer, when in messages:
            if isinstance(message, WireError):
                self._replies.fail(peer, message.address, f"{message}{_NOTHING_DONE}")
                return False
            self.handling = message
            route = self._router.exact.get(message.address)
            try:
                if route is not None:
                    self._check(route, message, peer, when, now, present=present)
                    present = present and not (route.edits and (message.args or not route.asks))
                elif present and not is_pattern(message.address) and not _is_answer(message.address):
                    raise RequestError(
                        unknown_address(address_text(message.address), self._router.exact, self._session)
                    )
            except AntiphonError as error:
                name = address_text(message.address)
                usage = f"; write {route.usage}" if isinstance(error, MissingArgument) and route and route.usage else ""
                self._replies.fail(peer, name, f"{error}{usage}{_NOTHING_DONE}")
                return False
        return True

    def _check(
        self, route: AddressRoute, message: Message, peer: Peer, when: When, now: Moment, *, present: bool
    ) -> None:
        """Raises AntiphonError: the message would be refused. `present`: the nodes are those that it will find."""
        if peer.level < route.level:
            raise RequestError(_NEEDS_TOKEN)
        if type(when) is Sample and route.at_once and self.deferred.future(when, now):
            raise RequestError(_AT_ONCE)
        if present and route.check is not None:
            route.check(peer, message.args, when if route.timed else NOW)

    def _handle_elements(self, lane: Lane, most: int) -> int:
        """Handles elements of a bundle, up to the cost `most`, which take effect at one sample; returns their cost."""
        cost, began = 0, thread_time()
        with self._executor.batch():
            while lane.rest and cost < most and not lane.held:
                cost += self._handle_one(*lane.rest.popleft())
        return cost + int((thread_time() - began) / MESSAGE_SECONDS)

    def _one(self, packet: Message | WireError, peer: Peer, when: When) -> int:
        """Handles one message; returns its cost in messages, by the processor time that it took."""
        began = thread_time()
        cost = self._handle_one(packet, peer, when)
        return cost + int((thread_time() - began) / MESSAGE_SECONDS)

    def _handle_one(self, packet: Message | WireError, peer: Peer, when: When) -> int:
        """Handles one message; returns its cost as the number of addresses."""
        if isinstance(packet, WireError):
            self._replies.fail(peer, packet.address, str(packet))
            return 1
        address = packet.address
        route = self._router.exact.get(address)
        if route is not None:
            if address == SYNC and when is NOW and self.lanes and len(self._behind) < MAX_BEHIND:
                self._behind.append((self.lanes.snapshot(), route, packet, peer))
            else:
                self.call(route, packet, peer, when)
            return 1
        if is_pattern(address):
            try:
                routes = self._router.match(address)
            except WireError as error:
                self._replies.fail(peer, address_text(address), str(error))
                return 4
            with self._executor.batch():
                for match in routes:
                    self.call(match, packet, peer, when)
            return 4 + len(routes)
        if _is_answer(address):
            # another server's: answering it could loop forever
            self.ignored += 1
        else:
            self._fail_unknown(peer, packet)
        return 1

    def _fail_unknown(self, peer: Peer, message: Message) -> None:
        name = address_text(message.address)
        self._replies.fail(peer, name, partial(unknown_address, name, self._router.exact, self._session))

    def call(self, route: AddressRoute, message: Message, peer: Peer, when: When) -> None:
        """Calls a route's handler, or defers the message to its bundle's time; errors are answered with `/fail`."""
        if peer.level < route.level:
            self._replies.fail(peer, route.address, _NEEDS_TOKEN)
            return
        self._executor.flush()
        self.handling = message
        try:
            if type(when) is Sample and self._defer(route, message, peer, when):
                return
            route.handler(peer, message.args, when if route.timed else NOW)
        except MissingArgument as error:
            self._replies.fail(peer, route.address, f"{error}; write {route.usage}" if route.usage else str(error))
        except ScheduleFull as error:
            self._replies.fail_schedule_full(peer, route.address, str(error))
        except AntiphonError as error:
            self._replies.fail(peer, route.address, str(error))
        except Exception as error:
            self._replies.fail(peer, route.address, self._faults.add(route.address, error))

    def check_at_beat(self, beat: float, message: Message, peer: Peer) -> None:
        """Raises AntiphonError: a message that takes effect at a beat would be refused; the sentence names it."""
        name, route = address_text(message.address), self._router.exact.get(message.address)
        if route is None:
            raise RequestError(f"{name}: {unknown_address(name, self._router.exact, self._session)}")
        if not route.timed or is_query(message, route):
            raise RequestError(f"{name}: {_NO_BEAT}")
        try:
            self._check(route, message, peer, Beat(beat), self._clock.moment(), present=True)
        except AntiphonError as error:
            raise RequestError(f"{name}: {error}") from None

    def at_beat(self, beat: float, message: Message, peer: Peer) -> None:
        """Handles a message that takes effect at a beat (a past one is now); a refusal is answered with `/fail`."""
        route = self._router.exact.get(message.address)
        if route is None:
            self._fail_unknown(peer, message)
        elif not route.timed or is_query(message, route):
            self._replies.fail(peer, route.address, _NO_BEAT)
        else:
            now = self._clock.moment().beat
            seconds = (now - beat) * 60.0 / self._session.state.tempo
            if seconds > PASSED_SECONDS and peer.fails.allows():
                said = f"its time had passed {seconds:.1f} s ago: /at {beat:g} when the beat was {now:.1f}"
                self._replies.reply(peer, encode("/remark", address_text(message.address), said))
            self.call(route, message, peer, Beat(beat))

    def _defer(self, route: AddressRoute, message: Message, peer: Peer, when: Sample) -> bool:
        """Defers a message that control itself handles, if its time is in the future; reports a late one."""
        behind_others = route.address == "/sync" and when.n in self._deferred_at
        if route.timed and not behind_others and not is_query(message, route):
            return False
        now = self._clock.moment()
        if self.deferred.future(when, now):
            if route.at_once:
                raise RequestError(_AT_ONCE)
            single = message._replace(address=route.address.encode())
            self.deferred.defer(when, single, peer, route)
            self._deferred_at.add(when.n)
            self._wake_at(when.n)
            return True
        seconds = (now.sample - when.n) / self._session.rate
        if seconds > 0:
            self.late += 1
            self._feedback.add_late(route.address, seconds)
        return False

    def handle_due(self, now: Moment) -> None:
        """Handles the due deferred messages."""
        with self._executor.batch():
            for message, peer in self.deferred.take_due(now):
                route = self._router.exact.get(message.address)
                try:
                    if self.queue_behind_slow(message, peer):
                        continue
                except EngineBusy as error:
                    self._replies.fail(peer, address_text(message.address), str(error))
                    continue
                if route is None:
                    self._fail_unknown(peer, message)
                else:
                    self.call(route, message, peer, NOW)
        self._deferred_at = {n for n in self._deferred_at if n > now.sample}


def _is_answer(address: bytes) -> bool:
    """Whether an address is that of another server's answer."""
    name = address_text(address)
    return name.startswith(_NEVER_ANSWERED) or name.endswith(".reply")


def unknown_address(address: str, known: Iterable[bytes], session: Session) -> str:
    """Error text for an unknown address, with the most similar known address."""
    parts, ours = address.split("/"), "/node/"
    if lacking := advice("plugin", parts[1] if len(parts) > 1 else ""):
        return lacking
    parts = ["", "node", *parts[1:]] if address.startswith("/macro/") else parts
    if parts[1:2] == ["node"] and len(parts) > 3:
        try:
            session.state.param(parts[2], parts[3])
        except RequestError as error:
            return str(error)
        ours = f"/node/{parts[2]}/"
    every = (address_text(one) for one in known)
    # nodes have many addresses: compare only those of the node in question
    near = [name for name in every if name.startswith(ours) or not name.startswith("/node/")]
    word, last = address.strip("/"), f"/{parts[-1]}"
    like = [name for name in near if len(word) > _SHORT and (word in name or name.strip("/") in word)]
    like = [last] if last in near else like
    found = ("" if last in near else suggest(address, near)) or (
        f"did you mean {' or '.join(like[:2])}? " if like else ""
    )
    fixed = sorted(name for name in near if not name.startswith("/node/"))
    return f"there is no such address; {found or f'{nearest(address, fixed)}; '}/node/list lists the nodes"
