"""The MQTT bridge: sets parameters, publishes values, and reconnects to the broker; its topics and payloads.

antiphon/NAME/PARAM/set    received: one number, for a switch also true or false
antiphon/NAME/PARAM        published, retained: the plain number; for a choice its index, for a switch 1 or 0
antiphon/panic             received: anything but 0 and false triggers /panic
antiphon/status            published, retained, and the last will: online or offline

User documentation: docs/clients/mqtt.md.
"""

import asyncio
import contextlib
import logging
import math
import re
import socket
from collections.abc import Callable, Coroutine
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, NoReturn

import aiomqtt
from aiomqtt import MqttError
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from antiphon.api import AntiphonError, Param, Value
from antiphon.api.backends.transports import Panic, RequestError, SetParam, TransportServer, WireError
from antiphon_mqtt.broker import Broker

MAX_TOPICS = 16384
SLOW = 0.1
"""Minimum seconds between two values of a readonly parameter."""


class PublishQueue:
    """Queue of topics and payloads to publish.

    `dropped`: values superseded while the broker was away, or beyond the bound. `wake`: event set by new data.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.wake = asyncio.Event()
        self._waiting: dict[str, bytes] = {}
        self._slow: dict[str, bytes] = {}
        self._published: dict[str, bytes] = {}
        self._open = False
        self._slow_from = 0.0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._slow)

    def put(self, topic: str, payload: bytes, *, slow: bool = False) -> None:
        """Sets the topic's value to `payload`. `slow`: a node's own report."""
        queue = self._slow if slow else self._waiting
        if topic in queue:
            self.dropped += not self._open
        elif len(self) >= MAX_TOPICS:
            self.dropped += 1
            return
        queue[topic] = payload
        self.wake.set()

    def begin(self, values: dict[str, bytes]) -> None:
        """Queues every value for a new connection, and empty payloads for removed topics."""
        self._waiting.clear()
        self._slow.clear()
        self._open = True
        removed = self._published.keys() - values.keys()
        self._published = dict.fromkeys(removed, b"?")
        self.sync(values)

    def sync(self, values: dict[str, bytes]) -> None:
        """Queues changed values after a change of nodes, and empty payloads for removed topics."""
        for topic in [t for t in self._published if t not in values]:
            self.put(topic, b"")
        for topic in [t for t in self._waiting if t not in values and t not in self._published]:
            del self._waiting[topic]
        for topic in [t for t in self._slow if t not in values]:
            del self._slow[topic]
        for topic, payload in values.items():
            if self._waiting.get(topic, self._published.get(topic)) != payload:
                self.put(topic, payload)

    def end(self) -> None:
        """Handles the loss of the connection."""
        self._open = False

    def take(self, most: int, now: float) -> list[tuple[str, bytes]]:
        """Takes at most `most` messages to publish now, oldest first; an empty payload removes a retained message."""
        if self._slow and now >= self._slow_from:
            self._slow_from = now + SLOW
            self._waiting |= self._slow
            self._slow.clear()
        batch = [(topic, self._waiting.pop(topic)) for topic in list(self._waiting)[:most]]
        for topic, payload in batch:
            if payload:
                self._published[topic] = payload
            else:
                self._published.pop(topic, None)
        return batch

    async def wait(self, now: float) -> None:
        """Waits until `take` has data."""
        self.wake.clear()
        if self._waiting:
            return
        try:
            await asyncio.wait_for(self.wake.wait(), max(0.001, self._slow_from - now) if self._slow else None)
        except TimeoutError:
            return


SETS = "antiphon/+/+/set"
"""Topic filter of all parameter-setting topics."""
STATUS = "antiphon/status"
PANIC = "antiphon/panic"
ONLINE, OFFLINE = b"online", b"offline"
MAX_PAYLOAD = 64
"""Maximum bytes of a number; the longest useful one has 24."""
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SWITCH = {b"true": True, b"false": False}


def target(topic: str) -> tuple[str, str]:
    """(node, parameter) of a parameter-setting topic. Raises `WireError`: it is another topic."""
    parts = topic.split("/")
    if len(parts) != 4 or parts[0] != "antiphon" or parts[3] != "set" or not parts[1] or not parts[2]:
        raise WireError("a parameter is set by antiphon/NAME/PARAM/set")
    return parts[1], parts[2]


def number(payload: bytes, param: Param) -> float | bool:
    """Parses a payload as a finite number, or for a switch also true and false. Raises `WireError`: it is neither.

    Surrounding spaces and line ends are ignored: `echo 0.5 | mosquitto_pub -s` sends a line end.
    """
    if len(payload) <= MAX_PAYLOAD:
        text = payload.strip(b" \t\r\n")
        if param.kind == "switch" and text in _SWITCH:
            return _SWITCH[text]
        if _NUMBER.fullmatch(text):
            parsed = float(text)
            if math.isfinite(parsed):
                return parsed
    also = ", true or false" if param.kind == "switch" else ""
    raise WireError(f"{param.name} takes one number{also} over MQTT")


def is_press(payload: bytes) -> bool:
    """True if a payload presses a button: 0 and false, in any case, are its release."""
    return payload[:MAX_PAYLOAD].strip(b" \t\r\n").lower() not in (b"0", b"false")


def payload_of(param: Param, value: Value) -> bytes | None:
    """Payload of a value; None if it has no number: text, files, triggers, NaN of a read-only parameter."""
    if param.kind in ("text", "file", "trigger"):
        return None
    plain = param.encode(value)
    if not math.isfinite(plain):
        return None
    # seven digits are a 32-bit float's
    return (f"{plain:.7g}" if param.kind == "float" else str(int(plain))).encode()


# ---- Connection to an MQTT 5 broker: connects, forwards received messages, publishes, disconnects

KEEPALIVE = 5
"""Keep-alive interval in seconds; a connection without an answer for two intervals ends."""
CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 3.0
SESSION_SECONDS = 3600
"""Session expiry in seconds: the broker queues our messages for that long while we are disconnected."""
MAX_PACKET = 16 << 20
"""Maximum packet size in bytes; the broker drops larger ones, and the connection ends with one that does not."""
_PIECE = 1 << 16
"""Bytes read from the broker at once; a turn reads a hundred such pieces."""
RETRY_SECONDS = 1.0
"""Seconds after resuming a session in which the broker may redeliver unacknowledged messages."""
MAX_REMEMBERED = 16384
SHORT = 64
AT_MOST_SENT = 10
"""Maximum messages in flight; aiomqtt logs warnings beyond."""

Taken = Callable[[str, bytes, bool], None]
"""Callback with (topic, payload, retained), before the broker gets the acknowledgement."""


class DuplicateFilter:
    """Detects repeated deliveries by packet identifier and content.

    A broker redelivers an unacknowledged message under the same identifier. It is marked as redelivered, unless the
    broker was killed and recovered its state from disk; then it comes first after the connection.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._seen: dict[int, int] = {}
        self._again_until = 0.0

    def connect(self, resumed: bool) -> None:
        """Handles a new connection. `resumed`: the broker kept our session; if not, identifiers restart."""
        if not resumed:
            self._seen.clear()
        self._again_until = self._clock() + RETRY_SECONDS if resumed else 0.0

    def new(self, mid: int, again: bool, topic: str, payload: bytes) -> bool:
        """True for a message not seen before. mid: 0 has no identity (QoS 0).  again: the broker's redelivery mark."""
        if not mid:
            return True
        # a hash: topics have up to 64 kB, and a payload more
        what = hash((topic, payload[:SHORT], len(payload)))
        if self._seen.get(mid) == what and (again or self._clock() < self._again_until):
            return False
        self._again_until = 0.0
        self._seen.pop(mid, None)
        self._seen[mid] = what
        if len(self._seen) > MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True


