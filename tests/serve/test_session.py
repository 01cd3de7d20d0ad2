"""A set that was kept is played again, sample for sample."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import numpy as np
import soundfile
from tests import forked
from tests.waiting import play_for, until

from antiphon_bench.rig import ServerProcess, bundle, message, ntp

RATE = 48000


def play_again(folder: Path, out: Path) -> np.ndarray:
    forked.run([*forked.COMMAND, "replay", str(folder), str(out)], check=True, timeout=300)
    return soundfile.read(out, dtype="float32", always_2d=True)[0]


def noise(path: Path) -> Path:
    rng = np.random.default_rng(3)
    soundfile.write(path, (rng.standard_normal((RATE * 2 + 77, 2)) * 0.1).astype(np.float32), RATE, "FLOAT")
    return path


def test_replay_is_identical(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    source = noise(tmp_path / "in.wav")
    with ServerProcess(
        "--audio", "headless", "--patch", "bench8", "--input", str(source), "--session", str(folder), home=tmp_path
    ) as server:
        for n in range(40):
            server.send("/node/gain/gain", 0.2 + 0.02 * n)
            server.send("/node/pan/place", -1.0 + 0.05 * n)
            server.sync(100 + n)
        server.send("/patch/load", "through", 0.1)
        server.sync(1)
        server.send("/node/gain/gain", 0.7, 0.2)
        play_for(server, 0.3)
        server.send("/node/add", "delay", "echo", "gain")
        server.sync(2)
        play_for(server, 0.2)
        os.kill(server.pids()["engine"], signal.SIGKILL)
        play_for(server, 0.5)
        server.send("/node/echo/wet", 0.5)
        server.sync(3)
        server.send("/panic")
        play_for(server, 0.2)
    kept = soundfile.read(folder / "output.wav", dtype="float32", always_2d=True)[0]
    came = soundfile.read(folder / "input.wav", dtype="float32", always_2d=True)[0]
    began = np.flatnonzero(np.any(came != 0.0, axis=1))[0]
    whole = soundfile.read(source, dtype="float32", always_2d=True)[0]
    np.testing.assert_array_equal(came[began : began + 256], whole[:256], "the file begins when the patch plays")
    assert not kept[-1].any()
    assert 0.0 < np.abs(kept[-100:]).max() < 0.15 * np.abs(kept[-RATE:-960]).max(), "it ends in a fade"
    again = play_again(folder, tmp_path / "again.wav")
    assert len(kept) == len(again) > RATE
    assert np.abs(kept).max() > 0.05
    different = np.flatnonzero(np.any(kept != again, axis=1))
    assert len(different) == 0, f"first at {different[:3]}, {len(different)} frames"


DRUMS = """format = 1
tempo = 120
[nodes.drums]
type = "sampler"
[wires]
"drums" = "out"
"""


def test_notes_of_a_clip_off_the_grid_sound_on_it_and_again_in_a_replay(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(DRUMS)
    kept, again = tmp_path / "set", tmp_path / "again.wav"
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
    one, two = soundfile.read(kept / "output.wav", dtype="float32", always_2d=True)[0], play_again(kept, again)
    assert np.abs(one).max() > 0.05
    np.testing.assert_array_equal(one, two)
