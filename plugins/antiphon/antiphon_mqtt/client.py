"""Connection to an MQTT 5 broker: connects, forwards received messages, publishes, disconnects.

aiomqtt's client does not survive the loss of its connection, nor a failed attempt, so each attempt uses a new one.
Message properties missing in aiomqtt (redelivery, session resumption) are taken from its callbacks; hence aiomqtt below
version 3.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

import aiomqtt
from aiomqtt import MqttError
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from antiphon_mqtt.broker import Broker

KEEPALIVE = 5
"""Keep-alive interval in seconds; a connection without an answer for two intervals ends."""
CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 3.0
SESSION_SECONDS = 3600
"""Session expiry in seconds: the broker queues our messages for that long while we are disconnected."""
MAX_PACKET = 16 << 20
"""Maximum packet size in bytes; the broker drops larger ones."""
RETRY_SECONDS = 1.0
"""Seconds after resuming a session in which the broker may redeliver unacknowledged messages."""
MAX_REMEMBERED = 16384
SHORT = 64
AT_MOST_SENT = 10
"""Maximum messages in flight; aiomqtt logs warnings beyond."""

Taken = Callable[[str, bytes, bool], None]
"""Callback with (topic, payload, retained), before the broker gets the acknowledgement."""


class Once:
    """Detects repeated deliveries by packet identifier and content.

    A broker redelivers an unacknowledged message under the same identifier. It is marked as redelivered, unless the
    broker was killed and recovered its state from disk; then it comes first after the connection.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._seen: dict[int, int] = {}
        self._again_until = 0.0

    def connected(self, resumed: bool) -> None:
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


class Arrivals(NamedTuple):
    """Message targets. repeated, unreadable: callbacks for a redelivered message, and for a topic that is not UTF-8."""

    once: Once
    taken: Taken
    repeated: Callable[[], None]
    unreadable: Callable[[], None]


class MqttConnection(aiomqtt.Client):
    """Connection to be opened once and closed once.

    `identifier`: fixed, so that the broker keeps what comes while we are away. `forget`: it does not, nor what it kept
    before; a connection for that alone, as mosquitto writes down no session that was begun so.
    `will`: (topic, payload), retained, published by the broker when we are lost.
    """

    def __init__(
        self, broker: Broker, identifier: str, into: Arrivals, *, will: tuple[str, bytes], forget: bool = False
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

    async def open(self, *filters: str, unqueued: tuple[str, ...] = ()) -> None:
        """Connects and subscribes, QoS 1, without retained messages; `MqttError` with the reason.

        `unqueued`: further topics, QoS 0: the broker does not queue their messages while we are away.
        """
        try:
            await self.__aenter__()
            # one request for all: each answer is behind the broker's queued messages
            wanted = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            passing = SubscribeOptions(qos=0, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            topics = [(topic, wanted) for topic in filters] + [(topic, passing) for topic in unqueued]
            codes = await self.subscribe(topics) if topics else ()
            for (topic, _), code in zip(topics, codes, strict=False):
                if isinstance(code, ReasonCode) and code.is_failure:
                    raise MqttError(f"the broker refuses the subscription to {topic}: {code}")
        except BaseException:
            # aiomqtt would leave a socket open that had no answer, and the broker might still take it for ours
            with contextlib.suppress(Exception):
                self._client.disconnect()
            self._retrieve_error()
            raise

    async def lost(self) -> None:
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
            self._once.connected(flags.session_present)
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