class MessageTargets(NamedTuple):
    """Message callbacks. repeated, unreadable: called for a redelivered message, and for a topic that is not UTF-8."""

    once: DuplicateFilter
    taken: Taken
    repeated: Callable[[], None]
    unreadable: Callable[[], None]


class MqttConnection(aiomqtt.Client):
    """A connection, to be opened once and closed once.

    `identifier`: fixed, so that the broker queues messages while we are disconnected. `forget`: discard the session and
    its queued messages; use a separate connection for this, as mosquitto does not store a session begun so. `will`:
    (topic, payload), retained, published by the broker when the connection is lost.
    """

    def __init__(
        self, broker: Broker, identifier: str, into: MessageTargets, *, will: tuple[str, bytes], forget: bool = False
    ) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0 if forget else SESSION_SECONDS
        properties.MaximumPacketSize = MAX_PACKET
        super().__init__(
            broker.host,
            broker.port,
            username=broker.user or None,
            password=broker.password or None,
            identifier=identifier,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=forget,
            properties=properties,
            will=aiomqtt.Will(will[0], will[1], qos=1, retain=True),
            keepalive=KEEPALIVE,
            timeout=ANSWER_SECONDS,
            tls_context=broker.tls_context(),
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        self._client.connect_timeout = CONNECT_SECONDS
        self._once, self._taken, self._repeated, self._unreadable = into
        receive = self._client._sock_recv  # paho has no limit, and would keep what may follow on QoS 2
        self._client._sock_recv = lambda bufsize: receive(self._check_size(bufsize))  # type: ignore[method-assign]

    def _check_size(self, size: int) -> int:
        """Bytes to read of a packet of which `size` are left. Raises MqttError: this broker keeps to no limit."""
        if size > MAX_PACKET:
            raise MqttError(f"the broker sends {size >> 20} MiB at once, and {MAX_PACKET >> 20} are the most")
        if self._client._in_messages:
            raise MqttError("the broker sends with QoS 2, which was not asked for")
        return min(size, _PIECE)

    async def open(self, *filters: str, unqueued: tuple[str, ...] = ()) -> None:
        """Connects and subscribes, QoS 1, without retained messages. Raises `MqttError` with the reason.

        `unqueued`: further topics, QoS 0: the broker does not queue their messages while we are disconnected.
        """
        try:
            await self.__aenter__()
            # one request for all: each answer is behind the broker's queued messages
            wanted = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            passing = SubscribeOptions(qos=0, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            wishes = [(topic, wanted) for topic in filters] + [(topic, passing) for topic in unqueued]
            codes = await self.subscribe(wishes) if wishes else ()
            for (topic, _), code in zip(wishes, codes, strict=False):
                if isinstance(code, ReasonCode) and code.is_failure:
                    raise MqttError(f"the broker refuses the subscription to {topic}: {code}")
        except BaseException:
            # aiomqtt would leave a socket open that had no answer, and the broker might still take it for ours
            with contextlib.suppress(Exception):
                self._client.disconnect()
            self._retrieve_error()
            raise

    async def wait_for_loss(self) -> None:
        """Waits until the connection is lost, and raises `MqttError`."""
        try:
            async for _ in self.messages:
                pass
        except MqttError as error:
            raise MqttError(f"the connection is lost: {error.__cause__ or 'the broker ended it'}") from None

    async def publish_retained(self, *messages: tuple[str, bytes]) -> None:
        """Publishes up to `AT_MOST_SENT` (topic, payload), retained, QoS 1; returns when the broker has them."""
        sent = (self.publish(topic, payload, qos=1, retain=True) for topic, payload in messages)
        for result in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def close(self) -> None:
        """Disconnects, if the broker still answers: then the will is not published."""
        with contextlib.suppress(MqttError):
            await self.__aexit__(None, None, None)
        self._retrieve_error()

    def _retrieve_error(self) -> None:
        # asyncio warns about an exception that is never retrieved
        if self._disconnected.done():
            self._disconnected.exception()

    def _on_connect(
        self,
        client: Client,
        userdata: Any,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not reason_code.is_failure:
            self._once.connect(flags.session_present)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        # paho acknowledges on return: unfinished work could be lost
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._unreadable()
            return
        payload = bytes(message.payload)
        if self._once.new(message.mid, bool(message.dup), topic, payload):
            self._taken(topic, payload, bool(message.retain))
        else:
            self._repeated()


log = logging.getLogger("antiphon.mqtt")

FIRST_PAUSE, LAST_PAUSE, REFUSED_PAUSE = 0.05, 0.25, 2.0
"""Seconds between connection attempts, doubled each time. They are short, because a killed broker may have lost our
session, and with it messages published before we reconnect. The last one is for a refused connection."""
STEADY = 5.0
"""Seconds after which a connection counts as stable, resetting the pause to `FIRST_PAUSE`."""
LEAVE_SECONDS = 0.5
SOURCE = "mqtt"


class MqttBridge:
    """Maintains a connection to the broker while the server runs, reconnecting after any failure.

    Call `install` before the server runs its services. A server that continues no earlier one discards messages the
    broker queued.
    """

    def __init__(self, server: TransportServer, broker: Broker) -> None:
        self._server, self._broker = server, broker
        self._identifier = identifier(server.folder)
        self._fresh = server.fresh
        self._once = DuplicateFilter()
        self.outward = PublishQueue()
        self.state, self.reason = "connecting", ""
        self.received = self.refused = self.duplicates = self.published = 0
        self._connections = 0
        self._present = True

    def install(self) -> None:
        """Connects to the broker at the server's start."""
        server = self._server
        server.service(self.run)
        server.status(self.counts)
        server.on_value(self._queue_value)
        server.on_event(self._sync_after_change)

    def counts(self) -> dict[str, Any]:
        """Figures for `/api/status`. received: distinct set messages; refused: messages without an effect."""
        return {
            "state": self.state,
            "reason": self.reason,
            "received": self.received,
            "refused": self.refused,
            "duplicates": self.duplicates,
            "published": self.published,
            "dropped": self.outward.dropped,
            "reconnects": max(0, self._connections - 1),
        }

    async def run(self) -> NoReturn:
        """Runs until it is cancelled."""
        pause = FIRST_PAUSE
        while True:
            begun, longest = monotonic(), LAST_PAUSE
            try:
                await self._run_connection()
            except MqttError as error:
                longest = REFUSED_PAUSE if isinstance(error, MqttConnectError) else LAST_PAUSE
                self._away(str(error))
            except Exception as error:  # a broker that talks nonsense, or a mistake of ours: the set goes on
                self._away(f"{type(error).__name__}: {error}")
            pause = FIRST_PAUSE if monotonic() - begun >= STEADY else min(2 * pause, longest)
            await asyncio.sleep(pause)

    async def _run_connection(self) -> None:
        """Runs one connection; ends with an exception."""
        if self._fresh:
            before = self._line(forget=True)
            await before.open()
            await before.close()
            self._fresh = False
        line = self._line()
        await line.open(SETS, STATUS, unqueued=(PANIC,))
        try:
            await line.publish_retained((STATUS, ONLINE))
            if self.reason:
                log.warning("MQTT: %s:%d answers", self._broker.host, self._broker.port)
            self.state, self.reason = "running", ""
            self._connections += 1
            self.outward.begin(self._values())
            await _first_to_fail(line.wait_for_loss(), self._publish(line))
        except asyncio.CancelledError:
            with contextlib.suppress(MqttError, TimeoutError):
                await asyncio.wait_for(line.publish_retained((STATUS, OFFLINE)), LEAVE_SECONDS)
            raise
        finally:
            self.outward.end()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(line.close(), LEAVE_SECONDS)

    def _line(self, *, forget: bool = False) -> MqttConnection:
        return MqttConnection(
            self._broker,
            self._identifier,
            MessageTargets(self._once, self._taken, self._repeated, self._unreadable),
            will=(STATUS, OFFLINE),
            forget=forget,
        )

    def _away(self, reason: str) -> None:
        reason = " ".join(reason.split()) or "it closed the connection"
        if self.state == "running" or not self.reason:
            log.warning("MQTT: %s:%d does not answer, trying on: %s", self._broker.host, self._broker.port, reason)
        self.state, self.reason = "connecting", reason

    def _taken(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == STATUS:
            if payload != ONLINE and not retained:
                # the will of a connection of ours that the broker gave up late
                self._present = False
                self.outward.wake.set()
            return
        self.received += 1
        try:
            if retained:
                raise WireError("a message that the broker kept is of another time")
            if topic == PANIC:
                if is_press(payload):
                    self._server.command(Panic(), SOURCE)
                return
            node, name = target(topic)
            state, cell = self._server.param(node, name)
            self._server.command(SetParam(node, name, number(payload, state.cells[cell])), SOURCE)
        except AntiphonError:
            self.refused += 1
        except Exception:
            # raised further it would end the connection, and the broker would send it again
            self.refused += 1
            log.exception("MQTT: what was sent to %.80r cannot be done", topic)

    def _repeated(self) -> None:
        self.duplicates += 1

    def _unreadable(self) -> None:
        self.received += 1
        self.refused += 1

    async def _publish(self, line: MqttConnection) -> None:
        """Publishes queued values; ends with an exception."""
        while True:
            if not self._present:
                self._present = True
                await line.publish_retained((STATUS, ONLINE))
            batch = self.outward.take(AT_MOST_SENT, monotonic())
            if batch:
                await line.publish_retained(*batch)
                self.published += len(batch)
            else:
                await self.outward.wait(monotonic())

    def _queue_value(self, address: str, _value: Value) -> None:
        """Queues the current value of a changed parameter, at most sixty times a second.

        The current value, because a refused plan has reset the value it set.
        """
        _, kind, *names = address.split("/")
        if kind != "node" or len(names) != 2:
            return
        with contextlib.suppress(RequestError):
            node, cell = self._server.param(*names)
            param = node.cells[cell]
            payload = payload_of(param, self._server.value_at(node, cell))
            if payload is not None:
                self.outward.put(f"antiphon/{node.name}/{param.name}", payload, slow=param.readonly)

    def _sync_after_change(self, event: dict[str, Any]) -> None:
        if event["kind"] in ("patch", "engine"):
            self.outward.sync(self._values())

    def _values(self) -> dict[str, bytes]:
        """All published values, by topic."""
        server, values = self._server, {}
        for node in server.nodes().values():
            for cell, param in enumerate(node.cells):
                payload = payload_of(param, server.value_at(node, cell))
                if payload is not None:
                    values[f"antiphon/{node.name}/{param.name}"] = payload
        return values


def identifier(folder: Path) -> str:
    """Client identifier for the server with this state folder: 23 letters and digits, the same at each start."""
    return "antiphon" + sha256(f"{socket.gethostname()}:{folder.absolute()}".encode()).hexdigest()[:15]


async def _first_to_fail(*works: Coroutine[Any, Any, None]) -> None:
    """Runs tasks until one ends, and raises its exception; the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
