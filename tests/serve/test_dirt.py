"""Clients of SuperDirt at a real server: the bytes that Tidal sends, answered and played at their samples."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.waiting import play_for, until

from antiphon.kernel.wire.osc import Message, decode
from antiphon.testing import sound as audio
from antiphon_bench.rig import ServerProcess, bundle, free_port, message, ntp

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


@contextmanager
def playing(folder: Path, option: str = "--dirt-port") -> Iterator[tuple[ServerProcess, int]]:
    """A server with a sampler whose sounds `bd` and `sn` are one frame long, and its port for SuperDirt's clients or
    Strudel's."""
    for name, height in (("bd", 0.5), ("sn", 0.25)):
        sounds = folder / "data" / "library" / "clicks" / name
        sounds.mkdir(parents=True)
        audio.write(sounds / "a.wav", audio.clicks([0], 64, height=height), subtype="FLOAT")
    (folder / "clicks.toml").write_text(PATCH)
    port = free_port()
    # a busy machine misses fewer blocks with 16 ahead
    options = ("--audio", "headless", "--ahead", "16", "--patch", str(folder / "clicks.toml"))
    with ServerProcess(*options, option, str(port), home=folder) as server:
        until(lambda: server.ask("/node/drums/loaded")[1] == [2], 10.0, "the sounds are read")
        yield server, port


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, int]]:
    with playing(tmp_path_factory.mktemp("dirt")) as made:
        yield made


def record(server: ServerProcess) -> Callable[[], np.ndarray]:
    """Begins to record; a function that ends it, for the highest magnitude of each frame."""
    path = server.ask("/record/start", f"{time.time_ns()}.wav")[1][1]
    play_for(server, 0.1)  # it begins in a fade

    def stop() -> np.ndarray:
        assert server.ask("/record/stop")[0] == "/done"
        return np.abs(soundfile.read(path, dtype="float32", always_2d=True)[0]).max(axis=1)

    return stop


def figures(server: ServerProcess) -> dict[str, Any]:
    return dict(server.status()["dirt"])


def send(port: int, *packets: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for packet in packets:
            sock.sendto(packet, ("127.0.0.1", port))


def test_events_sound_at_the_samples_of_their_time_tags(stage: tuple[ServerProcess, int]) -> None:
    server, port = stage
    stop, start, gap, before = record(server), time.time() + 2.0, 4801, server.status()
    for n in range(40):
        send(port, bundle(ntp(start, n * gap, RATE), EVENT))
    play_for(server, start + 40 * gap / RATE + 0.5 - time.time())
    status = server.status()
    assert [status["dirt"][name] - before["dirt"][name] for name in ("played", "refused")] == [40, 0]
    found = np.flatnonzero(stop() > 0.05)
    assert np.isin(found - found[0], np.arange(40) * gap).all()
    # an event in a block that the machine missed is late, and lies in the rise of the sound behind that block
    late, missed = (status[name] - before[name] for name in ("late", "missed_blocks"))
    assert max(late, 40 - len(found)) <= missed


def test_a_handshake_is_answered_as_tidal_reads_it(stage: tuple[ServerProcess, int]) -> None:
    _, port = stage
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60.0)
        sock.sendto(HANDSHAKE, ("127.0.0.1", port))
        answer = decode(sock.recv(65536))
        assert isinstance(answer, Message)
        assert answer.address == b"/dirt/handshake/reply"
        place = answer.args.index("&controlBusIndices")
        assert answer.args[:place] == ("&serverHostname", "127.0.0.1", "&serverPort", 57110)
        assert len(answer.args) > place + 1, "an empty list counts as no answer"
        assert all(isinstance(index, int) for index in answer.args[place + 1 :])


def test_what_is_wrong_is_counted_and_nothing_else_stops(stage: tuple[ServerProcess, int]) -> None:
    server, port = stage
    before, begun = figures(server), len(refusals(server))
    fields = [item for n in range(3000) for item in (f"x{n}", 1.0)]
    wrong = [
        b"",
        b"garbage",
        b"#bundle\0",
        message("/dirt/play", "s"),
        message("/dirt/play", 1.0, 2.0),
        message("/dirt/play", "n", 1.0),
        message("/dirt/play", "s", "bd", *fields),
        bundle(ntp(time.time() + 1e6), message("/dirt/play", "s", "bd")),
    ]
    send(port, *wrong)
    send(port, message("/dirt/play", "s", "bd", "cutoff", "c1", "label", "x"), message("/c_set", 1, 2.0))
    until(lambda: figures(server)["received"] == before["received"] + len(wrong) + 2, 10.0, "all have arrived")
    found = figures(server)
    assert found["played"] - before["played"] == 1
    assert found["refused"] - before["refused"] == len(wrong)
    assert {"lpf", "label", "/c_set"} <= set(found["ignored"])
    said = refusals(server)[begun:]
    assert "the packet is empty" in said[0]
    assert len(said) < len(wrong), "at most one refusal a second has a line"


