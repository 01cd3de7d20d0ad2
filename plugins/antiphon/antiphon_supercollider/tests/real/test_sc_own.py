"""Somebody's own SynthDef, sounds in buffers and dials in a real server: what outlives a killed scsynth."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.waiting import play_for, until

from antiphon_bench.rig import ServerProcess
from antiphon_supercollider.tests.real.test_supercollider import (
    BACK,
    OWN,
    RATE,
    longest_gap,
    pytestmark as needs_real,
    server,
    synth,
)
from antiphon_supercollider.tests.synthdefs.score import pitch

pytestmark = needs_real
_ = server


SAMPLER = {"instrument": "sampler", "sound": "tone.wav", "controls": "loop=1 pan=-1:1"}
TAPE = {"synthdef": "tape.scsyndef", "sound": "tone.wav", "controls": "rate=1:2 amp=0.1"}


@pytest.mark.parametrize("server", [SAMPLER, TAPE], indirect=True, ids=["sampler", "own"])
def test_a_killed_scsynth_is_back_with_sound_and_dials(
    server: ServerProcess, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server.send("/note/on", 60, 100)
    play_for(server, 1.0)
    server.send("/node/keys/x1", 1.0)
    play_for(server, 1.5)
    before = synth(server)
    server.send("/node/keys/x8", 1.0)
    server.sync()
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: synth(server)["pid"] not in (0, before["pid"]), 5.0, "another plays")
    until(lambda: synth(server)["notes"]["confirmed"] == 2, 15.0, "the held note is told again")
    play_for(server, 2.0)
    after = synth(server)
    assert (after["state"], after["restarts"], after["notes"]["confirmed"]) == ("running", before["restarts"] + 1, 2)
    server.stop()
    x, _ = soundfile.read(tmp_path / "set" / "output.wav", dtype="float32", always_2d=True)
    lines = [json.loads(line) for line in (tmp_path / "set" / "session.jsonl").read_text().splitlines()]
    zero = next(line["sample"] for line in lines if "engine" in line)
    begun = next(line["sample"] for line in lines if line.get("op") == "note_on") - zero
    # a dial that turns nothing was turned at the kill
    moved = [line["sample"] - zero for line in lines if line.get("op") == "set"]
    turned_at, killed = [at for at in moved if at > begun][:2]
    first, turned = x[begun + 14_400 : turned_at].T, x[turned_at + 9600 : killed].T
    resumed = x[killed + round(BACK * RATE) : -2400].T
    assert min(part.shape[1] for part in (first, turned, resumed)) > 0.3 * RATE
    assert longest_gap(tmp_path) < BACK
    own = "own" in request.node.callspec.id
    hertz = 880.0 if own else 440.0
    if own:
        assert abs(pitch(first, 440.0)) < 5, "before the dial was turned"
    else:
        assert np.abs(first[1]).max() < 0.2 * np.abs(first[0]).max(), "left, before the dial was turned"
    for part in (turned, resumed):
        assert abs(pitch(part, hertz)) < 10
        if not own:
            assert np.abs(part[0]).max() < 0.2 * np.abs(part[1]).max(), "right"
    # of what sounds: the machine may have missed blocks
    loud, again = (np.median(np.abs(part)[np.abs(part) > 1e-3]) for part in (turned, resumed))
    assert 0.7 < again / loud < 1.4


@pytest.mark.parametrize("server", [{"instrument": "strings"}], indirect=True, ids=["strings"])
def test_what_is_no_synthdef_is_refused_and_the_patch_plays_on(server: ServerProcess, tmp_path: Path) -> None:
    library = tmp_path / "data" / "library"
    (library / "half.scsyndef").write_bytes((OWN / "blip.scsyndef").read_bytes()[:-9])
    before = synth(server)["pid"]
    server.send("/node/keys/synthdef", "half.scsyndef")
    server.send("/node/keys/synthdef", "../../keys.toml")
    play_for(server, 1.5)
    server.send("/note/on", 60, 100)
    until(lambda: synth(server)["notes"]["confirmed"] == 1, 5.0, "strings play on")
    assert synth(server)["pid"] == before
    server.send("/note/off", 60)
    server.send("/node/keys/synthdef", "blip.scsyndef")
    play_for(server, 1.5)
    server.send("/note/on", 72, 100)
    until(lambda: synth(server)["notes"]["confirmed"] == 2, 5.0, "blip plays")
    play_for(server, 0.5)
    server.stop()
    x, _ = soundfile.read(tmp_path / "set" / "output.wav", dtype="float32", always_2d=True)
    assert abs(pitch(x[-20_000:-4000].T, 523.25)) < 5
