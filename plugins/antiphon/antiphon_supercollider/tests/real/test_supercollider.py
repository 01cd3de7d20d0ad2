"""scsynth as the synth of real servers, on a jackd of their own: onsets in the recording, deaths, what is dropped."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.real.conftest import NAME, Jackd, alone
from tests.waiting import play_for, until

from antiphon.kernel.supervisor import jack_server
from antiphon_bench.rig import ServerProcess, bundle, message, ntp
from antiphon_supercollider.info import delay

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not (shutil.which("scsynth") and shutil.which("jackd")), reason="needs scsynth and jackd"),
]
OWN = Path(__file__).parents[1] / "synthdefs" / "own" / "compiled"
RATE, BLOCK = 48000, 256
LATENCY = BLOCK * (1 + delay(RATE, BLOCK))
APART = 14400
"""Frames from hat to hat: each is silent before the next."""
CLOSED_HAT = 42
BACK = 0.4
"""Seconds after which a scsynth that was killed has to be heard again."""


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """Plays a node of the parameters or the instrument given, its set kept in `set`.

    In its library are SynthDefs, and `tone.wav`, a second of 440 Hz without a seam.
    """
    library = tmp_path / "data" / "library"
    library.mkdir(parents=True)
    soundfile.write(library / "tone.wav", 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE), RATE)
    for path in OWN.glob("*.scsyndef"):
        shutil.copy(path, library)
    given = request.param if isinstance(request.param, dict) else {"instrument": request.param}
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in given.items())
    patch = f'format = 1\n[nodes.keys]\ntype = "synth"\n{lines}\n[wires]\n"keys" = "out"\n'
    (tmp_path / "keys.toml").write_text(patch)
    with serving(tmp_path, "--patch", str(tmp_path / "keys.toml"), "--session", str(tmp_path / "set")) as running:
        plays(running)
        yield running


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[ServerProcess]:
    """A server on a jackd of its own, with scsynth as its synth."""
    words = ("--audio", "headless", "--synth", "supercollider", *options)
    with alone(), ServerProcess(*words, home=folder, wait=40.0, env={"JACK_DEFAULT_SERVER": NAME}) as running:
        yield running


def runs(running: ServerProcess) -> None:
    until(lambda: synth(running)["state"] == "running" and synth(running)["pid"], 20.0, "scsynth runs")


def plays(running: ServerProcess) -> None:
    runs(running)
    play_for(running, 1.0)


def sequenced(running: ServerProcess, count: int, note: int = CLOSED_HAT, apart: int = APART) -> None:
    """Plays so many notes by time tags, and waits until scsynth has confirmed them."""
    before, began = synth(running)["notes"]["confirmed"], time.time() + 0.5
    for n in range(count):
        running.send_raw(bundle(ntp(began, n * apart + 37 * n % 256, RATE), message("/note/on", note, 100)))
    play_for(running, 0.5 + count * apart / RATE + 0.5)
    until(lambda: synth(running)["notes"]["confirmed"] == before + count, 15.0, "all are played")
    play_for(running, 0.5)


def away(folder: Path) -> list[int | None]:
    """Frames from where each note was asked for to where it was heard; None where it was not."""
    asked, heard = recorded(folder)
    found = [np.flatnonzero(heard[at + LATENCY - 2000 : at + LATENCY + 2000]) for at in asked]
    return [int(f[0]) - 2000 if len(f) else None for f in found]


def synth(server: ServerProcess) -> dict[str, Any]:
    """The synth's figures; those of none until a restarted engine has its workers again."""
    return dict(server.status()["synth"] or {"backend": "", "state": "", "pid": 0})


def back(server: ServerProcess, before: int) -> bool:
    """Whether another scsynth than that of the process `before` plays, over JACK."""
    status = server.status()
    seen = status["synth"] or {"pid": 0}
    return (
        seen["pid"] not in (0, before)
        and (seen["backend"], seen["state"]) == ("supercollider", "running")
        and status["engine"]["driver"] == "jack"
    )


