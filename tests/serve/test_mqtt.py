"""A whole server on a real broker: what a performer sends, what is told, and a password that is nowhere to be read."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.broker import PASSWORD, USER, WRITTEN, Client, Mosquitto, mosquitto
from tests.forked import executed
from tests.waiting import until

from antiphon_bench.rig import ServerProcess

OPTIONS = ("--audio", "headless", "--patch", "through")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path / "broker", keep=True) as made:
        yield made


def running(server: ServerProcess, seconds: float = 5.0) -> None:
    until(lambda: server.status()["mqtt"]["state"] == "running", seconds, "the server is on the broker")


def test_it_is_played_by_mqtt_and_survives_its_broker_and_itself(broker: Mosquitto, tmp_path: Path) -> None:
    with ServerProcess(*OPTIONS, "--mqtt-url", broker.url, home=tmp_path) as server:
        running(server)
        with Client(broker, "antiphon/+/+", "antiphon/status") as client:
            client.send("antiphon/gain/gain/set", "0.25")
            until(lambda: client.last("antiphon/gain/gain") == b"0.25", 5, "the new value is told")
            assert server.ask("/node/gain/gain") == ("/node/gain/gain", [0.25])

            broker.keep()
            broker.kill()
            until(lambda: server.status()["mqtt"]["state"] == "connecting", 5, "the broker's death is known")
            server.send("/node/gain/gain", 0.5)
            server.sync()
            client.send("antiphon/gain/wet/set", "0.125")
            broker.start()
            running(server)
            until(lambda: client.last("antiphon/gain/gain") == b"0.5", 5, "what changed meanwhile is told")
            until(lambda: client.last("antiphon/gain/wet") == b"0.125", 5, "what was sent meanwhile is applied")

            told = len(client.heard["antiphon/status"])
            os.kill(server.pids()["control"], signal.SIGKILL)
            # the next control process may be there before it is looked at
            until(lambda: b"offline" in client.heard["antiphon/status"][told:], 5, "the broker publishes the will")
            client.send("antiphon/gain/gain/set", "0.75")
            until(lambda: client.last("antiphon/status") == b"online", 10, "the next control process is there")
            until(lambda: client.last("antiphon/gain/gain") == b"0.75", 5, "what was sent meanwhile is applied")

            assert server.status()["mqtt"]["refused"] == 0
            server.stop()
            until(lambda: client.last("antiphon/status") == b"offline", 5, "it says that it goes")


def command_lines() -> Iterator[str]:
    """The process list."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield file.read_bytes().replace(b"\0", b" ").decode(errors="replace")


def test_the_password_is_nowhere(broker: Mosquitto, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with executed(), ServerProcess(*OPTIONS, "--mqtt-url", broker.url, home=home) as server:
        running(server)
        broker.stop()
        until(lambda: server.status()["mqtt"]["state"] == "connecting", 5, "the broker's end is known")
        os.kill(server.pids()["control"], signal.SIGKILL)
        until(
            lambda: "MQTT" in server.standard_error().split("starting it again")[-1],
            10,
            "the next has tried the broker",
        )
        shown = server.standard_error() + str(server.status()) + "".join(server.lines)
        lines = "\n".join(command_lines())
        assert f"mqtt://{USER}:{'x' * len(WRITTEN)}@127.0.0.1:{broker.port}" in lines
        kept = b"".join(p.read_bytes() for p in home.rglob("*") if p.is_file() and not p.is_socket())
        parent = Path(f"/proc/{server.pids()['supervisor']}/cmdline").read_bytes()
        for secret in (PASSWORD, WRITTEN):
            assert secret not in shown + lines
            assert secret.encode() not in kept + parent


def test_by_the_environment_the_process_list_never_has_it_and_nobody_inherits_it(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with executed(), ServerProcess(*OPTIONS, home=tmp_path, env={"ANTIPHON_MQTT_URL": broker.url}) as server:
        running(server)
        for name in ("control", "supervisor"):
            pid = server.pids()[name]
            assert b"mqtt" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert WRITTEN.encode() not in Path(f"/proc/{server.pids()['control']}/environ").read_bytes()


def test_a_broker_that_cannot_be_reached_stops_nothing(tmp_path: Path) -> None:
    with ServerProcess(*OPTIONS, "--mqtt-url", "mqtt://u:p@no-such-host.invalid", home=tmp_path) as server:
        server.sync()
        until(lambda: server.status()["mqtt"]["reason"], 20, "the reason is told")
        assert server.status()["mqtt"]["state"] == "connecting"
        assert server.stop() == 0
        assert server.standard_error().count("MQTT") == 1
