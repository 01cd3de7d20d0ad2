"""Sets kept while everything is thrown at them are played again sample for sample, from the start and from midway."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import forked
from tests.serve.test_misbehaving import install
from tests.waiting import play_for, until

import antiphon
from antiphon.files.set_header import model_checksums as checksums
from antiphon.testing import sound as audio
from antiphon_bench.rig import ServerProcess, bundle, free_port, message, ntp

RATE = 48000


def noise(path: Path) -> Path:
    rng = np.random.default_rng(3)
    soundfile.write(path, (rng.standard_normal((RATE + 77, 2)) * 0.05).astype(np.float32), RATE, "FLOAT")
    return path


def storm(server: ServerProcess, node: str, param: str, seconds: float, *others: tuple[str, float]) -> None:
    """Moves, ramps, time tags before and after now, panics and cleared schedules."""
    rng = np.random.default_rng(4)
    until = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", server.osc))
        turn = 0
        while time.monotonic() < until:
            turn += 1
            now = time.time()
            address = f"/node/{node}/{param}"
            sock.send(message(address, float(rng.uniform(0.1, 1.0))))
            if turn % 5 == 0:
                sock.send(message("/panic" if turn % 10 else "/clearSched"))
            sock.send(message(address, float(rng.uniform(0.1, 1.0)), 0.03))
            sock.send(bundle(ntp(now + rng.uniform(-0.01, 0.05)), message(address, float(rng.uniform(0.1, 1.0)))))
            for other, most in others:
                sock.send(message(other, float(rng.uniform(0.0, most))))
            if turn % 7 == 0:
                sock.send(message(f"/node/{node}/bypass", turn % 2))
            time.sleep(0.003)  # the pace of the sender
    server.sync(1)


def again(folder: Path, out: Path, home: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(what was heard, what `replay` makes of it)."""
    env = {**os.environ, "ANTIPHON_HOME": str(home)} if home else None
    command = [*forked.COMMAND, "replay", str(folder), str(out)]
    forked.run(command, check=True, timeout=300, env=env)
    heard = soundfile.read(folder / "output.wav", dtype="float32", always_2d=True)[0]
    played = soundfile.read(out, dtype="float32", always_2d=True)[0]
    assert heard.shape == played.shape
    assert np.abs(heard).max() > 0.02
    return heard, played