def recorded(folder: Path) -> tuple[list[int], np.ndarray[Any, np.dtype[np.float32]]]:
    """The samples at which notes were asked for, and what was heard, `[frames]`."""
    lines = [json.loads(line) for line in (folder / "set" / "session.jsonl").read_text().splitlines()]
    first = next(line["sample"] for line in lines if "engine" in line)
    x, _ = soundfile.read(folder / "set" / "output.wav", dtype="float32", always_2d=True)
    return [line["sample"] - first for line in lines if line.get("op") == "note_on"], np.abs(x).max(axis=1)


def longest_gap(folder: Path, level: float = 0.2) -> float:
    """Seconds of the longest silence after the first sound; blocks that the machine stalled in do not count.

    level: of the median, above which it is sound.
    """
    lines = [json.loads(line) for line in (folder / "set" / "session.jsonl").read_text().splitlines()]
    zero = next(line["sample"] for line in lines if "engine" in line)
    _, heard = recorded(folder)
    counted = np.ones(len(heard), np.bool_)
    for first, end in (line.get("missed") or 2 * [line.get("unheard", 0)] for line in lines):
        counted[max(0, first - zero) : max(0, max(end, first + BLOCK) - zero)] = False
    sound = np.flatnonzero((heard > level * np.median(heard[heard > 1e-4]))[counted])
    return float(np.diff(sound, append=np.count_nonzero(counted)).max() / RATE)


def test_with_no_jack_server_named_scsynth_and_more_clients_find_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JACK_DEFAULT_SERVER", raising=False)
    with alone(), ServerProcess("--audio", "headless", "--synth", "supercollider", home=tmp_path, wait=40.0) as running:
        runs(running)
        env = {**os.environ, "JACK_DEFAULT_SERVER": jack_server.DEFAULT}
        listed = subprocess.run(["jack_lsp"], env=env, capture_output=True, text=True, timeout=10, check=False)
        assert "antiphon:out_1" in listed.stdout.split()


@pytest.mark.parametrize(
    ("server", "note", "apart", "doubtful"),
    [("drums", CLOSED_HAT, APART, 0), ({"synthdef": str(OWN / "tick.scsyndef")}, 60, 9600, 1)],
    indirect=["server"],
    ids=["drums", "own"],
)
def test_sequenced_onsets_are_where_they_were_asked_for(
    server: ServerProcess, tmp_path: Path, note: int, apart: int, doubtful: int
) -> None:
    count = 16
    sequenced(server, count, note, apart)
    status = server.status()
    notes = status["synth"]["notes"]
    assert (notes["sent"], notes["confirmed"], notes["dropped"]) == (count, count, 0)
    assert status["latency"]["graph"] == LATENCY
    server.stop()
    found = away(tmp_path)
    assert len(found) == count
    # a stall of the whole machine may take the sound of a hop away, which is counted; it never moves a note
    lost = sum((notes["late"], status["missed_blocks"], status["synth"]["unheard"], status["synth"]["misses"]))
    assert found.count(0) >= count - doubtful - lost, found


def test_after_a_panic_an_echo_has_nothing_to_repeat(tmp_path: Path) -> None:
    (tmp_path / "echo.toml").write_text(
        'format = 1\n[nodes.keys]\ntype = "synth"\ninstrument = "organ"\n[nodes.echo]\ntype = "delay"\n'
        'time = 0.2\nfeedback = 0.9\n[wires]\n"keys" = "echo"\n"echo" = "out"\n'
    )
    options = ("--block", "64", "--patch", str(tmp_path / "echo.toml"), "--record", str(tmp_path / "out.wav"))
    with serving(tmp_path, *options) as running:
        plays(running)
        running.send("/note/on", 60, 100)
        play_for(running, 1.0)
        running.send("/panic")
        running.sync(1)
        play_for(running, 1.5)
    heard = np.abs(soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)[0]).max(axis=1)
    assert heard.max() > 0.05
    assert heard[-RATE:].max() < 1e-4, "a second and more after the panic"


def test_nothing_of_scsynth_is_left_when_the_server_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    memory = "/dev/shm/SuperColliderServer_{}"

    def ports() -> set[str]:
        return {path.name for path in tmp_path.glob("antiphon-scsynth-*/running/*")}

    with serving(tmp_path / "home", "--patch", "keys") as running:
        until(lambda: synth(running)["state"] == "running" and len(ports()) == 2, 20.0, "two scsynths run")
        first = ports()
        assert all(Path(memory.format(port)).exists() for port in first)
        killed = synth(running)["pid"]
        os.kill(killed, signal.SIGKILL)
        until(lambda: len(ports() & first) == 1 and len(ports()) == 2, 20.0, "another stands ready")
        seen = first | ports()
        assert sum(Path(memory.format(port)).exists() for port in seen) <= 2
        running.stop(signal.SIGINT)
    assert not any(Path(memory.format(port)).exists() for port in seen)
    assert not list(tmp_path.glob("antiphon-scsynth-*"))


