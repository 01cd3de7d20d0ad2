"""Clients of SuperDirt at a real server: the bytes that Tidal sends, answered and played at their samples."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import audio
from tests.waiting import play_for, until

from antiphon.bench.rig import ServerProcess, bundle, free_port, message, ntp
from antiphon.wire.osc import Message, decode

RATE = 48000
PATCH = """
format = 1
[nodes.drums]
type = "sampler"
library = "clicks"
[wires]
"drums" = "out"
"""
HANDSHAKE = bytes.fromhex("2f646972742f68616e647368616b65002c000000")
"""As Tidal 1.7 sends it."""
EVENT = bytes.fromhex(
    "2f646972742f706c617900002c73737366736673667373005f69645f0000000031000000637073003f0000006379636c65000000"
    "3f80000064656c74610000003f0000007300000062640000"
)
"""`d1 $ sound "bd"` as Tidal 1.7 sends it, without its bundle."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[tuple[ServerProcess, int, Path]]:
    """A server with a sampler whose sounds `bd` and `sn` are one frame long, its port for SuperDirt's clients, and its
    recording."""
    for name, height in (("bd", 0.5), ("sn", 0.25)):
        folder = tmp_path / "data" / "library" / "clicks" / name
        folder.mkdir(parents=True)
        audio.write(folder / "a.wav", audio.clicks([0], 64, height=height), subtype="FLOAT")
    (tmp_path / "clicks.toml").write_text(PATCH)
    port, out = free_port(), tmp_path / "out.wav"
    with ServerProcess(
        "--audio", "headless", "--patch", str(tmp_path / "clicks.toml"), "--dirt-port", str(port),
        "--record", str(out), home=tmp_path,
    ) as server:  # fmt: skip
        until(lambda: server.ask("/node/drums/loaded")[1] == [2], 10.0, "the sounds are read")
        yield server, port, out


def figures(server: ServerProcess) -> dict[str, object]:
    return dict(server.status()["dirt"])


def send(port: int, *packets: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for packet in packets:
            sock.sendto(packet, ("127.0.0.1", port))


def onsets(out: Path) -> np.ndarray:
    sound = soundfile.read(out, dtype="float32", always_2d=True)[0]
    return np.flatnonzero(np.abs(sound).max(axis=1) > 0.05)


def test_events_sound_at_the_samples_of_their_time_tags(stage: tuple[ServerProcess, int, Path]) -> None:
    server, port, out = stage
    start, gap = time.time() + 0.3, 4801
    for n in range(40):
        send(port, bundle(ntp(start, n * gap, RATE), EVENT))
        time.sleep(0.02)
    play_for(server, 40 * gap / RATE)
    assert (figures(server)["played"], figures(server)["refused"]) == (40, 0)
    late = server.status()["late"]
    server.stop()
    found = onsets(out)
    assert np.array_equal(found - found[0], np.arange(40) * gap)
    assert late == 0


def test_a_handshake_is_answered_as_tidal_reads_it(stage: tuple[ServerProcess, int, Path]) -> None:
    _, port, _ = stage
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10.0)
        sock.sendto(HANDSHAKE, ("127.0.0.1", port))
        answer = decode(sock.recv(65536))
        assert isinstance(answer, Message)
        assert answer.address == b"/dirt/handshake/reply"
        place = answer.args.index("&controlBusIndices")
        assert answer.args[:place] == ("&serverHostname", "127.0.0.1", "&serverPort", 57110)
        assert len(answer.args) > place + 1, "an empty list counts as no answer"
        assert all(isinstance(index, int) for index in answer.args[place + 1 :])


def test_what_is_wrong_is_counted_and_nothing_else_stops(stage: tuple[ServerProcess, int, Path]) -> None:
    server, port, out = stage
    fields = [item for n in range(3000) for item in (f"x{n}", 1.0)]
    wrong = [
        b"", b"garbage", b"#bundle\0", message("/dirt/play", "s"), message("/dirt/play", 1.0, 2.0),
        message("/dirt/play", "n", 1.0), message("/dirt/play", "s", "bd", *fields),
        bundle(ntp(time.time() + 1e6), message("/dirt/play", "s", "bd")),
    ]  # fmt: skip
    send(port, *wrong)
    send(port, message("/dirt/play", "s", "bd", "cutoff", "c1", "label", "x"), message("/c_set", 1, 2.0))
    until(lambda: figures(server)["received"] == len(wrong) + 2, 10.0, "all have arrived")
    found = figures(server)
    assert (found["played"], found["refused"]) == (1, len(wrong))
    assert {"lpf", "label", "/c_set"} <= set(found["ignored"])  # type: ignore[call-overload]
    assert "names no sound" in server.standard_error()
    play_for(server, 0.2)
    server.stop()
    assert len(onsets(out)) == 1


def test_superpanic_is_panic(stage: tuple[ServerProcess, int, Path]) -> None:
    server, port, out = stage
    send(port, bundle(ntp(time.time() + 15.0), EVENT))
    until(lambda: figures(server)["played"] == 1, 10.0, "it is scheduled")
    send(port, message("/dirt/play", "s", "superpanic"))
    until(lambda: server.status()["scheduled"] == 0, 10.0, "what was scheduled is dropped")
    server.stop()
    assert len(onsets(out)) == 0


def test_a_port_that_is_taken_is_a_sentence_before_anything_plays(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        server = ServerProcess("--audio", "headless", "--dirt-port", str(port), home=tmp_path)
        with pytest.raises(RuntimeError, match=f"UDP port {port} is taken"), server:
            pass


def test_tidal_scripts_and_pads_play_the_same_sampler(stage: tuple[ServerProcess, int, Path]) -> None:
    """What a client of SuperDirt, a live script and a MIDI pad send, at the height of each sound."""
    server, port, out = stage
    send(port, EVENT)
    play_for(server, 0.3)
    server.send("/node/drums/play", "s", "sn")
    play_for(server, 0.3)
    server.send("/note/on", 36, 127)
    play_for(server, 0.3)
    server.stop()
    sound = np.abs(soundfile.read(out, dtype="float32", always_2d=True)[0]).max(axis=1)
    found = np.flatnonzero(sound > 0.05)
    assert len(found) == 3
    np.testing.assert_allclose(sound[found][:2] / sound[found][2], [1.0, 0.5], rtol=0.02)
