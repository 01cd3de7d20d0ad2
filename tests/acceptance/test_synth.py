"""Notes to sound on a real server: heard, killed and back, silenced, kept and played again."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests import forked
from tests.waiting import play_for, until

from antiphon.backends.info import NULL_LOG_FILE
from antiphon_bench.rig import ServerProcess, bundle, message, ntp

pytest.importorskip("pyo")
pytestmark = pytest.mark.needs("pyo")
RATE, BLOCK = 48000, 256


def told(server: ServerProcess) -> list[dict[str, Any]]:
    """What its null synth has written so far, in whole lines."""
    return [
        json.loads(line)
        for file in server.home.rglob(NULL_LOG_FILE)
        for line in file.read_text("utf-8").splitlines(keepends=True)
        if line.endswith("\n")
    ]


def synth(server: ServerProcess) -> dict[str, Any]:
    return dict(server.status()["synth"])


def levels(path: Path) -> Any:
    """RMS of every 10 ms."""
    sound, _ = soundfile.read(path, dtype="float32", always_2d=True)
    whole = len(sound) // 480 * 480
    return np.sqrt(np.square(sound[:whole]).reshape(-1, 960).mean(axis=1))


def test_the_null_synth_writes_down_what_it_was_told_with_its_sample() -> None:
    with ServerProcess("--audio", "headless", "--ahead", "16", "--patch", "keys", "--synth", "null") as server:
        assert (synth(server)["backend"], synth(server)["state"]) == ("null", "running")
        assert server.status()["workers"] == []
        now = time.time() + 5.0
        for frames, note in ((0, 60), (7, 61), (1000, 62)):
            server.send_raw(bundle(ntp(now, frames, RATE), message("/note/on", note, 127)))
        server.send("/cc", 64, 1.0)
        server.send("/bend", -0.5)
        until(lambda: len(told(server)) == 5, 5.0, "all five have been told")
        notes = {line["number"]: line["sample"] + line["offset"] for line in told(server) if line["kind"] == "on"}
        assert notes[61] - notes[60] == 7
        assert notes[62] - notes[60] == 1000
        kinds = {line["kind"]: line["value"] for line in told(server)}
        assert kinds == {"on": 1.0, "control": 1.0, "bend": -0.5}


def test_a_synth_asked_for_by_name_starts_at_once_and_notes_without_a_node_are_answered() -> None:
    with ServerProcess("--audio", "headless", "--patch", "through", "--synth", "pyo") as server:
        until(lambda: (server.status()["synth"] or {}).get("state") == "running", 10.0, "pyo runs")
        answer, (address, said) = server.ask("/note/on", 60, 100)
        assert (answer, address) == ("/fail", "/note/on")
        assert "keys" in said


@pytest.mark.real  # no block is missed
def test_a_killed_synth_is_back_with_its_notes_and_the_set_replays(tmp_path: Path) -> None:
    kept = tmp_path / "set"
    # the synth alone: a room behind it would sound on while it is away
    patch = tmp_path / "strings.toml"
    patch.write_text('format = 1\n[nodes.keys]\ntype = "synth"\n[wires]\n"keys" = "out"\n')
    with ServerProcess("--audio", "headless", "--ahead", "16", "--patch", str(patch), "--session", str(kept)) as server:
        server.send("/node/keys/instrument", "strings")
        server.sync()
        until(lambda: synth(server)["state"] == "running", 10.0, "pyo runs")
        server.send("/note/on", 55, 100)
        server.send("/note/on", 62, 100)
        server.sync()
        play_for(server, 0.6)
        before = synth(server)["pid"]
        os.kill(before, signal.SIGKILL)
        until(lambda: synth(server)["pid"] not in (0, before), 5.0, "another")
        until(lambda: synth(server)["state"] == "running", 5.0, "it is back")
        play_for(server, 0.5)
        server.send("/note/off", 62)
        server.send("/note/off", 55)
        play_for(server, 1.5)
        server.send("/note/on", 60, 100)
        play_for(server, 0.3)
        server.send("/panic")
        server.sync()
        play_for(server, 0.2)
        status = server.status()
        assert status["missed_blocks"] == 0
        assert status["synth"]["restarts"] == 1
        assert status["nodes"][0]["state"] == "running"
    level = levels(kept / "output.wav")
    loud = np.flatnonzero(level > 1e-3)
    silent = np.flatnonzero(level[loud[0] :] < 1e-5)[0] + loud[0]
    again = np.flatnonzero(level[silent:] > 1e-3)[0] + silent
    assert level[again + 20 : again + 40].mean() > 0.3 * level[silent - 20 : silent - 2].mean(), "the notes sound on"
    assert level[-12:].max() == 0.0, "silent after the panic"
    sound, _ = soundfile.read(kept / "output.wav", dtype="float32", always_2d=True)
    gone = sound[(silent - 3) * 480 : (again + 3) * 480]
    steady = np.abs(np.diff(sound[(silent - 40) * 480 : (silent - 4) * 480], axis=0)).max()
    assert np.abs(np.diff(gone, axis=0)).max() < 1.3 * steady, "it goes and comes without a step"
    out = tmp_path / "again.wav"
    forked.run([*forked.COMMAND, "replay", str(kept), str(out)], check=True, timeout=300)
    replayed, _ = soundfile.read(out, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(replayed[: len(sound)], sound[: len(replayed)])
    marks = [json.loads(line) for line in (kept / "session.jsonl").read_text().splitlines()]
    assert [m["mark"] for m in marks if "mark" in m and not m["leaving"]] == ["absent", "fresh", "back"]
