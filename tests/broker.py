"""A real mosquitto on a free port, with a password file and what it keeps on disk; started and stopped by pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.waiting import until

from antiphon_bench.rig import free_port

USER, PASSWORD = "stage", "s3cret@left/right"
WRITTEN = "s3cret%40left%2Fright"
"""The password as it stands in a URL."""
# /usr/sbin is not in everybody's PATH
PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
MOSQUITTO, PASSWD = (shutil.which(name, path=PLACES) for name in ("mosquitto", "mosquitto_passwd"))
PATIENCE = 60.0


class Mosquitto:
    """keep: it writes what it knows to disk every second, so that it survives a SIGKILL. tls: with a certificate."""

    def __init__(self, folder: Path, *, keep: bool = False, tls: tuple[Path, Path] | None = None) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"mqtt{'s' * bool(tls)}://{USER}:{WRITTEN}@127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        passwords = folder / "passwords"
        passwords.touch(mode=0o600)
        assert PASSWD is not None
        subprocess.run([PASSWD, "-b", passwords, USER, PASSWORD], check=True, capture_output=True)
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {passwords}",
            "max_queued_messages 0",
            f"persistence {'true' if keep else 'false'}",
        ]
        if tls:
            lines[1:1] = [f"certfile {tls[0]}", f"keyfile {tls[1]}"]
        if keep:
            lines += [f"persistence_location {folder}/", "autosave_interval 1"]
        if os.getuid() == 0:
            lines.append("user root")
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def start(self) -> Mosquitto:
        """Starts it and waits until it listens."""
        assert MOSQUITTO is not None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [MOSQUITTO, "-c", self.folder / "mosquitto.conf"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self._listens, PATIENCE, "mosquitto listens")
        return self

    def _listens(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            pytest.fail(f"mosquitto does not listen: {(self.folder / 'log').read_text()[-500:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
            self.process = None

    def keep(self) -> None:
        """Returns once all that it knows now is on its disk."""
        # twice: what is being written now may be without the last of it
        for _ in range(2):
            self._kept_after(time.time())

    def _kept_after(self, moment: float) -> None:
        file = self.folder / "mosquitto.db"
        until(lambda: file.exists() and file.stat().st_mtime > moment, PATIENCE, "mosquitto writes down what it knows")

    def kill(self) -> None:
        self.stop(signal.SIGKILL)


@contextmanager
def mosquitto(
    folder: Path, *, keep: bool = False, start: bool = True, tls: tuple[Path, Path] | None = None
) -> Iterator[Mosquitto]:
    """A running broker; skips the test where none is installed."""
    if MOSQUITTO is None or PASSWD is None:
        pytest.skip("mosquitto is missing: sudo apt-get install mosquitto")
    made = Mosquitto(folder, keep=keep, tls=tls)
    try:
        yield made.start() if start else made
    finally:
        made.kill()


class Client:
    """Somebody else on the broker, by paho and its own thread. heard: topic → every payload in order."""

    def __init__(self, broker: Mosquitto, *topics: str, name: str = "tester", queue: int = 0) -> None:
        self.heard: dict[str, list[bytes]] = {}
        self._topics = topics
        self._sent = self._acknowledged = 0
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv311, clean_session=False
        )
        self.client.username_pw_set(USER, PASSWORD)
        self.client.max_queued_messages_set(queue)
        self.client.reconnect_delay_set(0.2, 1)
        self.client.on_connect, self.client.on_message = self._connected, self._message
        self.client.on_publish = self._published
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()

    def _connected(self, client, userdata, flags, code, properties) -> None:
        for topic in self._topics:
            client.subscribe(topic, 1)

    def _message(self, client, userdata, message) -> None:
        self.heard.setdefault(message.topic, []).append(message.payload)

    def _published(self, *_: object) -> None:
        self._acknowledged += 1

    def last(self, topic: str) -> bytes | None:
        return self.heard.get(topic, [None])[-1]

    def send(self, topic: str, payload: str | bytes, qos: int = 1, retain: bool = False) -> None:
        """Away from the broker it waits here."""
        self.client.publish(topic, payload, qos, retain)
        self._sent += 1

    def flush(self, seconds: float = 30.0) -> None:
        """Returns when the broker has acknowledged all that was sent."""
        until(lambda: self._acknowledged >= self._sent, seconds, "the broker takes what was published")

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
