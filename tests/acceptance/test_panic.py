"""Panic: silence from the next block on, whatever sounds and whichever way it comes, and what is played then sounds."""

import socket
import time
from pathlib import Path

import numpy as np
import pytest
import wsproto
from tests.patches.performances import PERFORMANCES, input_sound
from tests.waiting import until
from wsproto import events

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.graph import patch
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime import resources
from antiphon.kernel.session.commands import Command, Panic, Play, Sample
from antiphon.kernel.wire.osc import Bundle, Message, decode
from antiphon.offline.player import FilePlayer
from antiphon.testing import sound as audio
from antiphon_bench.rig import ServerProcess, bundle, free_port, message, ntp

RATE, BLOCK = 48000, 256
SPEC = StreamSpec(RATE, BLOCK, 2)
AT, AGAIN, END = round(0.7 * RATE), round(1.2 * RATE), round(1.6 * RATE)
"""Frames of the panic, of what is played after it, and of the end."""


@pytest.mark.parametrize(
    "name",
    ["pads", pytest.param("keys", marks=pytest.mark.needs("pyo")), "dub", "chapel", "cloud"],
    ids=["samples", "a synth's process", "echoes", "a room", "frozen sound"],
)
def test_a_patch_is_silent_from_the_next_block_on_and_plays_again(name: str, loaded: Loaded) -> None:
    played = patch.load(resources.patches() / f"{name}.toml", loaded.catalog, trusted=True)
    performance = PERFORMANCES[name]
    commands: list[Command] = [Panic(Sample(AT))]
    for begin in (0, AGAIN):
        # none is ended: what a panic leaves sounding sounds to the end
        commands += [
            Play(performance.node, Event("on", 0, note.note, 0.8), Sample(begin + 64)) for note in performance.notes[:3]
        ]
    commands.sort(key=lambda command: command.when.n if isinstance(command.when, Sample) else 0)
    x = input_sound(performance, END, END)
    x[:, AT:AGAIN] = 0.0
    player = FilePlayer(played.graph, loaded.catalog, loaded.make, SPEC, played.tempo, commands)
    y = player.sound([x])
    assert player.failures == []
    level = np.abs(y).max(axis=0)
    silent = (AT // BLOCK + 1) * BLOCK
    assert level[: AT // BLOCK * BLOCK][-RATE // 2 :].max() > 0.01, "it sounds before"
    assert level[silent:AGAIN].max() == 0.0, "it is silent from the next block on"
    assert level[AGAIN:].max() > 0.01, "and plays again"
    # the fall is the sound times a line from 1 to 0, so that it is no steeper than the sound and that line are
    falling, before = y[:, AT // BLOCK * BLOCK - 1 : silent], y[:, : AT // BLOCK * BLOCK]
    allowed = np.abs(np.diff(before, axis=1)).max() + np.abs(before).max() / BLOCK
    assert np.abs(np.diff(falling, axis=1)).max() <= allowed, "without a click"


TONE = """
format = 1
[nodes.tone]
type = "sampler"
library = "tones"
[wires]
"tone" = "out"
"""


def by_osc(server: ServerProcess, dirt: int) -> None:
    server.send("/panic")


def by_superdirt(server: ServerProcess, dirt: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(message("/dirt/play", "s", "superpanic"), ("127.0.0.1", dirt))


def by_http(server: ServerProcess, dirt: int) -> None:
    assert server.request("POST", "/api/panic") == (200, {"sent": "/panic"})


def by_websocket(server: ServerProcess, dirt: int) -> None:
    client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    with socket.create_connection(("127.0.0.1", server.http), timeout=300) as sock:
        sock.sendall(client.send(events.Request(host=f"127.0.0.1:{server.http}", target="/")))
        client.receive_data(sock.recv(65536))
        assert any(isinstance(event, events.AcceptConnection) for event in client.events())
        sock.sendall(client.send(events.Message(data=message("/panic"))))


def test_it_is_one_panic_by_osc_http_websocket_and_superdirt(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "library" / "tones" / "a"
    folder.mkdir(parents=True)
    seconds = np.arange(20 * RATE) / RATE
    audio.write(folder / "a.wav", 0.5 * np.sin(2 * np.pi * 200.0 * seconds), subtype="FLOAT")
    (tmp_path / "tone.toml").write_text(TONE)
    dirt = free_port()
    with (
        ServerProcess(
            "--audio", "headless", "--patch", str(tmp_path / "tone.toml"), "--dirt-port", str(dirt), home=tmp_path
        ) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as surface,
    ):
        surface.connect(("127.0.0.1", server.osc))
        surface.settimeout(60.0)
        surface.send(message("/notify", 1))
        until(lambda: server.ask("/node/tone/loaded")[1] == [1], 10.0, "the sound is read")
        until(lambda: server.status()["web"]["state"] == "running", 10.0, "HTTP is served")
        for way in (by_osc, by_http, by_websocket, by_superdirt):
            server.send("/note/on", 36, 127)
            while _peak(surface) < 0.3:
                pass
            # a note for the engine's schedule, and a message that control holds until then
            for held in (message("/note/on", 36, 127), message("/scene/store", 5)):
                surface.send(bundle(ntp(time.time() + 600.0), held))
            until(lambda: server.status()["dated_bytes"] > 0, 10.0, "a message waits for its time")
            way(server, dirt)
            while _peak(surface) > 0.0:
                pass
            until(lambda: server.status()["scheduled"] == 0, 10.0, "what was scheduled is dropped")


def _peak(surface: socket.socket) -> float:
    """The output's level in the next message that names it; the test fails where none comes."""
    while True:
        packet = decode(surface.recv(65536))
        for item in packet.items if isinstance(packet, Bundle) else (packet,):
            if isinstance(item, Message) and item.address == b"/meter" and item.args[0] == "out":
                return float(item.args[1])  # type: ignore[arg-type]
