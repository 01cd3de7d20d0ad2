"""Hostile MQTT: whatever a broker's other clients publish, nothing changes, all is counted, and OSC is answered."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.broker import Client, Mosquitto, mosquitto
from tests.hostile.conftest import answered, ask_ping
from tests.waiting import complaints, until

from antiphon_bench.rig import ServerProcess

TOPICS = ("antiphon/{}/gain/set", "antiphon/gain/{}/set", "antiphon/{}/{}/set", "antiphon/gain/gain/set")
NAMES = ("", " ", "..", "gain ", "\u202e", "a" * 20000, "%s%n", "'; drop", "status", "set", "😀", "/node/gain")
PAYLOADS = (
    b"", b"nan", b"-inf", b"1e999", b"\x00", b"\xff" * 100, b"[" * 10000, b"1" * 100_000, b"true", b"on", b"1,0",
    b'{"value": 1}', "１".encode(), b"0x1", b"1e", b"-", b"99", b"x" * (4 << 20),
)  # fmt: skip


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Mosquitto]]:
    home = tmp_path_factory.mktemp("mqtt")
    with (
        mosquitto(home / "broker") as broker,
        ServerProcess("--audio", "headless", "--patch", "through", "--mqtt-url", broker.url, home=home) as server,
    ):
        until(lambda: server.status()["mqtt"]["state"] == "running", 5, "the server is on the broker")
        yield server, broker


def values(server: ServerProcess) -> list[object]:
    return [server.ask(f"/node/gain/{name}") for name in ("gain", "wet", "mute", "bypass")]


def counted(server: ServerProcess, goal: int) -> dict[str, int]:
    until(lambda: server.status()["mqtt"]["received"] >= goal, 20, f"{goal} messages are taken")
    return server.status()["mqtt"]


def test_hostile_topics_and_payloads_are_counted_and_change_nothing(stage: tuple[ServerProcess, Mosquitto]) -> None:
    server, broker = stage
    before, pids, was = server.status()["mqtt"], server.pids(), values(server)
    draw = random.Random(5)
    sent = 0
    with Client(broker) as client:
        for payload in PAYLOADS:
            client.send("antiphon/gain/gain/set", payload)
            sent += 1
        for _ in range(300):
            topic = draw.choice(TOPICS)
            name = draw.choice(NAMES)
            payload = draw.choice((b"0.5", draw.randbytes(draw.randrange(200))))
            if topic == "antiphon/gain/gain/set":
                payload = b"?" + payload
            if "//" in topic.format(name, name) or name == "/node/gain":
                # more levels, or empty ones: not ours to hear, or nobody's name
                client.send("antiphon/x/y/z/set", payload)
                continue
            client.send(topic.format(name, name), payload, qos=draw.randrange(3))
            sent += 1
        client.flush()
    after = counted(server, before["received"] + sent)
    assert after["received"] == before["received"] + sent
    assert after["refused"] - before["refused"] == sent
    assert after["reconnects"] == before["reconnects"]
    assert (server.pids(), values(server)) == (pids, was)
    answered(server)
    assert complaints(server) == ""


def test_what_is_too_large_for_us_stays_with_the_broker(stage: tuple[ServerProcess, Mosquitto]) -> None:
    server, broker = stage
    before = server.status()["mqtt"]
    with Client(broker) as client:
        client.send("antiphon/gain/gain/set", bytes(17 << 20))
        client.send("antiphon/gain/gain/set", "0.5")
        client.flush()
    after = counted(server, before["received"] + 1)
    assert after["received"] == before["received"] + 1
    assert after["refused"] == before["refused"]
    assert server.ask("/node/gain/gain")[1] == [0.5]
    answered(server)


def test_a_flood_leaves_osc_answered_and_the_sound_whole(stage: tuple[ServerProcess, Mosquitto]) -> None:
    server, broker = stage
    before, sound = server.status()["mqtt"], server.status()["blocks"]
    with Client(broker) as client:
        for n in range(3000):
            client.send("antiphon/gain/wet/set", str(n / 3000), qos=n % 2)
        worst = 0.0
        while server.status()["mqtt"]["received"] < before["received"] + 3000:
            worst = max(worst, ask_ping(server))
        client.flush()
    assert worst < 0.25
    assert server.status()["blocks"] > sound
    until(lambda: server.ask("/node/gain/wet")[1] == [pytest.approx(2999 / 3000)], 5, "the last is what counts")
    answered(server)


def test_a_state_topic_written_by_others_is_no_set(stage: tuple[ServerProcess, Mosquitto], tmp_path: Path) -> None:
    server, broker = stage
    was, before = values(server), server.status()["mqtt"]
    with Client(broker, "antiphon/status") as client:
        for topic in ("antiphon/gain/gain", "antiphon/gain", "antiphon/status", "antiphon/status/x/set"):
            client.send(topic, "0.1", retain=True)
        client.flush()
        until(lambda: client.last("antiphon/status") == b"online", 5, "presence is put right")
        client.send("antiphon/status", b"")
        client.flush()
    assert counted(server, before["received"] + 1)["refused"] == before["refused"] + 1
    assert values(server) == was
