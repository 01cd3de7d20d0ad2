"""The set as tracks: recorded, killed, replayed and exported, and each time the same samples and a project of them."""

import json
import os
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import forked
from tests.files.test_studio import schema
from tests.waiting import play_for, until

from antiphon.files.scores import midifile
from antiphon.kernel.runtime.processes import pidfile
from antiphon_bench.rig import ServerProcess

pytestmark = pytest.mark.slow

RATE = 48000
PATCH = """format = 1
tempo = 110
[nodes.lead]
type = "tone"
frequency = 330.0
level = 0.1
[nodes.late]
type = "delay"
[nodes.aux]
type = "sampler"
pads = "pitch"
base = 57
s = "pluck"
[nodes.mid]
type = "limiter"
[wires]
"lead" = ["out", "late"]
"late" = "out"
"aux" = "out"
"in" = "mid"
"mid" = "out"
"""


def sound(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float64", always_2d=True)[0]


def check_sum(folder: Path) -> np.ndarray:
    """The output of a folder of tracks, of which the mixed ones are the sum."""
    listed = json.loads((folder / "tracks.json").read_text())["tracks"]
    out = sound(folder / "output.wav")
    mixed = sum(sound(folder / one["file"]) * np.ones(2) for one in listed if one["mixed"])
    assert {soundfile.info(folder / one["file"]).frames for one in listed} == {len(out)}
    error = np.sqrt(np.mean((mixed - out) ** 2)) / np.sqrt(np.mean(out**2))
    assert 20 * np.log10(error + 1e-12) < -80
    return out


def recorder_of(home: Path) -> int:
    """The recorder's pid, or 0 for none."""
    (listed,) = home.rglob(pidfile.LIST)
    return int(json.loads(listed.read_text())["processes"].get("recorder", [0])[0])


def antiphon(*words: str) -> str:
    return forked.run([*forked.COMMAND, *words], check=True, timeout=300, capture_output=True, text=True).stdout


def test_a_set_is_recorded_as_tracks_whoever_is_killed_and_replayed_as_the_same(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PATCH)
    noise = np.random.default_rng(3).standard_normal((RATE * 2, 2)) * 0.05
    soundfile.write(tmp_path / "in.wav", noise.astype(np.float32), RATE, "FLOAT")
    folder, stems = tmp_path / "tracks", tmp_path / "stems"
    options = "--patch", str(tmp_path / "p.toml"), "--input", str(tmp_path / "in.wav"), "--record-tracks", str(folder)
    with ServerProcess("--audio", "headless", "--block", "512", *options, home=tmp_path, wait=120.0) as server:
        play_for(server, 0.5)
        server.send("/note/on", 36, 100, 1, "aux")
        server.sync(1)
        play_for(server, 0.3)
        server.send("/note/off", 36, 0, 1, "aux")
        server.send("/cue", "verse", 2)
        server.send("/tempo", 150.0)
        server.send("/scene/store", 1)
        server.send("/scene/recall", 1)
        server.send("/node/add", "tone", "more", "late")
        server.send("/node/connect", "more", "out")
        server.sync(2)
        recorder = recorder_of(tmp_path)
        os.kill(recorder, signal.SIGKILL)
        until(lambda: recorder_of(tmp_path) not in (0, recorder), 60.0, "another recorder")
        play_for(server, 0.5)
        os.kill(server.pids()["engine"], signal.SIGKILL)
        play_for(server, 1.0)
        assert "already" in server.ask("/record/tracks/start")[1][1]
        assert server.ask("/record/tracks/stop") == ("/done", ["/record/tracks/stop"])
        until(lambda: (folder / "set.rpp").exists(), 60.0, "the projects")
        heard = check_sum(folder)
        fresh = server.ask("/record/tracks/start", "again")[1][1]
        until(lambda: (Path(fresh) / "session.jsonl").exists(), 20.0, "the second tracks")
        play_for(server, 0.3)
    log = [json.loads(line) for line in (folder / "session.jsonl").read_text().splitlines()]
    died = next(line for line in log if line.get("died"))
    gap = [(line["sample"], sum(line["values"])) for line in log if line.get("cue") == "gap"]
    assert (died["died"], died["sample"] - died["died"]) in gap, "the engine's gap is marked"
    keys = midifile.read(folder / "aux_.mid")  # no file of Windows is called aux
    (note,) = keys.tracks[-1].notes
    assert note.number == 36
    assert [round(bpm) for _, bpm in keys.tempo] == [120, 110, 150]
    project = (folder / "set.rpp").read_text()
    assert '"verse 2"' in project
    assert '"scene 1"' in project
    assert '"gap of ' in project
    until(lambda: (Path(fresh) / "set.rpp").exists(), 60.0, "what ends with the server is complete too")
    out = tmp_path / "again.wav"
    antiphon("replay", str(folder), str(out), "--stems", str(stems))
    np.testing.assert_array_equal(sound(out), heard)
    check_sum(stems)
    for one in json.loads((folder / "tracks.json").read_text())["tracks"]:
        np.testing.assert_array_equal(sound(stems / one["file"]), sound(folder / one["file"]), one["name"])
    assert midifile.read(stems / "aux_.mid").tracks[-1].notes == keys.tracks[-1].notes
    antiphon("export", str(folder), str(tmp_path / "copy"))
    for name in ("output.wav", "set.rpp", "aux_.mid"):
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()
    schema().validate(project_of(tmp_path / "copy"))


def project_of(folder: Path) -> str:
    with zipfile.ZipFile(folder / "set.dawproject") as archive:
        return archive.read("project.xml").decode()
