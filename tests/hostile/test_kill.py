"""kill -9, again and again: everything answers after it, nothing has grown."""

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.forked import executed
from tests.hostile.conftest import answered, children, listed, resident
from tests.waiting import play_for, until

from antiphon_bench.rig import ServerProcess


@pytest.fixture
def server(tmp_path: Path):  # type: ignore[no-untyped-def]
    place = tmp_path
    soundfile.write(place / "in.wav", np.full((48000, 2), 0.25, np.float32), 48000)
    options = ["--patch", "through", "--input", str(place / "in.wav"), "--record", str(place / "take.wav")]
    with ExitStack() as stack:
        with executed():  # its memory and descriptors are counted
            running = stack.enter_context(ServerProcess("--audio", "headless", *options, home=place))
        running.send("/node/gain/gain", 0.5)
        running.sync()
        yield running


def well(server: ServerProcess) -> bool:
    try:
        return server.status()["engine"]["state"] == "running" and server.ask("/node/gain/gain", timeout=0.3) == (
            "/node/gain/gain",
            [0.5],
        )
    except OSError:
        return False


def kill(server: ServerProcess, name: str) -> None:
    pid = server.pids()[name]
    os.kill(pid, signal.SIGKILL)

    def replaced() -> bool:
        try:
            return server.pids()[name] != pid
        except OSError:
            return False

    until(replaced, 3.0, f"another {name}")


def test_a_storm(server: ServerProcess) -> None:
    assert server.process is not None
    supervisor = server.process.pid
    until(lambda: well(server), 5.0, "the web process, which is started last, answers")
    descriptors, memory = len(list(Path(f"/proc/{supervisor}/fd").iterdir())), resident(supervisor)
    for _ in range(3):
        kill(server, "engine")
    until(lambda: well(server), 3.0, "the engine is back")
    for _ in range(2):
        kill(server, "control")
    until(lambda: well(server), 3.0, "control is back")
    for pid in [server.pids()["control"], server.pids()["engine"]]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: well(server), 5.0, "both are back")
    for pid in children(supervisor):
        os.kill(pid, signal.SIGKILL)
    until(lambda: well(server), 5.0, "all are back")
    answered(server)
    until(lambda: len(children(supervisor)) == 5, 5.0, "control, engine, recorder, weigher and web")
    until(lambda: len(list(Path(f"/proc/{supervisor}/fd").iterdir())) == descriptors, 5.0, "as many descriptors")
    assert resident(supervisor) - memory < 16 << 20
    assert "Traceback" not in server.standard_error()


def test_a_killed_recorder_is_followed_by_one_that_goes_on(server: ServerProcess) -> None:
    assert server.process is not None
    recorder = listed(server, "recorder")
    began = server.status()["blocks"]
    until(lambda: server.status()["blocks"] > began + 8, 3.0, "the first sound has come in, over 10 ms")
    takes = set(server.home.glob("take*.wav"))
    os.kill(recorder, signal.SIGKILL)
    until(lambda: set(server.home.glob("take*.wav")) - takes, 2.0, "a new file")
    (new,) = set(server.home.glob("take*.wav")) - takes
    play_for(server, 0.3)
    missed = server.status()["missed_blocks"]
    assert server.stop(signal.SIGINT) == 0
    assert f"the recording goes on in {new}" in server.standard_error()
    for take in server.home.glob("take*.wav"):
        soundfile.info(take)
    sound, _ = soundfile.read(new, dtype="float32")
    assert len(sound) > 4800
    # a block that a busy machine missed is silent, and what follows it rises
    assert np.allclose(sound[:-960], 0.125, atol=1e-3) or (missed and 0.0 <= sound.min() < sound.max() < 0.126)