def refusals(server: ServerProcess) -> list[str]:
    return [line for line in server.standard_error().splitlines() if "dirt: " in line]


def test_a_sound_that_is_not_there_is_a_sentence_once_and_counted_each_time(stage: tuple[ServerProcess, int]) -> None:
    server, port = stage
    names, before = ["x" * 200, *("bdd",) * 40, *(f"gone{n}" for n in range(90))], figures(server)
    send(port, *(message("/dirt/play", "s", name) for name in names), message("/dirt/play", "s", "sn"))
    until(lambda: figures(server)["received"] == before["received"] + len(names) + 1, 10.0, "all have arrived")
    found = figures(server)
    assert (found["played"] - before["played"], found["refused"]) == (1, before["refused"])
    assert found["unknown"]["others"] + found["unknown"]["bdd"] + 63 == len(names)
    assert found["unknown"]["bdd"] == 40
    said = server.standard_error()
    assert said.count("'bdd'") == 1
    assert "drums has no sound 'bdd', and its events are silent; did you mean bd? there are: bd, sn" in said
    assert said.count("has no sound") == 64


def test_ten_thousand_events_are_played_dropped_or_refused_and_nothing_else_stops(
    stage: tuple[ServerProcess, int],
) -> None:
    server, port = stage
    stop, before = record(server), figures(server)
    at = time.time() + 3.0  # after the flood, whose voices would take its own
    # five: one may fall into the rise of the sound behind a block that a busy machine missed
    send(port, *(bundle(ntp(at, n * 4800, RATE), message("/dirt/play", "s", "sn")) for n in range(5)))
    flood = message("/dirt/play", "s", "bd", "gain", 0.2, "cut", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(10_000):
            sock.sendto(flood, ("127.0.0.1", port))

    def counts() -> dict[str, int]:
        return {name: figures(server)[name] - before[name] for name in ("received", "dropped", "played", "refused")}

    until(lambda: counts()["received"] + counts()["dropped"] == 10_005, 20.0, "all are counted")
    assert counts()["played"] + counts()["refused"] == counts()["received"]
    send(port, message("/dirt/play", "s", "nothing here"))
    unknown = sum(before["unknown"].values())
    until(lambda: sum(figures(server)["unknown"].values()) > unknown, 10.0, "the port answers")
    until(lambda: time.time() > at + 0.5, 3.5, "the first have come")
    play_for(server, 0.1)
    assert stop().max() >= 0.25, "the events sent before it sound"


def test_superpanic_is_panic(stage: tuple[ServerProcess, int]) -> None:
    server, port = stage
    send(port, bundle(ntp(time.time() + 60.0), EVENT))
    until(lambda: server.status()["scheduled"] > 0, 10.0, "it is scheduled")
    send(port, message("/dirt/play", "s", "superpanic"))
    until(lambda: server.status()["scheduled"] == 0, 10.0, "what was scheduled is dropped")


def test_a_port_that_is_taken_is_a_sentence_before_anything_plays(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        server = ServerProcess("--audio", "headless", "--dirt-port", str(port), home=tmp_path)
        with pytest.raises(RuntimeError, match=f"UDP port {port} is taken"), server:
            pass


def test_tidal_scripts_and_pads_play_the_same_sampler(stage: tuple[ServerProcess, int]) -> None:
    """What a client of SuperDirt, a live script and a MIDI pad send, at the height of each sound."""
    server, port = stage
    stop, begun = record(server), -1
    while begun != (begun := server.status()["missed_blocks"]):  # a block that was missed may be that of a sound
        send(port, EVENT)
        play_for(server, 0.3)
        server.send("/node/drums/play", "s", "sn")
        play_for(server, 0.3)
        server.send("/note/on", 36, 127)
        play_for(server, 0.3)
    sound = stop()
    found = np.flatnonzero(sound > 0.05)[-3:]
    np.testing.assert_allclose(sound[found][:2] / sound[found][2], [1.0, 0.5], rtol=0.02)


@pytest.mark.parametrize("strudel", [False, True])
def test_a_server_with_orbits_and_no_port_for_tidal_says_so(tmp_path: Path, strudel: bool) -> None:
    said = (
        "Tidal is not heard: it sends to UDP port 57120, where this server does not listen; start the server with "
        "--dirt-port 57120"
    )
    options = ("--strudel-port", str(free_port())) if strudel else ()
    wires = '[nodes.orbit0]\ntype = "gain"\n[wires]\n"in" = "orbit0"\n"orbit0" = "out"\n'
    (tmp_path / "orbits.toml").write_text(f"format = 1\n{wires}")
    patch = str(tmp_path / "orbits.toml")
    with ServerProcess("--audio", "headless", "--patch", patch, *options, home=tmp_path) as server:
        assert figures(server)["reason"] == said
        server.ask("/patch/load", "through")
        until(lambda: not (server.status()["dirt"] or {}).get("reason"), 20.0, "a patch without orbits wants none")
