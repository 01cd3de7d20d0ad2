"""A scsynth that runs already, joined by real servers: what comes back, what is left behind, its death and return."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.real.conftest import Jackd
from tests.waiting import play_for, until

from antiphon.api.backends import transports as osc
from antiphon_bench.rig import ServerProcess, free_port
from antiphon_supercollider.tests.real.test_supercollider import (
    APART,
    RATE,
    away,
    plays,
    pytestmark as needs_real,
    recorded,
    sequenced,
    synth,
)

pytestmark = needs_real
MINE = 4711
"""A node of somebody else's."""
SOUNDS = 6000
"""Frames within which a hat is heard: those behind it may be few where a busy machine's JACK leaves cycles out."""


class Theirs:
    """A scsynth that is not Antiphon's, and a client of it with a synth that sounds."""

    def __init__(self, jackd: Jackd, inputs: int, outputs: int, port: int = 0, logins: int = 8) -> None:
        self.port = port or free_port()
        env = {**jackd.env, "SC_JACK_DEFAULT_INPUTS": "", "SC_JACK_DEFAULT_OUTPUTS": ""}
        self.process = subprocess.Popen(
            ["scsynth", "-u", str(self.port), "-B", "127.0.0.1", "-R", "0", "-l", str(logins), "-D", "0",
             "-m", "65536", "-i", str(inputs), "-o", str(outputs), "-H", "SuperCollider"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env,
        )  # fmt: skip
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(2.0)
        until(lambda: self.asked("/status") is not None, 10.0, "scsynth answers")

    def send(self, *message: Any) -> None:
        self.socket.sendto(osc.encode(*message), ("127.0.0.1", self.port))

    def asked(self, *message: Any) -> tuple[Any, ...] | None:
        """The answer's arguments."""
        self.send(*message)
        with contextlib.suppress(OSError):
            packet = osc.decode(self.socket.recv(65536))
            if isinstance(packet, osc.Message):
                return packet.args
        return None

    def nodes(self) -> list[int]:
        """Of the root group."""
        told = self.asked("/g_queryTree", 0, 0)
        assert told is not None
        found, at = [], 3
        while at < len(told):
            node, children = told[at], told[at + 1]
            found.append(node)
            at += 3 if children < 0 else 2
        return found

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait()
        self.socket.close()
        # one that is killed leaves its memory
        Path(f"/dev/shm/SuperColliderServer_{self.port}").unlink(missing_ok=True)


@pytest.fixture
def theirs(jackd: Jackd, request: pytest.FixtureRequest) -> Iterator[Theirs]:
    running = Theirs(jackd, *getattr(request, "param", (4, 20)))
    yield running
    if running.process.poll() is None:
        running.end()


def server(folder: Path, jackd: Jackd, port: int, instrument: str = "drums") -> ServerProcess:
    folder.mkdir(exist_ok=True)
    patch = f'format = 1\n[nodes.keys]\ntype = "synth"\ninstrument = "{instrument}"\n[wires]\n"keys" = "out"\n'
    (folder / "keys.toml").write_text(patch)
    return ServerProcess(
        "--audio", "headless", "--scsynth", f"127.0.0.1:{port}", "--patch", str(folder / "keys.toml"),
        "--session", str(folder / "set"), home=folder, wait=40.0, env={"JACK_DEFAULT_SERVER": jackd.name},
    )  # fmt: skip


def test_its_sound_comes_back_and_it_is_left_as_it_was(theirs: Theirs, jackd: Jackd, tmp_path: Path) -> None:
    theirs.send("/g_new", MINE, 1, 0)
    with server(tmp_path, jackd, theirs.port) as running:
        plays(running)
        sequenced(running, 12)
        status = running.status()
        told = status["synth"]
        assert (told["joined"], told["beside"]) == (f"127.0.0.1:{theirs.port}", False)
        assert (told["pid"], told["notes"]["confirmed"]) == (theirs.process.pid, 12)
        assert len(theirs.nodes()) > 1
    until(lambda: theirs.nodes() == [MINE], 10.0, "ours are gone")
    assert theirs.process.poll() is None
    assert away(tmp_path).count(0) >= 12 - told["notes"]["late"] - status["missed_blocks"]


def test_a_killed_server_leaves_nothing_behind(theirs: Theirs, jackd: Jackd, tmp_path: Path) -> None:
    theirs.send("/g_new", MINE, 1, 0)
    with server(tmp_path, jackd, theirs.port, "strings") as running:
        plays(running)
        running.send("/note/on", 60, 100)
        until(lambda: synth(running)["notes"]["confirmed"] == 1, 5.0, "a note sounds")
        worker = joins(jackd)
        os.kill(worker, signal.SIGKILL)
        again = lambda: synth(running).get("notes", {}).get("confirmed") and joins(jackd) != worker  # noqa: E731
        until(again, 20.0, "it is taken up")
        play_for(running, 1.0)
        assert len([node for node in theirs.nodes() if node > 1 << 23]) < 40, "one worker's nodes"
    until(lambda: theirs.nodes() == [MINE], 10.0, "ours are gone")


def test_one_that_dies_is_taken_up_when_it_is_back(theirs: Theirs, jackd: Jackd, tmp_path: Path) -> None:
    with server(tmp_path, jackd, theirs.port, "strings") as running:
        plays(running)
        running.send("/note/on", 60, 100)
        until(lambda: synth(running)["notes"]["confirmed"] == 1, 5.0, "a note sounds")
        theirs.end(signal.SIGKILL)
        until(lambda: synth(running)["pid"] == 0, 5.0, "its death is noticed")
        assert "is gone" in running.standard_error()
        play_for(running, 1.0)
        again = Theirs(jackd, 4, 20, theirs.port)
        try:
            until(lambda: synth(running)["pid"] == again.process.pid, 15.0, "it is taken up again")
            until(lambda: synth(running)["notes"]["confirmed"] == 2, 5.0, "the held note is told again")
            play_for(running, 1.0)
            assert synth(running)["restarts"] == 1
            assert running.standard_error().count(f"the scsynth at 127.0.0.1:{theirs.port} is back") == 1
        finally:
            running.stop()
            again.end()
    _, heard = recorded(tmp_path)
    assert np.abs(heard[-RATE // 4 :]).max() > 0.01, "and heard"


def test_a_worker_that_begins_while_it_is_away_waits_for_it(theirs: Theirs, jackd: Jackd, tmp_path: Path) -> None:
    with server(tmp_path, jackd, theirs.port, "strings") as running:
        plays(running)
        worker = joins(jackd)
        theirs.end(signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        # longer than one worker waits
        play_for(running, 13.0)
        told = synth(running)
        sentence = told["reason"].partition(" at ")[0]
        assert (told["state"], sentence) == ("waiting", "its worker waits: no scsynth answers")
        # patches with synths of their own are not held up
        for name in ("drift", "keys"):
            assert running.ask("/patch/load", name, timeout=4.0)[0] == "/done"
        again = Theirs(jackd, 4, 20, theirs.port)
        try:
            until(lambda: synth(running)["pid"] == again.process.pid, 15.0, "it is taken up")
            running.send("/note/on", 60, 100)
            until(lambda: synth(running)["notes"]["confirmed"] == 1, 5.0, "a note sounds")
            play_for(running, 1.0)
        finally:
            running.stop()
            again.end()
    _, heard = recorded(tmp_path)
    assert np.abs(heard[-RATE // 4 :]).max() > 0.01, "and heard"


@pytest.mark.parametrize("theirs", [(6, 40)], indirect=True)
def test_two_antiphons_on_one_do_not_collide(theirs: Theirs, jackd: Jackd, tmp_path: Path) -> None:
    with server(tmp_path / "a", jackd, theirs.port) as first, server(tmp_path / "b", jackd, theirs.port) as second:
        plays(first)
        plays(second)
        sequenced(first, 6)
        sequenced(second, 6)
        for running in (first, second):
            told = synth(running)
            assert (told["beside"], told["notes"]["confirmed"], told["notes"]["dropped"]) == (False, 6, 0)
        seen = [running.status()["missed_blocks"] + synth(running)["notes"]["late"] for running in (first, second)]
        first.stop()
        sequenced(second, 4)
        assert synth(second)["notes"]["confirmed"] == 10
    for folder, count, lost in (("a", 6, seen[0]), ("b", 10, seen[1] + 2)):
        assert away(tmp_path / folder).count(0) >= count - lost


def test_after_cmd_period_in_sclang_it_plays_on(theirs: Theirs, jackd: Jackd, tmp_path: Path) -> None:
    with server(tmp_path, jackd, theirs.port) as running:
        plays(running)
        theirs.send("/g_freeAll", 0)
        play_for(running, 0.5)
        before = synth(running)["notes"]
        sequenced(running, 6)
        after = synth(running)["notes"]
        assert (after["confirmed"] - before["confirmed"], after["dropped"] - before["dropped"]) == (6, 0)
    found = away(tmp_path)
    assert sum(at is not None for at in found) >= 5, f"heard again: {found}"


@pytest.mark.parametrize("theirs", [(2, 2)], indirect=True)
def test_with_two_outputs_it_plays_beside_by_time_tags(theirs: Theirs, jackd: Jackd, tmp_path: Path) -> None:
    import jack

    blocks: list[Any] = []
    came: list[float] = []
    ear = jack.Client("antiphon-ear", no_start_server=True)
    port = ear.inports.register("in")
    ear.set_process_callback(lambda frames: came.append(time.monotonic()) or blocks.append(port.get_array().copy()))
    try:
        with server(tmp_path, jackd, theirs.port) as running:
            plays(running)
            ear.activate()
            ear.connect("SuperCollider:out_1", port)
            sequenced(running, 10)
            told = synth(running)
            heard = np.abs(np.concatenate(blocks))
        assert (told["beside"], told["notes"]["confirmed"], told["notes"]["dropped"]) == (True, 10, 0)
        assert "numOutputBusChannels = 20" in running.standard_error()
    finally:
        ear.close()
    onsets: list[int] = []
    while len(found := np.flatnonzero(heard[(after := onsets[-1] + SOUNDS if onsets else 0) :] > 1e-4)):
        onsets.append(int(found[0]) + after)
    assert len(onsets) == 10
    asked = [n * APART + 37 * n % 256 for n in range(10)]
    # a JACK server that drops cycles plays slower than the wall's clock, which time tags are of
    apart = np.sort(np.abs(np.diff(onsets) - np.diff(asked)))
    stalled = np.ptp(np.array(came) * RATE - np.arange(len(came)) * jackd.period)
    assert apart[len(apart) // 3] < 0.004 * RATE + stalled


@pytest.mark.parametrize("theirs", [(2, 2, 0, 1)], indirect=True)
@pytest.mark.parametrize("audio", ["jack", "headless"])
def test_one_that_takes_no_more_is_given_up_and_the_rest_plays_on(
    theirs: Theirs, jackd: Jackd, tmp_path: Path, audio: str
) -> None:
    theirs.asked("/notify", 1)
    with ServerProcess(
        "--audio", audio, "--scsynth", f"127.0.0.1:{theirs.port}", "--patch", "keys",
        home=tmp_path, wait=40.0, env={"JACK_DEFAULT_SERVER": jackd.name},
    ) as running:  # fmt: skip
        until(lambda: "scsynth is given up" in running.standard_error(), 15.0, "it is given up")
        assert "takes no more clients" in running.standard_error()
        until(lambda: synth(running).get("backend") in ("pyo", "null"), 15.0, "something else plays")
        until(lambda: synth(running)["state"] == "running", 20.0, "it plays")


def joins(jackd: Jackd) -> int:
    """The pid of the worker that speaks to scsynth; 0 for none."""
    import jack

    with jack.Client("antiphon-look", no_start_server=True) as client:
        names = {port.name.partition(":")[0] for port in client.get_ports("antiphon-scsynth-wires-")}
    return max((int(name.rpartition("-")[2]) for name in names), default=0)
