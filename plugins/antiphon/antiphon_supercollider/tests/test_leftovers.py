"""What scsynths of ours leave behind is taken away, and nobody else's. A shell script stands for scsynth."""

import socket
import subprocess
import time
from pathlib import Path

import pytest
from tests.runtime.test_pidfile import gone

from antiphon_supercollider.scsynth import server
from antiphon_supercollider.scsynth.server import Scsynth


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the machine's shared memory."""
    folder = tmp_path / "shm"
    folder.mkdir()
    monkeypatch.setattr(server, "MEMORY", folder)
    monkeypatch.setattr(server.tempfile, "gettempdir", lambda: str(tmp_path))
    return folder


def left(memory: Path, *ports: int) -> None:
    for port in ports:
        (memory / f"SuperColliderServer_{port}").touch()


def there(memory: Path) -> set[int]:
    return {int(path.name.rpartition("_")[2]) for path in memory.iterdir()}


def workers(parent: Path, pid: int) -> Path:
    """The folder of a worker."""
    folder = parent / f"{server.PREFIX}{pid}-x"
    (folder / server.RUNNING).mkdir(parents=True)
    return folder


@pytest.mark.parametrize("by_itself", [True, False])
def test_one_that_ended_leaves_no_memory(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_itself: bool
) -> None:
    stand_in = tmp_path / "scsynth"
    stand_in.write_text("#!/bin/sh\n" + ("exit 3\n" if by_itself else "exec sleep 60\n"))
    stand_in.chmod(0o755)
    monkeypatch.setattr(server, "scsynth_path", lambda: str(stand_in))
    running = Scsynth("name", 256, 2, 2, tmp_path)
    port = running.address[1]
    left(memory, port, port + 1)
    if by_itself:
        running._process.wait()
    running.close()
    assert there(memory) == {port + 1}


def test_what_a_killed_worker_left_is_swept(memory: Path, tmp_path: Path) -> None:
    folder = workers(tmp_path, gone())
    for port in (5001, 5002):
        server.claim(folder, port)
    left(memory, 5001, 5002, 5003)
    server.sweep()
    assert there(memory) == {5003}
    assert not folder.exists()


def test_of_a_port_that_is_heard_at_nothing_is_taken(memory: Path, tmp_path: Path) -> None:
    folder = workers(tmp_path, gone())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs:
        theirs.bind(("127.0.0.1", 0))
        port = theirs.getsockname()[1]
        server.claim(folder, port)
        left(memory, port)
        server.sweep(0.1)
        assert there(memory) == {port}
    server.sweep()
    assert not there(memory)
    assert not folder.exists()


def test_the_folder_of_one_that_lives_stays(memory: Path, tmp_path: Path) -> None:
    folder = workers(tmp_path, 1)
    server.claim(folder, 5001)
    left(memory, 5001)
    server.sweep()
    assert there(memory) == {5001}


def test_another_s_folder_may_go_meanwhile_and_holds_names_that_are_no_port(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, folder = tmp_path / f"{server.PREFIX}1-lost", workers(tmp_path, gone())
    server.claim(folder, 5001)
    (folder / server.RUNNING / "5x").touch()
    left(memory, 5001)
    monkeypatch.setattr(server, "_abandoned_folders", lambda: [lost, folder])
    server.sweep()
    assert not there(memory)
    assert not folder.exists()


def test_only_for_scsynths_of_new_workers_is_waited(memory: Path, tmp_path: Path) -> None:
    before = time.time() - 5.0
    folder = workers(tmp_path, gone())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs:
        theirs.bind(("127.0.0.1", 0))
        server.claim(folder, theirs.getsockname()[1])
        began = time.monotonic()
        server.sweep(0.4, before)
        assert time.monotonic() - began >= 0.4
        began = time.monotonic()
        server.sweep(60.0, before + 3600.0)
        assert time.monotonic() - began < 60.0


def test_semaphores_of_clients_that_are_gone_are_taken_away_and_nobody_elses(memory: Path) -> None:
    alive = subprocess.Popen(["sleep", "60"])
    dead = gone()
    ours = {f"jack_sem.0_antiphon-jackd_antiphon-scsynth-{dead}-1", f"jack_sem.0_default_antiphon-scsynth-wires-{dead}"}
    others = {
        f"jack_sem.0_antiphon-jackd_antiphon-scsynth-{alive.pid}-1",
        f"jack_sem.0_default_scsynth-{dead}-1",
        "jack_sem.0_antiphon-jackd_antiphon-midi",
    }
    for name in ours | others:
        (memory / name).touch()
    try:
        server.sweep()
    finally:
        alive.kill()
        alive.wait()
    assert {path.name for path in memory.iterdir()} == others
