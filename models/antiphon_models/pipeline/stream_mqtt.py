"""MQTT requests, each with a file name of the folder or a sound file, answered by a message.

    TOPIC/request/ID  {"file": "NAME"}, or the bytes of a sound file
    TOPIC/result/ID   a line of the journal
    TOPIC/refused/ID  {"reason": "…"}

ID is chosen by the sender; it may be left out together with its slash.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from antiphon.api import FileError, UsageError
from antiphon.api.backends.analysis import named_analyses
from antiphon.api.backends.files import printable_path
from antiphon.api.backends.transports import WireError
from antiphon_models.pipeline.settings import WatchSettings
from antiphon_models.pipeline.stream import (
    ResultJournal,
    SoundStream,
    StreamCounts,
    WaitingSound,
    check_size,
    is_written,
    run,
    within,
)
from antiphon_mqtt.broker import Broker, mqtt_broker

URL_VARIABLE = "ANTIPHON_MQTT_URL"
"""Environment variable of the broker's whole address, also read by `antiphon serve`."""
LARGEST = 16 << 20
"""Maximum bytes of a sound in a message."""
MAX_INCOMING = 16
"""Maximum queued incoming messages."""
MAX_UNSENT = 256
"""Maximum stored answers while the broker is unreachable."""
RECONNECT_SECONDS = 1.0
"""Interval in seconds between connection attempts."""
KEEPALIVE = 5
_PREFIX = ".arrived-"
_FULL = "as many sounds as are allowed wait already; send it again when there are answers"


def broker_of(url: str) -> Broker:
    """Broker of watch.mqtt, overridden by the environment variable `URL_VARIABLE`, which may contain the password.

    Raises `UsageError`: the address is invalid, or the settings file contains a password.
    """
    if mqtt_broker(url, "watch.mqtt").password:
        raise UsageError(f"watch.mqtt has a password in it: put the address into the environment, as {URL_VARIABLE}")
    return mqtt_broker(os.environ.get(URL_VARIABLE, "") or url, URL_VARIABLE)


