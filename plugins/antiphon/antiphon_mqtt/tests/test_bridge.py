"""Sets and state over MQTT, against a real mosquitto and a broker made for the test that dies where it hurts."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.broker import Client, Mosquitto, mosquitto
from tests.control.rig import GRAPH, Rig
from tests.waiting import comes

from antiphon.api.backends.transports import ServeSettings
from antiphon.files.owner_token import CERTIFICATE_FILE
from antiphon.kernel.engine.link import Reported
from antiphon.web import certificate, control_status
from antiphon.web.access import KEY_FILE
from antiphon_mqtt.bridge import MAX_TOPICS, MqttBridge, PublishQueue, identifier
from antiphon_mqtt.broker import Broker, mqtt_broker

GAIN, STEPS, MODE, LEARN, SIZE, LEVEL = 3, 5, 6, 7, 9, 10
KINDS = ("bypass", "mute", "wet", "gain", "trim", "steps", "mode", "size", "level", "cutoff")


@asynccontextmanager
async def on(live: Rig, broker: Broker, *, fresh: bool = True) -> AsyncIterator[MqttBridge]:
    """The control process on a broker, turning as it does in a server."""
    mqtt = MqttBridge(live.app.transports.host("mqtt", ServeSettings(), fresh=fresh), broker)
    mqtt.install()
    task = asyncio.create_task(mqtt.run())

    async def turn() -> None:
        while True:
            await asyncio.sleep(0.005)  # the pace of the control process
            await live.settle()

    turning = asyncio.create_task(turn())
    try:
        yield mqtt
    finally:
        for ending in (task, turning):
            ending.cancel()
        await asyncio.gather(task, turning, return_exceptions=True)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path / "broker") as made:
        yield made


@pytest.fixture
async def mqtt(live: Rig, broker: Mosquitto, tmp_path: Path) -> AsyncIterator[MqttBridge]:
    async with on(live, mqtt_broker(broker.url)) as made:
        await comes(lambda: made.state == "running", "the broker is there")
        yield made


@pytest.fixture
def client(broker: Mosquitto, mqtt: MqttBridge) -> Iterator[Client]:
    with Client(broker, "antiphon/+/+", "antiphon/status") as made:
        yield made


async def sent(mqtt: MqttBridge, client: Client, *messages: tuple[str, str | bytes], retain: bool = False) -> None:
    """Returns when all of them were taken."""
    goal = mqtt.received + len(messages)
    for topic, payload in messages:
        client.send(f"antiphon/{topic}", payload, retain=retain)
    await comes(lambda: mqtt.received >= goal, "what was sent is taken")
    assert mqtt.received == goal


async def test_every_kind_is_set_and_told(live: Rig, mqtt: MqttBridge, client: Client) -> None:
    await sent(mqtt, client, ("a/gain/set", "0.25"), ("a/steps/set", "7"), ("a/mode/set", "1"), ("a/mute/set", "true"),
               ("b/mute/set", "1"), ("a/learn/set", "1"), ("a/size/set", "512"))  # fmt: skip
    assert mqtt.refused == 0
    app = live.app
    assert [app.executor.value("a", name) for name in ("gain", "steps", "mode", "mute", "size")] == [
        0.25,
        7,
        "wavelet",
        True,
        512,
    ]
    told = {"a/gain": b"0.25", "a/steps": b"7", "a/mode": b"1", "a/mute": b"1", "b/mute": b"1", "a/size": b"512"}
    await comes(lambda: all(client.last(f"antiphon/{t}") == p for t, p in told.items()), "the new values are told")
    fired = [done for done in live.engine.applied if done[0] == "set" and done[2] == LEARN]
    assert len(fired) == 1


async def test_retained_state_is_every_plain_number_and_nothing_else(mqtt: MqttBridge, client: Client) -> None:
    wanted = {f"antiphon/{node}/{name}" for node in "ab" for name in KINDS} | {"antiphon/status"}
    wanted |= {f"antiphon/{end}/{name}" for end in ("in", "out") for name in ("bypass", "mute", "wet", "gain")}
    await comes(lambda: client.heard.keys() >= wanted, "all is told to who comes later")
    assert client.heard.keys() == wanted
    assert client.last("antiphon/a/gain") == b"0.5"
    assert client.last("antiphon/a/mode") == b"0"
    assert client.last("antiphon/status") == b"online"


async def test_what_is_no_number_changes_nothing_and_is_counted(live: Rig, mqtt: MqttBridge, client: Client) -> None:
    before = live.app.session.state.current()
    bad: list[tuple[str, str | bytes]] = [
        ("a/gain/set", payload)
        for payload in (b"", b"nan", b"inf", b"1e999", b"true", b"on", b"[1]", b"\xff\x00", b"2.5", b"x" * 1_000_000)
    ]
    bad += [("a/mode/set", "0.5"), ("a/mode/set", "2"), ("a/mode/set", "wavelet"), ("a/mute/set", "TRUE")]
    bad += [("a/label/set", "1.5"), ("a/level/set", "0.5"), ("a/nothing/set", "1"), ("nobody/gain/set", "1")]
    bad += [("a/gäin/set", "1"), ("x" * 30000 + "/gain/set", "1"), ("//set", "1"), ("$SYS/gain/set", "1")]
    await sent(mqtt, client, *bad)
    assert mqtt.refused == len(bad)
    assert live.app.session.state.current() == before
    await sent(mqtt, client, ("a/gain/set", "0.75"))
    assert live.app.executor.value("a", "gain") == 0.75


async def test_a_nodes_own_report_is_told_ten_times_a_second_at_most(
    live: Rig, mqtt: MqttBridge, client: Client
) -> None:
    await comes(lambda: client.last("antiphon/b/level"), "the state is told")
    number, before = live.app.session.state.nodes["b"].id, len(client.heard["antiphon/b/level"])
    begun = time.monotonic()
    for n in range(60):
        live.engine.say(Reported(number, LEVEL, n / 64))
        await asyncio.sleep(0.01)  # the pace of the reports, which is above what is told
        if n == 30:
            await comes(lambda: len(client.heard["antiphon/b/level"]) > before, "some on the way are told")
    await comes(lambda: client.last("antiphon/b/level") == b"0.921875", "the last is told")
    assert len(client.heard["antiphon/b/level"]) - before <= 10 * (time.monotonic() - begun) + 2


async def test_the_status_has_every_count_and_the_page_explains_it(live: Rig, mqtt: MqttBridge) -> None:
    assert control_status.status(live.app)["mqtt"] == mqtt.counts()
    page = (Path(__file__).parents[4] / "docs" / "clients" / "mqtt.md").read_text()
    for name in mqtt.counts():
        assert f"`{name}`" in page


async def test_another_patch_takes_back_what_is_no_more(live: Rig, mqtt: MqttBridge, client: Client) -> None:
    await comes(lambda: client.last("antiphon/b/gain") == b"1", "the state is told")
    live.app.executor.perform(live.app.session.state.remove("b"))
    await comes(lambda: client.last("antiphon/b/gain") == b"", "its retained state is cleared")
    live.app.executor.perform(live.app.session.state.load(GRAPH, "two gains"))
    await comes(lambda: client.last("antiphon/b/gain") == b"1", "it is told anew")


async def test_panic_is_pressed_by_anything_but_0_and_false(live: Rig, mqtt: MqttBridge, client: Client) -> None:
    def panics() -> int:
        return [done[0] for done in live.engine.applied].count("panic")

    for payload in ("0", "false", "False\n"):
        await pressed(mqtt, client, payload)
    assert panics() == 0
    for payload in ("", "1", "now", b"\xff" * 100):
        await pressed(mqtt, client, payload)
    await comes(lambda: panics() == 4, "each is a panic")
    assert mqtt.counts()["refused"] == 0


async def pressed(mqtt: MqttBridge, client: Client, payload: str | bytes) -> None:
    before = mqtt.received
    client.send("antiphon/panic", payload)
    await comes(lambda: mqtt.received > before, "it has arrived")


async def test_a_set_retained_from_before_is_not_applied(live: Rig, broker: Mosquitto, tmp_path: Path) -> None:
    with Client(broker) as client:
        client.send("antiphon/a/gain/set", "1.5", retain=True)
        await asyncio.to_thread(client.flush)
        async with on(live, mqtt_broker(broker.url)) as mqtt:
            await comes(lambda: mqtt.state == "running", "the broker is there")
            await sent(mqtt, client, ("a/steps/set", "5"))
            assert live.app.executor.value("a", "gain") == 0.5
            # one that is retained is applied when it is sent, and the next server's start is not it
            await sent(mqtt, client, ("a/gain/set", "1.25"), retain=True)
            assert live.app.executor.value("a", "gain") == 1.25
            assert mqtt.refused == 0


async def test_a_wrong_password_is_said_without_it(live: Rig, broker: Mosquitto, tmp_path: Path, caplog) -> None:
    wrong = Broker("127.0.0.1", broker.port, "stage", "not-the-password")
    async with on(live, wrong) as mqtt:
        await comes(lambda: mqtt.reason, "the refusal is known")
        assert "ot authori" in mqtt.reason
        assert mqtt.counts()["state"] == "connecting"
    assert "not-the-password" not in caplog.text + mqtt.reason


async def test_presence_is_told_at_the_start_and_the_end_and_by_the_will(
    live: Rig, broker: Mosquitto, tmp_path: Path
) -> None:
    with Client(broker, "antiphon/status") as client:
        async with on(live, mqtt_broker(broker.url)) as mqtt:
            await comes(lambda: client.last("antiphon/status") == b"online", "it is there")
            # the will of a connection before, which the broker gave up late
            client.send("antiphon/status", "offline", retain=True)
            await comes(lambda: client.heard["antiphon/status"][-2:] == [b"offline", b"online"], "it says so again")
            assert mqtt.received == 0
        await comes(lambda: client.last("antiphon/status") == b"offline", "it has gone")


async def test_what_came_while_no_broker_was_there_is_told_once_with_its_latest_value(
    live: Rig, broker: Mosquitto, mqtt: MqttBridge
) -> None:
    broker.kill()
    await comes(lambda: mqtt.state == "connecting", "its loss is known")
    for n in range(50):
        live.app.feedback.add_change("/node/a/gain", n / 50, None)
        await comes(lambda: not live.app.feedback.pending, "it is told to the bridge")
    live.client().send("/node/a/gain", 0.75)
    await comes(lambda: live.app.executor.value("a", "gain") == 0.75, "OSC is answered throughout")
    await comes(lambda: mqtt.outward.dropped, "what a later value replaced is counted")
    assert mqtt.outward.dropped <= 50
    broker.start()
    await comes(lambda: mqtt.state == "running", "it is back")
    with Client(broker, "antiphon/+/+", "antiphon/status") as client:
        await comes(lambda: client.last("antiphon/a/gain") == b"0.75", "the latest is told")
        assert client.heard["antiphon/a/gain"] == [b"0.75"]
        await comes(lambda: client.last("antiphon/status") == b"online", "presence is told")
        await sent(mqtt, client, ("a/gain/set", "0.5"))
    assert live.app.executor.value("a", "gain") == 0.5
    assert mqtt.counts()["reconnects"] == 1


async def test_a_broker_that_dies_before_it_knows_what_arrived_has_nothing_applied_twice(
    live: Rig, tmp_path: Path
) -> None:
    """It sends, does not read the acknowledgement, dies, and sends again under the same identifiers."""
    learn, gain, steps = (f"antiphon/a/{name}/set" for name in ("learn", "gain", "steps"))
    async with FakeBroker() as fake, on(live, Broker("127.0.0.1", fake.port)) as mqtt:
        await comes(lambda: fake.ready, "it is connected")
        assert fake.clean == [True, False]
        fake.deliver((1, learn, b"1", False), (2, gain, b"1.5", False), (3, gain, b"0.25", False))
        await comes(lambda: mqtt.received == 3, "they are taken")
        for mark in (True, False):
            fake.die()
            await comes(lambda: fake.ready, "it is back")
            fake.deliver((1, learn, b"1", mark), (2, gain, b"1.5", mark), (3, gain, b"0.25", mark))
        fake.deliver((4, steps, b"8", False))
        await comes(lambda: mqtt.received == 4, "the next is taken")
        assert mqtt.duplicates == 6
        assert fake.clean == [True, False, False, False]
    await live.settle()  # the engine takes the last one
    sets = [done[2:4] for done in live.engine.applied if done[0] == "set"]
    assert [(cell, number) for cell, number in sets if cell in (LEARN, GAIN, STEPS)] == [
        (LEARN, 1.0),
        (GAIN, 1.5),
        (GAIN, 0.25),
        (STEPS, 8.0),
    ]


async def test_a_control_process_started_again_takes_up_its_session(live: Rig, tmp_path: Path) -> None:
    async with FakeBroker() as fake, on(live, Broker("127.0.0.1", fake.port), fresh=False):
        await comes(lambda: fake.ready, "it is connected")
        assert fake.clean == [False]
        assert fake.names == [identifier(live.app.folder.folder)]
    assert identifier(tmp_path) != identifier(tmp_path / "other")


async def test_a_fault_of_ours_is_said_and_the_rest_goes_on(
    live: Rig, mqtt: MqttBridge, client: Client, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    tries = 0

    def broken(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(live.app.executor, "do", broken)
        await sent(mqtt, client, ("a/gain/set", "0.1"))
    assert (mqtt.refused, tries) == (1, 1)
    assert "on purpose" in caplog.text
    with monkeypatch.context() as patch:
        patch.setattr(mqtt.outward, "take", broken)
        live.client().send("/node/a/gain", 0.3)
        await comes(lambda: tries > 1, "it is told")
    await comes(lambda: mqtt.counts()["reconnects"] and mqtt.state == "running", "the connection is made anew")
    await sent(mqtt, client, ("a/gain/set", "0.2"))
    assert live.app.executor.value("a", "gain") == 0.2


async def test_a_plan_that_is_refused_has_the_old_value_told(live: Rig, mqtt: MqttBridge, client: Client) -> None:
    live.engine.refuse = "on purpose"
    await sent(mqtt, client, ("a/size/set", "512"))
    await comes(lambda: live.app.executor.value("a", "size") == 256, "the plan is refused")
    await sent(mqtt, client, ("a/gain/set", "0.125"))
    await comes(lambda: client.last("antiphon/a/gain") == b"0.125", "what was set after it is told")
    assert client.last("antiphon/a/size") == b"256"


def test_what_waits_is_bounded_and_counted() -> None:
    outward = PublishQueue()
    for n in range(MAX_TOPICS + 100):
        outward.put(f"t{n}", b"1")
    assert (len(outward), outward.dropped) == (MAX_TOPICS, 100)
    for _ in range(5):
        outward.put("t1", b"2")
    assert outward.dropped == 105
    outward.begin({"t1": b"3"})
    assert outward.take(10, 0.0) == [("t1", b"3")]
    outward.put("t1", b"4")
    outward.put("t1", b"5")
    assert outward.dropped == 105, "what is told sixty times a second at most is not lost"


def test_a_topic_that_comes_back_before_it_was_taken_back_is_told() -> None:
    outward = PublishQueue()
    outward.begin({"a": b"1", "b": b"1"})
    assert len(outward.take(10, 0.0)) == 2
    outward.sync({"a": b"1"})
    outward.sync({"a": b"1", "b": b"1"})
    assert outward.take(10, 0.0) == [("b", b"1")]
    outward.sync({"a": b"1"})
    assert outward.take(10, 0.0) == [("b", b"")]
    # a broker that was away is told again that it is no more only if it may not know
    outward.sync({})
    outward.end()
    outward.begin({})
    assert outward.take(10, 0.0) == [("a", b"")]


class FakeBroker:
    """One client at a time, whose session it always keeps after the first. It reads no acknowledgement.

    ready: a client is connected and has published something.  clean, names: of each connection, whether it asked
    for a clean start, and its client identifier.
    """

    def __init__(self) -> None:
        self.port = 0
        self.ready = False
        self.clean: list[bool] = []
        self.names: list[str] = []
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> FakeBroker:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def deliver(self, *messages: tuple[int, str, bytes, bool]) -> None:
        """Publishes (packet identifier, topic, payload, delivered again) at QoS 1."""
        assert self._writer is not None
        for mid, topic, payload, again in messages:
            name = topic.encode()
            body = struct.pack(">H", len(name)) + name + struct.pack(">H", mid) + b"\0" + payload
            self._writer.write(bytes([0x32 | again << 3, len(body)]) + body)

    def die(self) -> None:
        assert self._writer is not None
        self.ready = False
        self._writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, body = await _packet(reader)
                match kind >> 4:
                    case 1:
                        # 6 bytes of name, 1 of version, then the flags
                        self.clean.append(bool(body[7] & 2))
                        at = 11 + body[10]
                        (length,) = struct.unpack_from(">H", body, at)
                        self.names.append(body[at + 2 : at + 2 + length].decode())
                        writer.write(bytes([0x20, 3, len(self.clean) > 2, 0, 0]))
                    case 8:
                        writer.write(bytes([0x90, 4, *body[:2], 0, 1]))
                    case 3 if kind & 6:
                        (length,) = struct.unpack_from(">H", body)
                        writer.write(bytes([0x40, 2, *body[2 + length : 4 + length]]))
                        self.ready = True
                    case 12:
                        writer.write(b"\xd0\0")


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    (kind,) = await reader.readexactly(1)
    length = shift = 0
    while True:
        (byte,) = await reader.readexactly(1)
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return kind, await reader.readexactly(length)


async def test_over_tls_it_speaks_to_a_broker_whose_certificate_is_trusted(
    live: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate.load(tmp_path, ("127.0.0.1",))
    with mosquitto(tmp_path / "broker", tls=(tmp_path / CERTIFICATE_FILE, tmp_path / KEY_FILE)) as broker:
        async with on(live, mqtt_broker(broker.url)) as strange:
            await comes(lambda: "certificate" in strange.reason, "a certificate of nobody known is refused")
            assert strange.state == "connecting"
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / CERTIFICATE_FILE))
        async with on(live, mqtt_broker(broker.url)) as trusting:
            await comes(lambda: trusting.state == "running", "the broker is there")
