"""Whatever is killed, the sound goes on or comes back: real processes, kill -9, gaps counted in the recording."""

import contextlib
import os
import re
import resource
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.forked import executed
from tests.waiting import complaints, play_for, until
from tests.workers.rig import gone

from antiphon_bench.rig import ServerProcess, free_port

pytestmark = pytest.mark.slow
RATE, BLOCK = 48000, 256


LONG = ("--ahead", "16", "--block", "2048")
"""The longest buffer, 0.7 s: a machine with much else to do holds the engine up for 0.4 s."""


def steady(path: Path) -> Path:
    """A second of a constant, so that any gap is a run of zeros."""
    soundfile.write(path, np.full((RATE, 2), 0.25, np.float32), RATE)
    return path


def longest_gap(path: Path) -> int:
    """Frames of the longest silence inside the recording."""
    sound, _ = soundfile.read(path, dtype="float32", always_2d=True)
    loud = np.flatnonzero(np.abs(sound[:, 0]) > 1e-4)
    assert len(loud), "the recording is silent"
    return int(np.diff(loud).max(initial=1)) - 1


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    return [
        "--audio",
        "headless",
        "--patch",
        "through",
        "--input",
        str(steady(tmp_path / "in.wav")),
        "--record",
        str(tmp_path / "out.wav"),
    ]


def test_it_starts_answers_and_ends_leaving_no_process(options: list[str], tmp_path: Path) -> None:
    with ServerProcess(*options, home=tmp_path) as server:
        assert server.lines[-1].startswith("ready")
        assert server.ask("/ping", 5)[1][0] == 5
        status = server.status()
        engine = status["engine"]
        assert engine["state"] == "running"
        assert engine["ahead"] >= 8
        assert engine["wake_late_ms"] > 0.0, "it was measured"
        assert re.search(rf" {engine['ahead']} ahead \(woken [\d.]+ ms late\), patch ", server.lines[-1])
        assert status["workers"] == []
        assert status["synth"] is None
        pids = server.pids()
        children = Path(f"/proc/{pids['supervisor']}/task/{pids['supervisor']}/children").read_text().split()
        assert server.stop(signal.SIGINT) == 0
        assert complaints(server) == ""
    assert all(gone(pid) for pid in [*pids.values(), *map(int, children)])
    assert longest_gap(tmp_path / "out.wav") == 0


def test_a_killed_or_stopped_engine_is_back_with_its_parameters(options: list[str], tmp_path: Path) -> None:
    with ServerProcess(*options, home=tmp_path) as server:
        server.send("/node/gain/gain", 0.5)
        server.sync()
        play_for(server, 0.3)
        before = server.pids()["engine"]
        os.kill(before, signal.SIGKILL)
        for n in range(20):
            assert server.ask("/ping", n)[1][0] == n
        until(lambda: server.pids()["engine"] != before, 2.0, "another engine")
        until(lambda: server.status()["engine"]["state"] == "running", 2.0, "engine running")
        assert server.status()["engine"]["restarts"] == 1
        assert server.ask("/node/gain/gain") == ("/node/gain/gain", [0.5])
        stopped = server.pids()["engine"]
        os.kill(stopped, signal.SIGSTOP)
        until(lambda: server.status()["engine"]["pid"] != stopped, 6.0, "one that is stopped is replaced too")
        until(lambda: server.status()["engine"]["state"] == "running", 2.0, "engine running")
        server.sync(3)
        play_for(server, 0.3)
    sound, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert np.allclose(sound[-2000:-960], 0.125, atol=1e-3)


def test_a_killed_control_does_not_stop_the_sound(options: list[str], tmp_path: Path) -> None:
    with ServerProcess(*options, *LONG, home=tmp_path) as server:
        server.send("/node/gain/gain", 0.5)
        server.sync()
        pids = server.pids()
        os.kill(pids["control"], signal.SIGKILL)

        def answers() -> bool:
            try:
                return server.ask("/node/gain/gain", timeout=0.2) == ("/node/gain/gain", [0.5])
            except (TimeoutError, ConnectionError):
                return False

        until(answers, 2.0, "control answers with the parameter")
        after = server.pids()
        assert after["control"] != pids["control"]
        assert after["engine"] == pids["engine"]
        server.send("/node/gain/gain", 1.0)
        server.sync(2)
        play_for(server, 0.2)
    assert longest_gap(tmp_path / "out.wav") == 0
    sound, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert np.allclose(sound[-2000:-960], 0.25, atol=1e-3)


def test_a_restart_takes_over_from_a_killed_supervisor(options: list[str], tmp_path: Path) -> None:
    ports = ["--osc-port", str(free_port()), "--http-port", str(free_port())]
    first = ServerProcess(*options, *ports, home=tmp_path).start()
    first.send("/node/gain/gain", 0.25)
    first.sync()
    pids = first.pids()
    first.stop(signal.SIGKILL)
    assert not gone(pids["engine"]), "the sound goes on without the supervisor"
    with ServerProcess(*options, *ports, home=tmp_path) as second:
        assert second.ask("/node/gain/gain") == ("/node/gain/gain", [0.25])
        after = second.pids()
    until(lambda: all(gone(pid) for pid in [*pids.values(), *after.values()]), 3.0, "nothing is left")