@pytest.mark.parametrize("server", ["strings"], indirect=True)
def test_after_three_deaths_in_a_minute_pyo_plays(server: ServerProcess) -> None:
    seen: set[int] = set()
    for _ in range(4):
        until(lambda: synth(server)["pid"] not in (0, *seen) and synth(server)["state"] == "running", 20.0, "scsynth")
        seen.add(synth(server)["pid"])
        os.kill(synth(server)["pid"], signal.SIGKILL)
    until(lambda: synth(server)["backend"] in ("pyo", "null"), 20.0, "pyo plays")
    until(lambda: synth(server)["state"] == "running", 20.0, "scsynth")
    assert len(seen) == 4


@pytest.mark.parametrize("server", ["drums"], indirect=True)
def test_jackds_death_is_noticed_and_made_good(server: ServerProcess) -> None:
    before = synth(server)["pid"]
    os.kill(jackds_of(server)[0], signal.SIGTERM)
    until(lambda: back(server, before), 60.0, "JACK and scsynth are back")
    play_for(server, 1.0)
    sent = synth(server)["notes"]["sent"]
    server.send("/note/on", CLOSED_HAT, 100)
    until(lambda: synth(server)["notes"]["confirmed"] == sent + 1, 5.0, "a note is confirmed")


def test_those_who_joined_anothers_jackd_play_on_when_it_has_gone(tmp_path: Path) -> None:
    options = ("--audio", "headless", "--synth", "supercollider", "--patch", "keys")
    with contextlib.ExitStack() as stack:
        stack.enter_context(alone())
        first, *others = (
            stack.enter_context(
                ServerProcess(*options, home=tmp_path / name, wait=40.0, env={"JACK_DEFAULT_SERVER": NAME})
            )
            for name in ("a", "b", "c")
        )
        for running in others:
            runs(running)
            assert not jackds_of(running)
        before = [synth(running)["pid"] for running in others]
        assert first.stop(signal.SIGINT) == 0
        for running, pid in zip(others, before, strict=True):
            until(lambda r=running, p=pid: back(r, p), 60.0, "JACK and scsynth are back")
        assert sum(len(jackds_of(running)) for running in others) == 1


@pytest.mark.parametrize("server", ["drums"], indirect=True)
def test_what_comes_from_the_network_is_parsed_before_scsynth_hears_of_it(server: ServerProcess) -> None:
    before = synth(server)
    for packet in (
        b"/s_new\0\0,si\0",
        b"#bundle\0",
        b"/quit\0\0\0,\0\0\0",
        os.urandom(64),
        b"/note/on\0\0\0\0,iii\0\0\0\0",
    ):
        server.send_raw(packet)
    server.send("/note/on", CLOSED_HAT, 100)
    until(lambda: synth(server)["notes"]["confirmed"] == before["notes"]["confirmed"] + 1, 5.0, "scsynth")
    assert synth(server)["pid"] == before["pid"]


def test_what_scsynth_drops_without_a_word_is_counted(jackd: Jackd) -> None:
    from antiphon.api.backends import transports as osc
    from antiphon_supercollider.backend import SuperCollider

    backend = SuperCollider(jackd.rate, jackd.period, 2, spare=False)
    try:
        backend.keeper.send(
            [
                (5000, osc.encode("/s_new", "antiphon_hat", 5000, 0, 10, "note", 60.0)),
                (5001, osc.encode("/s_new", "there_is_none", 5001, 0, 10)),
            ]
        )
        counts = backend.counts
        until(lambda: (counts.sent, counts.confirmed, counts.dropped) == (2, 1, 1), 1.0, "one is there, one is not")
    finally:
        backend.shut()


def jackds_of(server: ServerProcess) -> list[int]:
    """The same; none where it joined another's."""
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(p) for p in children if Path(f"/proc/{p}/comm").read_text().strip() == "jackd"]
