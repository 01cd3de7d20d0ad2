"""`antiphon pipeline watch` as a process, with a folder and a real mosquitto: answers, refusals, a kill."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.broker import PASSWORD, USER, Client, mosquitto
from tests.waiting import until

from antiphon.testing import sound as audio

pytestmark = pytest.mark.real


@contextmanager
def watched(folder: Path, more: str = "", address: str = "") -> Iterator[subprocess.Popen[str]]:
    """The command, on `folder`/in; ended by SIGTERM."""
    path = folder / "one.toml"
    (folder / "in").mkdir(exist_ok=True)
    path.write_text(f'name = "one"\n[watch]\npath = "in"\nanalyses = ["loudness"]\nlargest = 2_000_000\n{more}')
    process = subprocess.Popen(
        [sys.executable, "-m", "antiphon", "pipeline", "watch", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.PIPE,
        env={**os.environ, "ANTIPHON_MQTT_URL": address},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)


def journal(folder: Path) -> list[dict[str, Any]]:
    path = folder / "one/watch.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def names(folder: Path) -> list[str]:
    return sorted(row["name"] for row in journal(folder))


def test_files_are_answered_once_across_a_kill_and_a_file_in_writing_when_it_is_whole(tmp_path: Path) -> None:
    whole = audio.write(tmp_path / "whole.wav", audio.noise(16000, 1), 16000).read_bytes()
    with watched(tmp_path) as process:
        with (tmp_path / "in/slow.wav").open("wb") as slow:
            slow.write(whole[:1000])
            slow.flush()
            audio.write(tmp_path / "in/a.wav", audio.noise(16000, 1), 16000)
            until(lambda: names(tmp_path) == ["a.wav"], 20, "the first file is analysed")
            slow.write(whole[1000:])
        until(lambda: names(tmp_path) == ["a.wav", "slow.wav"], 20, "and the other one when it is whole")
        process.kill()
        process.wait()
    (tmp_path / "in/b.wav").write_bytes(whole)
    with watched(tmp_path) as process:
        until(lambda: len(names(tmp_path)) == 3, 20, "a file is analysed that came meanwhile")
        process.send_signal(signal.SIGTERM)
        out, said = process.communicate(timeout=300)
    assert [json.loads(line)["name"] for line in out.splitlines()] == ["b.wav"]
    assert said.startswith(f"sounds that arrive in {tmp_path / 'in'} are analysed; Ctrl-C ends it\n")
    assert "1 analysed, 0 bad, 0 left, 0 refused, 0 lost" in said
    assert names(tmp_path) == ["a.wav", "b.wav", "slow.wav"]
    assert not any("reason" in row for row in journal(tmp_path))


def test_a_message_names_a_file_or_is_a_sound_and_what_is_neither_is_refused(tmp_path: Path) -> None:
    whole = audio.write(tmp_path / "whole.wav", audio.noise(16000, 1), 16000).read_bytes()
    with (
        mosquitto(tmp_path / "broker") as broker,
        watched(tmp_path, f'mqtt = "mqtt://{USER}@127.0.0.1:{broker.port}"\ntopic = "t"\n', broker.url) as process,
        Client(broker, "t/result/#", "t/refused/#") as client,
    ):
        (tmp_path / "in/a.wav").write_bytes(whole)
        until(lambda: names(tmp_path) == ["a.wav"], 20, "a file is analysed")

        def asked(topic: str, payload: bytes, answer: str) -> dict[str, Any]:
            client.send(f"t/request{topic}", payload)
            until(lambda: answer in client.heard, 20, f"an answer at {answer}")
            return dict(json.loads(client.heard[answer][0]))

        def subscribed() -> bool:
            client.send("t/request/0", b"{")
            return "t/refused/0" in client.heard

        until(subscribed, 20, "what is sent before it has subscribed is heard by no one")
        assert asked("/1", b'{"file": "a.wav"}', "t/result/1")["name"] == "a.wav"
        said = asked("/2", whole, "t/result/2")
        assert (said["name"], said["seconds"]) == ("mqtt/2", 1.0)
        assert said["loudness"]["problem"] == ""
        assert "cannot read" in asked("/3", b"RIFF", "t/result/3")["reason"]
        assert "is not below the folder" in asked("/4", b'{"file": "../whole.wav"}', "t/refused/4")["reason"]
        assert "is no request" in asked("/5", b"{", "t/refused/5")["reason"]
        assert "watch.largest allows 2,000,000" in asked("/6", b"x" * 2_000_001, "t/refused/6")["reason"]
        assert "is empty" in asked("", b"", "t/refused")["reason"]
        assert list((tmp_path / "one").glob(".arrived-*")) == []
        assert process.poll() is None
    assert PASSWORD not in (tmp_path / "one/watch.jsonl").read_text()