def test_after_a_crash_of_everything_the_last_state_is_back_unless_another_patch_is_asked_for(tmp_path: Path) -> None:
    ports = ["--osc-port", str(free_port()), "--http-port", str(free_port())]
    base = ["--audio", "headless", *ports]

    def killed(server: ServerProcess) -> None:
        pids = server.pids()
        for pid in [server.process.pid, *pids.values()]:  # type: ignore[union-attr]
            with contextlib.suppress(ProcessLookupError):  # some end with the supervisor, which goes first
                os.kill(pid, signal.SIGKILL)
        server.stop(signal.SIGKILL)

    first = ServerProcess(*base, "--patch", "through", home=tmp_path).start()
    first.send("/node/add", "delay", "echo", "gain")
    first.send("/node/echo/feedback", 0.75)
    first.send("/node/out/gain", -6.0)
    first.send("/tempo", 77.0)
    first.sync()
    killed(first)
    second = ServerProcess(*base, home=tmp_path).start()  # no patch named: what was there
    assert second.ask("/node/list")[1] == ["gain", "gain", "echo", "delay"]
    assert second.ask("/node/echo/feedback")[1] == [0.75]
    assert second.ask("/node/out/gain")[1] == [-6.0]
    assert second.ask("/tempo")[1] == [77.0]
    assert "its patch and values are restored" in second.standard_error()
    killed(second)
    with ServerProcess(*base, "--patch", "click", home=tmp_path) as third:
        assert third.ask("/node/list")[1] == ["click", "click"]
        assert third.ask("/node/out/gain")[1] == [0.0]
        assert complaints(third) == ""


def test_nothing_but_a_signal_to_end_ends_it(options: list[str], tmp_path: Path) -> None:
    """Nobody reads what it says, it has no descriptor for a new engine, its terminal is closed: it plays on."""
    read, write = os.pipe()
    os.close(read)
    with executed(), os.fdopen(write, "w") as nobody, ServerProcess(*options, home=tmp_path, errors=nobody) as server:
        assert server.process is not None
        supervisor, before = server.process.pid, server.pids()
        used = {int(fd) for fd in os.listdir(f"/proc/{supervisor}/fd")}
        soft, hard = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
        lowest_free = next(n for n in range(soft) if n not in used)
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (lowest_free, hard))
        os.kill(before["engine"], signal.SIGKILL)
        until(lambda: server.status()["supervisor_faults"] > 0, 5.0, "an engine could not be started")
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        for pid in (supervisor, *map(int, children)):
            os.kill(pid, signal.SIGHUP)
        assert server.ask("/ping", 5)[1][0] == 5
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (soft, hard))
        until(lambda: server.status()["engine"]["state"] == "running", 5.0, "another engine")
        after = server.pids()
        assert after["control"] == before["control"]
        assert after["engine"] != before["engine"]
        assert server.stop(signal.SIGINT) == 0
    until(lambda: all(gone(pid) for pid in after.values()), 3.0, "nothing is left")
    longest_gap(tmp_path / "out.wav")  # it opens, and is not silent


def test_a_killed_web_process_is_back_and_nothing_is_heard(options: list[str], tmp_path: Path) -> None:
    with ServerProcess(*options, *LONG, home=tmp_path) as server:
        server.send("/node/gain/gain", 0.5)
        server.sync()
        before = server.status()
        for n in range(3):
            web = server.status()["web"]["pid"]
            os.kill(web, signal.SIGKILL)
            assert server.ask("/ping", n)[1][0] == n
            after = server.status()  # it waits in the socket until another takes it
            assert after["web"]["pid"] != web
        assert server.ask("/node/gain/gain") == ("/node/gain/gain", [0.5])
        assert (after["control"]["pid"], after["engine"]["pid"]) == (before["control"]["pid"], before["engine"]["pid"])
        assert after["missed_blocks"] == before["missed_blocks"]
        assert server.standard_error().count("web ended (killed by SIGKILL); starting it again") == 3
    assert longest_gap(tmp_path / "out.wav") == 0


def test_a_stopped_web_process_holds_nobody_up(options: list[str], tmp_path: Path) -> None:
    with ServerProcess(*options, home=tmp_path) as server:
        web = server.status()["web"]["pid"]
        os.kill(web, signal.SIGSTOP)
        try:
            for n in range(20):
                assert server.ask("/ping", n)[1][0] == n
        finally:
            os.kill(web, signal.SIGCONT)
        assert server.status()["web"]["pid"] == web
        os.kill(web, signal.SIGSTOP)  # one that is stopped is ended all the same
        assert server.stop(signal.SIGINT) == 0
    until(lambda: gone(web), 3.0, "nothing is left")


def test_a_web_process_whose_loop_is_held_is_ended_and_another_serves(options: list[str], tmp_path: Path) -> None:
    """A plugin's handler that never returns."""
    plugin = tmp_path / "data" / "plugins" / "holds"
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").write_text(
        "from antiphon.kernel.contract.hookspecs import hookimpl\n"
        "def hold(request):\n"
        "    while True:\n"
        "        pass\n"
        "@hookimpl\n"
        "def antiphon_routes(http):\n"
        "    http.add('GET', '/plugins/holds', hold)\n"
    )
    with ServerProcess(*options, home=tmp_path) as server:
        web = server.status()["web"]["pid"]
        with socket.create_connection(("127.0.0.1", server.http)) as sock:
            sock.sendall(f"GET /plugins/holds HTTP/1.1\r\nHost: 127.0.0.1:{server.http}\r\n\r\n".encode())
            assert server.ask("/ping", 1)[1][0] == 1
            sock.settimeout(300.0)
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""
        assert server.status()["web"]["pid"] != web
        said = server.standard_error()
        assert any(f"web ended (killed by {name})" in said for name in ("SIGPROF", "SIGALRM"))  # a busy machine
