"""A full disk: one sentence, the server plays on, nothing of a file that could not be begun is left."""

import os
import re
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.hostile.conftest import Antiphon, answered, listed
from tests.waiting import complaints, play_for, until

import antiphon
from antiphon_bench.rig import ServerProcess


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip("a small disk takes the right to mount one")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path, leave: int = 0) -> None:
    """Leaves no more than `leave` bytes."""
    with open(place / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            os.ftruncate(file.fileno(), max(0, os.fstat(file.fileno()).st_size - leave))


def files(place: Path) -> set[str]:
    return {str(p.relative_to(place)) for p in place.rglob("*") if p.is_file()}


def test_a_server_whose_folders_are_full_plays_on(small: Path) -> None:
    with ServerProcess("--audio", "headless", "--patch", "through", home=small) as server:
        server.send("/node/gain/gain", 0.5)
        server.sync()
        recorder = listed(server, "recorder")
        fill(small)
        before = files(small)
        for address in ("/patch/save", "/record/start", "/session/record", "/record/tracks/start"):
            answer, (about, said) = server.ask(address, "take")
            assert (answer, about) == ("/fail", address)
            assert "no space left" in said
            assert "free some space" in said
        status, refusal = server.request("PUT", "/api/live/sets/tune", {"text": "one"})
        said = refusal["error"]
        assert status == 507
        assert said.startswith("the script could not be written: no space left on device; free some space")
        assert str(small) not in said
        server.send("/node/add", "gain", "more")
        until(lambda: "free some space" in str(server.status()["trouble"]), 2.0, "the status tells")
        # control tries to save again now and then: what it tries with is gone a moment later
        until(lambda: files(small) <= before, 2.0, "nothing half written stays")
        for name in ("engine", "control"):
            pid = server.pids()[name]
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid, name=name: back(server, name, pid), 4.0, f"{name} is back")
            assert server.ask("/node/gain/gain") == ("/node/gain/gain", [0.5])
        os.kill(recorder, signal.SIGKILL)
        answered(server)
        assert server.stop() == 0
        assert "Traceback" not in server.standard_error()
        stamped = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} (INFO|WARNING|ERROR) antiphon: ")
        assert all(stamped.match(line) for line in server.standard_error().splitlines())


def back(server: ServerProcess, name: str, before: int) -> bool:
    try:
        return server.pids()[name] != before and server.status()["engine"]["state"] == "running"
    except OSError:
        return False


def test_a_server_does_not_start_on_a_full_disk(small: Path, antiphon: Antiphon) -> None:
    fill(small)
    serve = ("serve", "--audio", "headless", "--osc-port", "0", "--http-port", "0")
    said = antiphon(*serve, env={"ANTIPHON_HOME": str(small)}).sentence
    assert "no space left" in said
    assert files(small) == {"filler"}


@pytest.mark.parametrize("option", ["--record", "--session"])
def test_recording_does_not_start_on_a_full_disk(small: Path, antiphon: Antiphon, option: str) -> None:
    fill(small)
    serve = ("serve", "--audio", "headless", "--osc-port", "0", "--http-port", "0")
    said = antiphon(*serve, option, str(small / "take.wav")).sentence
    assert "no space left" in said
    assert files(small) == {"filler"}


@pytest.mark.parametrize("name", ["take.wav", "set"])
def test_a_disk_that_fills_up_ends_the_recording_not_the_sound(small: Path, tmp_path: Path, name: str) -> None:
    noise = (np.random.default_rng(2).standard_normal((48000, 2)) * 0.1).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", noise, 48000, "FLOAT")
    option = "--session" if name == "set" else "--record"
    with ServerProcess(
        "--audio", "headless", "--patch", "through", "--input", str(tmp_path / "in.wav"), option, str(small / name)
    ) as server:
        play_for(server, 0.3)  # a recording begins with the engine, in silence until the first patch plays
        fill(small, leave=400_000)
        until(lambda: complaints(server), 10.0, "it is told")
        answered(server)
        assert server.status()["missed_blocks"] <= server.status()["blocks"] // 20
        assert server.stop() == 0
        said = complaints(server)
    assert said.count("\n") == 1
    assert re.search("ends here: (no space left on device|the disk is nearly full); free some space", said)
    if name == "take.wav":
        kept, _ = soundfile.read(small / name, dtype="float32")
        assert len(kept) > 20_000
        assert np.abs(kept).max() > 0.1
    assert not [f for f in files(small) if Path(f).name.startswith(".")]


def test_a_disk_that_fills_up_under_the_log_ends_the_recording_and_nobody(small: Path, tmp_path: Path) -> None:
    noise = (np.random.default_rng(2).standard_normal((48000, 2)) * 0.1).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", noise, 48000, "FLOAT")
    fill(small, leave=400_000)
    with open(small / "log", "w") as log, ServerProcess(
        "--audio", "headless", "--patch", "through", "--input", str(tmp_path / "in.wav"),
        "--record", str(small / "take.wav"), home=tmp_path, errors=log,
    ) as server:  # fmt: skip
        until(lambda: not list(tmp_path.rglob("recording.json")), 10.0, "the recording has ended")
        for name in ("engine", "control"):
            pid = server.pids()[name]
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid, name=name: back(server, name, pid), 5.0, f"{name} is back")
        answered(server)
        assert server.stop() == 0
    soundfile.info(small / "take.wav")


@pytest.mark.parametrize(("what", "suffix"), [("run", "wav"), ("run", "flac"), ("run", "mp3"), ("render", "wav")])
def test_files_that_do_not_fit(small: Path, folder: Path, antiphon: Antiphon, what: str, suffix: str) -> None:
    fill(small, leave=4096)
    out = str(small / f"out.{suffix}")
    line = ("run", "gain", "ok.wav", out) if what == "run" else ("render", "through", "--in", "ok.wav", "--out", out)
    assert "no space left" in antiphon(*line).sentence
    assert files(small) == {"filler"}


def test_a_replay_that_does_not_fit(small: Path, tmp_path: Path, antiphon: Antiphon) -> None:
    kept = tmp_path / "set"
    with ServerProcess("--audio", "headless", "--patch", "through", "--session", str(kept)) as server:
        server.sync()
        play_for(server, 0.3)
    fill(small)
    assert "no space left" in antiphon("replay", str(kept), str(small / "out.wav")).sentence
    assert files(small) == {"filler"}


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_write_that_fails_at_any_byte_leaves_the_file_before(tmp_path: Path, suffix: str) -> None:
    """In copies of this process whose files hold so many bytes."""
    sound = (np.random.default_rng(1).standard_normal((2, 24000)) * 0.1).astype(np.float32)
    antiphon.run("gain", sound, 48000)  # what it loads is not counted
    out = tmp_path / f"out{suffix}"
    out.write_bytes(b"before")
    ends = []
    for most in (0, 1, 43, 44, 100, 1000, 4096, 8192, 1 << 20):
        if (copy := os.fork()) == 0:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            try:
                antiphon.run("gain", sound, 48000, out=out)
                os._exit(0)
            except antiphon.AntiphonError as error:
                os._exit(1 if "\n" in str(error) else 2)
            finally:
                os._exit(3)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]))
        if ends[-1]:
            assert out.read_bytes() == b"before"
        assert files(tmp_path) == {out.name}
    assert ends == [2] * 8 + [0]
    assert soundfile.info(out).frames == 24000