def zombies(server: ServerProcess) -> list[int]:
    """Ended children of the server's processes that nobody has reaped."""
    below = [server.process.pid] if server.process is not None else []
    for pid in below:  # grows as it goes
        below += children(pid)
    return [pid for pid in below if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"]


MOMENTS = 20
BESIDE = {"none": "gain", "sampler": "sampler", "soundfont": "soundfont", "synth": "synth", "stems": "stems"}
"""Types of the nodes beside which the engine is killed."""


def gaps_of(home: Path) -> tuple[Any, float]:
    """Lengths of the silences of a recording, seconds, and its greatest step."""
    takes = sorted(home.glob("take*.wav"), key=lambda take: take.stat().st_mtime)
    heard = np.concatenate([soundfile.read(take, dtype="float32")[0][:, 0] for take in takes])
    heard = heard[np.flatnonzero(np.abs(heard) > 0.1)[0] : -4800]  # before it the patch was not there yet
    silent = np.concatenate(([0], (np.abs(heard) < 1e-4).astype(np.int8), [0]))
    edges = np.flatnonzero(np.diff(silent))
    return (edges[1::2] - edges[::2]) / 48000, float(np.abs(np.diff(heard)).max())


@pytest.mark.standing
@pytest.mark.timeout(300)
@pytest.mark.parametrize("beside", BESIDE)
def test_a_killed_engine_is_back_beside_any_node(beside: str, figure: Callable[[str], None], tmp_path: Path) -> None:
    kills = 5
    soundfile.write(tmp_path / "in.wav", np.full((48000, 2), 0.25, np.float32), 48000)
    (tmp_path / "beside.toml").write_text(
        f'format = 1\n[nodes.gain]\n[nodes.other]\ntype = "{BESIDE[beside]}"\nmute = true\n[nodes.mix]\n[wires]\n'
        '"in" = "gain"\n"gain" = "mix.a"\n"other" = "mix.b"\n"mix" = "out"\n'
    )
    options = "--patch", str(tmp_path / "beside.toml"), "--input", str(tmp_path / "in.wav")
    with ServerProcess(
        "--audio", "headless", *options, "--record", str(tmp_path / "take.wav"), home=tmp_path
    ) as server:
        server.sync()
        for _ in range(kills):
            play_for(server, 1.0)
            kill(server, "engine")
            until(lambda: server.status()["engine"]["state"] == "running", 10.0, "the engine is back")
        play_for(server, 1.0)
        missed = server.status()["missed_blocks"]
        ended = zombies(server)
        assert server.stop(signal.SIGINT) == 0
    gaps, step = gaps_of(tmp_path)
    assert len(gaps) >= kills
    assert step < 0.04
    assert not ended
    assert "Traceback" not in server.standard_error()
    figure(f"{kills} kills, silences of {sorted((gaps * 1000).round().tolist())} ms, {missed} blocks missed")


@pytest.mark.standing
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["engine", "control", "web", "recorder", "weigher"])
def test_a_kill_at_each_of_twenty_moments(
    server: ServerProcess, name: str, figure: Callable[[str], None], tmp_path: Path
) -> None:
    """Everything answers after each, and what was recorded misses what the engine could not compute alone."""
    until(lambda: well(server), 5.0, "the web process, which is started last, answers")
    for moment in range(MOMENTS):
        pid = listed(server, name)
        play_for(server, 0.05 * moment)
        os.kill(pid, signal.SIGKILL)
        until(lambda: listed(server, name) != pid, 10.0, f"another {name}")  # noqa: B023
        until(lambda: well(server), 20.0, "all answer")
    missed = server.status()["missed_blocks"]
    ended = zombies(server)
    assert server.stop(signal.SIGINT) == 0
    assert not ended
    assert not [*server.home.rglob("*.part")]
    gaps, step = gaps_of(server.home)
    figure(
        f"{MOMENTS} kills, longest gap {max(gaps, default=0.0):.3f} s, largest step {step:.4f}, {missed} blocks missed"
    )
    assert "Traceback" not in server.standard_error()
    assert step < 0.02
    if name != "engine" and not missed:
        assert not len(gaps)
