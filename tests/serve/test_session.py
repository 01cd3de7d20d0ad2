"""A set that was kept is played again, sample for sample."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import soundfile
from tests import forked
from tests.waiting import play_for

from antiphon_bench.rig import ServerProcess

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
            time.sleep(0.01)
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
