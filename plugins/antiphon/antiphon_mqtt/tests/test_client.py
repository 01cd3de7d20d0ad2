"""The client: what is delivered again is known, nothing is waited for without an end; addresses of brokers."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from tests.clock import FakeClock
from tests.each import each

from antiphon.api import UsageError
from antiphon.api.backends.transports import ServeSettings
from antiphon_mqtt import bridge as mqtt_client
from antiphon_mqtt.bridge import (
    MAX_REMEMBERED,
    RETRY_SECONDS,
    DuplicateFilter,
    MessageTargets,
    MqttConnection,
    MqttError,
)
from antiphon_mqtt.broker import Broker, mqtt_broker
from antiphon_mqtt.transport import MQTT_URL, MqttTransport

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://stage:pw@broker.local:1884", Broker("broker.local", 1884, "stage", "pw", "pw")),
        ("mqtt://stage:p%40%3Aw@10.0.0.7", Broker("10.0.0.7", 1883, "stage", "p@:w", "p%40%3Aw")),
        ("mqtt://localhost/", Broker("localhost", 1883)),
        ("mqtt://u@[::1]:9", Broker("::1", 9, "u")),
        ("mqtts://u:p@broker", Broker("broker", 8883, "u", "p", "p", tls=True)),
        ("mqtts://broker:1884", Broker("broker", 1884, tls=True)),
    ],
)
def test_a_url_names_a_broker(url: str, broker: Broker) -> None:
    assert mqtt_broker(url) == broker


@each("place", ["broker:port", "broker:0", "broker:99999", "", "broker/topic", "broker?x=1", "broker#x", "a b", "[::1"])
def test_what_is_none_is_refused_without_a_word_of_the_password(place: str) -> None:
    for url in (f"mqtt://u:{SECRET}@{place}", f"http://u:{SECRET}@h", f"u:{SECRET}@h", f"mqtt://u:{SECRET}#x@h"):
        with pytest.raises(UsageError) as refused:
            MqttTransport().check(ServeSettings(secrets={"mqtt-url": url}))
        assert SECRET not in str(refused.value)
        assert refused.value.__cause__ is None


@given(st.text(max_size=40))
def test_any_text_is_a_broker_or_refused(text: str) -> None:
    for url in (text, f"mqtt://{text}", f"mqtt://u:{text}@h"):
        try:
            found = mqtt_broker(url)
        except UsageError:
            continue
        assert found.host
        assert 0 < found.port < 65536


def test_settings_show_and_write_no_broker() -> None:
    settings = ServeSettings(secrets={"mqtt-url": f"mqtt://u:{SECRET}@h"})
    assert SECRET not in settings.to_json()
    assert SECRET not in repr(settings)
    assert SECRET not in repr(mqtt_broker(settings.value(MQTT_URL)))
    assert ServeSettings.from_json(settings.to_json()) == settings.with_(secrets={})


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc to show a command line")
def test_a_password_is_covered_in_the_process_list() -> None:
    url = f"mqtt://u:{SECRET}@h"
    run = (
        "import sys; from pathlib import Path; from antiphon.cli.serve import overwrite_secret;"
        f"url = sys.argv[2]; assert overwrite_secret(url, url[9:{9 + len(SECRET)}]);"
        "assert not overwrite_secret('ab' + 'sent', 'a');"
        "print(Path('/proc/self/cmdline').read_bytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", run, "--mqtt-url", url, "--block", "64"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert f"--mqtt-url\\x00mqtt://u:{'x' * len(SECRET)}@h\\x00--block\\x0064" in done.stdout
    assert SECRET not in done.stdout


def test_what_is_marked_as_delivered_again_is_known_however_late() -> None:
    clock = FakeClock()
    once = DuplicateFilter(clock)
    once.connect(False)
    assert once.new(7, False, "a", b"1")
    once.connect(True)
    clock.now += 1000
    assert not once.new(7, True, "a", b"1")
    assert not once.new(7, True, "a", b"1")
    # its identifier given to another message that was lost on its first way
    assert once.new(7, True, "a", b"2")


def test_a_broker_killed_forgets_the_mark_and_delivers_at_once() -> None:
    clock = FakeClock()
    once = DuplicateFilter(clock)
    once.connect(False)
    assert [once.new(n, False, "fire", b"1") for n in (1, 2, 3)] == [True] * 3
    once.connect(True)
    assert [once.new(n, False, "fire", b"1") for n in (2, 3, 4)] == [False, False, True]
    # the first new one ends it: from here on an identifier used again is a new message
    assert once.new(1, False, "fire", b"1")


def test_an_identifier_used_again_later_is_a_new_message() -> None:
    clock = FakeClock()
    once = DuplicateFilter(clock)
    once.connect(False)
    assert once.new(1, False, "fire", b"1")
    assert once.new(1, False, "fire", b"1")
    once.connect(True)
    clock.now += RETRY_SECONDS + 0.01
    assert once.new(1, False, "fire", b"1")


def test_a_broker_that_forgot_us_begins_its_identifiers_anew() -> None:
    once = DuplicateFilter(FakeClock())
    once.connect(False)
    assert once.new(1, False, "fire", b"1")
    once.connect(False)
    assert once.new(1, False, "fire", b"1")
    assert once.new(1, True, "other", b"1")


def test_without_an_identity_all_is_new() -> None:
    once = DuplicateFilter(FakeClock())
    once.connect(True)
    assert all(once.new(0, False, "fire", b"1") for _ in range(3))


def test_what_is_remembered_is_bounded() -> None:
    once = DuplicateFilter(FakeClock())
    for n in range(1, MAX_REMEMBERED + 500):
        once.new(n, False, "fire" * n, b"x" * 100)
    assert len(once._seen) == MAX_REMEMBERED
    assert all(type(what) is int for what in once._seen.values())


def line(port: int) -> MqttConnection:
    return MqttConnection(
        Broker("127.0.0.1", port),
        "antiphon-test",
        MessageTargets(DuplicateFilter(), taken=lambda *_: None, repeated=lambda: None, unreadable=lambda: None),
        will=("antiphon/status", b"offline"),
    )


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def opened(talk: Talk) -> None:
    """Opens a line to a server that talks like this."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        await line(server.sockets[0].getsockname()[1]).open("antiphon/#")
    finally:
        server.close()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\x03\x00\x86\x00",
        b"\x20\x00",
        b"\xff" * 64,
        b"\x20\x03\x00\x00\x00",
        b"\x20\x03\x00\x00\x00\x90\x04\x00\x01\x00\x87",
        b"\x20\x03\x00\x00\x00\xd0\x00\x30\x00",
    ],
)
async def test_a_broker_that_talks_nonsense_is_an_error(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_client, "ANSWER_SECONDS", 0.3)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(said)
        while said and await reader.read(1000):
            pass
        writer.close()

    with pytest.raises(MqttError):
        await opened(talk)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (b"\x30\xff\xff\xff\x7f", "the broker sends 255 MiB at once, and 16 are the most"),
        (b"\x34\x06\x00\x01x\x00\x01\x00" * 2, "the broker sends with QoS 2, which was not asked for"),
    ],
)
async def test_a_broker_that_keeps_to_no_limit_is_left_at_once(said: bytes, sentence: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x03\x00\x00\x00")
        await reader.read(1000)
        writer.write(b"\x90\x04\x00\x01\x00\x01" + said)
        while await reader.read(1000):
            pass
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    connection = line(server.sockets[0].getsockname()[1])
    try:
        await connection.open("antiphon/#")
        with pytest.raises(MqttError, match=sentence):
            await asyncio.wait_for(connection.wait_for_loss(), 30.0)
    finally:
        await connection.close()
        server.close()


async def test_a_broker_that_is_silent_is_given_up_and_the_socket_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_client, "ANSWER_SECONDS", 0.2)
    closed = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()
        closed.set()

    with pytest.raises(MqttError):
        await opened(talk)
    await asyncio.wait_for(closed.wait(), 30.0)


async def test_nobody_there_is_an_error_at_once() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(MqttError, match="refused"):
            await line(held.getsockname()[1]).open("antiphon/#")