class MqttSource:
    """Receives requests from a broker and publishes answers, with reconnection.

    `settings`: settings of the table [watch]. `place`: a folder for the sounds of messages, which are removed after
    analysis.
    """

    def __init__(self, broker: Broker, settings: WatchSettings, place: Path) -> None:
        self._broker, self._settings, self._place = broker, settings, place
        self._answers: deque[tuple[str, bytes]] = deque()
        self._ready = asyncio.Event()

    async def run(self, stream: SoundStream) -> None:
        """Serves until it is cancelled."""
        import aiomqtt

        for path in self._place.glob(f"{_PREFIX}*"):  # of a run that was killed
            path.unlink(missing_ok=True)
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._connected(stream)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def flush(self) -> None:
        """Waits until all answers are delivered to the broker, at most two seconds."""
        for _ in range(40):
            if not self._answers:
                return
            await asyncio.sleep(0.05)

    async def _connected(self, stream: SoundStream) -> None:
        import aiomqtt
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        class Incoming(asyncio.Queue[aiomqtt.Message]):
            """Queue of unprocessed messages; if it is full, the next one is refused."""

            def put_nowait(inner, message: aiomqtt.Message) -> None:
                if inner.full():
                    self._refuse(stream, _rest(message.topic.value, topic), _FULL)
                else:
                    super().put_nowait(message)

        broker, topic = self._broker, self._settings.topic
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = 2 * LARGEST  # the broker drops what is larger
        async with aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.user or None,
            password=broker.password or None,
            tls_context=broker.tls_context(),
            keepalive=KEEPALIVE,
            protocol=aiomqtt.ProtocolVersion.V5,
            properties=properties,
            queue_type=Incoming,
            max_queued_incoming_messages=MAX_INCOMING,
        ) as client:
            await client.subscribe([(f"{topic}/request", 1), (f"{topic}/request/#", 1)])
            publishing = asyncio.ensure_future(self._publish(client, stream))
            try:
                async for message in client.messages:
                    payload = message.payload if isinstance(message.payload, bytes) else b""
                    await self._request(stream, message.topic.value, payload)
                    if publishing.done():
                        publishing.result()
            finally:
                publishing.cancel()
                await asyncio.gather(publishing, return_exceptions=True)

    async def _publish(self, client: Any, stream: SoundStream) -> None:
        while True:
            await self._ready.wait()
            while self._answers:
                topic, payload = self._answers[0]
                await client.publish(topic, payload, qos=1)
                if self._answers and self._answers[0][1] is payload:
                    self._answers.popleft()
            self._ready.clear()

    def _answer(self, stream: SoundStream, topic: str, row: dict[str, Any]) -> None:
        if len(self._answers) >= MAX_UNSENT:
            self._answers.popleft()
            stream.counts.lost += 1
        self._answers.append((topic, json.dumps(row).encode()))
        self._ready.set()

    async def _request(self, stream: SoundStream, topic: str, payload: bytes) -> None:
        rest = _rest(topic, self._settings.topic)
        result = f"{self._settings.topic}/result{rest}"
        try:
            sound = await self._sound(stream, rest, payload, lambda row: self._answer(stream, result, row))
            if not stream.offer(sound):
                if sound.mtime is None:
                    sound.path.unlink(missing_ok=True)
                raise WireError(_FULL)
        except WireError as error:
            self._refuse(stream, rest, str(error))

    def _refuse(self, stream: SoundStream, rest: str, reason: str) -> None:
        stream.counts.refused += 1
        self._answer(stream, f"{self._settings.topic}/refused{rest}", {"reason": reason})

    async def _sound(self, stream: SoundStream, rest: str, payload: bytes, answer: Any) -> WaitingSound:
        """Sound of a request. Raises `WireError` with the reason if there is none."""
        if payload[:1] == b"{":
            try:
                name = json.loads(payload[:4096])["file"]
            except (ValueError, KeyError, TypeError, RecursionError):
                name = None
            if not isinstance(name, str) or not name:
                raise WireError('the message is no request; it is {"file": "NAME"} or the bytes of a sound file')
            found = await asyncio.to_thread(within, self._settings.path, name, self._settings.largest)
            if await asyncio.to_thread(is_written, found.path):
                raise WireError(f"{printable_path(name)} is being written; name it when it is complete")
            return replace(found, begun=stream.clock(), answer=answer)
        check_size(len(payload), min(LARGEST, self._settings.largest))
        if not payload:
            raise WireError('the message is empty; it is {"file": "NAME"} or the bytes of a sound file')
        path = await asyncio.to_thread(self._written, payload)

        def answered(row: dict[str, Any]) -> None:
            path.unlink(missing_ok=True)
            answer(row)

        return WaitingSound(f"mqtt{rest}", path, len(payload), None, stream.clock(), answered)

    def _written(self, payload: bytes) -> Path:
        try:
            with tempfile.NamedTemporaryFile(dir=self._place, prefix=_PREFIX, delete=False) as file:
                file.write(payload)
            return Path(file.name)
        except OSError as error:
            raise WireError(f"it cannot be kept while it waits: {error.strerror}") from None


def _rest(topic: str, base: str) -> str:
    """Suffix of a request's topic: "/ID", or ""."""
    return topic.removeprefix(f"{base}/request")


# ---- `antiphon pipeline watch`: watches a folder and, if configured, a broker, until a signal ends it


def watch(
    settings: WatchSettings,
    journal: Path,
    echo: Callable[[str], None],
    counts: StreamCounts | None = None,
    ready: Callable[[], None] = lambda: None,
) -> dict[str, int]:
    """Analyses arriving sounds until SIGINT or SIGTERM; returns the counts.

    `echo` is called with each line; `counts` may be read meanwhile; `ready` is called once the settings are checked.

    Raises `FileError`: the folder is missing, or the journal cannot be written. `UsageError`: the broker's address is
    invalid. `PluginError`: an analysis is unknown.
    """
    if not settings.path.is_dir():
        raise FileError(f"there is no folder {settings.path}: watch.path names the one that sounds arrive in")
    names = named_analyses(settings.analyses)
    if not names:
        raise UsageError("no plugin registers an analysis; `antiphon plugins` lists those that there are, and why not")
    counted = counts if counts is not None else StreamCounts()
    with ResultJournal(journal, echo) as written:
        stream = SoundStream(settings, names, written, counted)
        sources = [MqttSource(broker_of(settings.mqtt), settings, journal.parent)] if settings.mqtt else []
        ready()
        asyncio.run(run(stream, sources))
    return asdict(counted)