def same(folder: Path, out: Path, home: Path | None = None) -> np.ndarray:
    """What was heard, which `replay` makes again sample for sample."""
    heard, played = again(folder, out, home)
    different = np.flatnonzero(np.any(heard != played, axis=1))
    assert len(different) == 0, f"first at {different[:3]}, {len(different)} of {len(heard)} frames"
    return heard


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A set kept from the start through two patches, and one of its second half kept from midway."""
    home = tmp_path_factory.mktemp("sets")
    whole = home / "whole"
    with ServerProcess("--audio", "headless", "--patch", "bench8", "--input", str(noise(home / "in.wav")),
                "--session", str(whole), home=home) as server:  # fmt: skip
        storm(server, "gain", "gain", 0.6, ("/node/delay/time", 0.5), ("/node/*/wet", 1.0))
        server.send("/node/denoise/learn")
        server.ask("/patch/load", "through", 0.05)
        storm(server, "gain", "gain", 0.2)
        yield whole, half(home, server)


def half(home: Path, server: ServerProcess) -> Path:
    """Begun while a ramp is under way and a sender goes on; the first set has ended then."""
    server.send("/node/gain/gain", 0.1, 2.0)
    server.send("/tempo", 90.0, 8.0)
    server.send("/session/stop")
    folder = Path(str(server.ask("/session/record", "half")[1][1]))
    server.send("/node/gain/wet", 0.5, 0.3)
    storm(server, "gain", "gain", 0.3)
    server.send("/session/stop")
    server.sync(2)
    server.stop()
    return folder


@pytest.mark.parametrize("number", [0, 1], ids=["with panics and time tags", "begun midway"])
def test_a_set_is_played_again(sets: tuple[Path, Path], tmp_path: Path, number: int) -> None:
    same(sets[number], tmp_path / "again.wav")


def test_a_set_says_what_it_was_played_with(sets: tuple[Path, Path]) -> None:
    for folder in sets:
        header = json.loads((folder / "session.jsonl").open().readline())
        assert (header["session"], header["rate"], header["channels"]) == (2, RATE, 2)
        assert header["version"] == antiphon.__version__
        assert header["weights"] == checksums()


def test_a_restart_after_a_killed_supervisor_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    options = ["--audio", "headless", "--input", str(noise(tmp_path / "in.wav")), "--record",
               str(tmp_path / "take.wav"), "--session", str(tmp_path / "set"),
               "--osc-port", str(free_port()), "--http-port", str(free_port())]  # fmt: skip
    first = ServerProcess(*options, home=tmp_path).start()
    first.sync()
    first.stop(signal.SIGKILL)
    with ServerProcess(*options, home=tmp_path) as second:
        second.sync()
        assert sum(str(tmp_path / "take-2.wav") in line for line in second.lines) == 1
    for path in ("take.wav", "take-2.wav", "set/output.wav", "set-2/output.wav"):
        assert soundfile.info(tmp_path / path).frames > 0
    same(tmp_path / "set-2", tmp_path / "again.wav")


def test_a_set_in_which_a_node_fails_and_crashes_the_engine_is_played_again(tmp_path: Path) -> None:
    install(tmp_path)
    kept = tmp_path / "set"
    with ServerProcess("--audio", "headless", "--input", str(noise(tmp_path / "in.wav")), "--session", str(kept),
                "--block", "1024", home=tmp_path) as server:  # fmt: skip

        def comes(state: str) -> None:
            until(lambda: server.status()["nodes"][-1]["state"] == state, 8.0, state)

        server.send("/node/add", "rogue", "rogue")
        server.sync(1)
        server.send("/node/rogue/act", "slow")
        comes("failed")
        server.send("/node/rogue/act", "behave")
        server.send("/node/rogue/reset")
        comes("running")
        server.send("/node/rogue/act", "crash")
        comes("failed")
        server.sync(2)
        server.send("/node/gain/gain", 0.5)
        server.sync(3)
        assert server.status()["engine"]["restarts"] == 1
        server.send("/node/rogue/act", "behave")
        # in its trial: refused; in the engine alone: left out of the next one
        address, (what, reason) = server.ask("/node/rogue/prepare", "crash")
        assert (address, what) == ("/fail", "/node/rogue/prepare")
        assert reason.startswith("rogue (rogue) did not survive its trial: ")
        assert server.ask("/node/rogue/prepare")[1] == ["behave"]
        assert server.status()["engine"]["restarts"] == 1
        server.send("/node/rogue/prepare", "crash_later")
        comes("failed")
        server.sync(4)
        assert "while it was prepared" in server.status()["nodes"][-1]["reason"]
        assert server.status()["engine"]["restarts"] == 2
        server.send("/node/rogue/prepare", "behave")
        comes("running")
        server.sync(5)
        status = server.status()
        assert status["engine"]["restarts"] == 2
        assert server.standard_error().count("the next one leaves that out") == 1
        play_for(server, 0.1)
    lines = [json.loads(line) for line in (kept / "session.jsonl").open()][1:]
    gaps = [(line["died"], line["sample"]) for line in lines if line.get("engine") == "started" and line["died"]]
    assert len(gaps) == 2
    gaps += [line["missed"] for line in lines if "missed" in line]
    missed = sum((last - first) // 1024 for first, last in gaps) + sum("unheard" in line for line in lines)
    assert missed == status["missed_blocks"]
    heard = same(kept, tmp_path / "again.wav", tmp_path)
    came, whole = (soundfile.read(tmp_path / name, dtype="float32")[0] for name in ("set/input.wav", "in.wav"))
    began = np.flatnonzero(np.any(came != 0.0, axis=1))[0]
    np.testing.assert_array_equal(came[began : began + 256], whole[:256], "the file begins when the patch plays")
    assert not heard[-1].any()
    assert 0.0 < np.abs(heard[-100:]).max() < 0.15 * np.abs(heard[:-960]).max(), "it ends in a fade"


DRUMS = """format = 1
tempo = 120
[nodes.drums]
type = "sampler"
library = "kit"
[wires]
"drums" = "out"
"""


def test_notes_of_a_clip_off_the_grid_sound_on_it_and_again_in_a_replay(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(DRUMS)
    kept, sound = tmp_path / "set", tmp_path / "data/library/kit/rs/a.wav"
    sound.parent.mkdir(parents=True)
    audio.write(sound, audio.clicks([0], 64))
    options = "--audio", "headless", "--patch", str(tmp_path / "p.toml"), "--session", str(kept)
    with ServerProcess(*options, home=tmp_path, wait=120.0) as server, socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(60.0)
        # it begins at the next bar line: what is sent for its beats has the rest of this bar to come
        until(lambda: server.ask("/beat")[1][0] % 4.0 < 0.5, 5.0, "a bar has begun")
        sock.sendto(message("/clip/record", "riff", 1, 1.0), ("127.0.0.1", server.osc))
        server.sync()
        line = server.ask("/clip/list")[1][2]
        asked = now = 0.0
        while now - asked > 0.1 or not asked:
            asked, beat, now = time.time(), server.ask("/beat")[1][0], time.time()
        for place in (-0.2, 1.25, 1.8, 3.2):
            moment = ntp(now + (line + place - beat) / 2.0)
            server.send_raw(bundle(moment, message("/node/drums/play", "s", "rs")))
        assert sock.recv(65536)[:5] == b"/done"
        until(lambda: server.ask("/beat")[1][0] >= line + 19.0, 12.0, "all that is due has sounded")
        late = server.status()["late"]
    log = map(json.loads, next(kept.glob("*.jsonl")).read_text().splitlines())
    frames = [entry["sample"] for entry in log if entry.get("op") == "note_on"]
    exact = [frame / 24000.0 for frame in frames[4:] if frame % 24000 == 0]
    assert min(exact) >= line + 4.0
    assert {beat % 4.0 for beat in exact} == {0.0, 1.0, 2.0, 3.0}
    assert len(frames) - 4 - len(exact) <= late, "what is not on its beat came too late"
    same(kept, tmp_path / "again.wav", tmp_path)
