"""Somebody's own SynthDef, sounds in buffers and dials in a real server: onsets, and what outlives a killed scsynth."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.real.conftest import NAME, alone
from tests.waiting import play_for, until

from antiphon_bench.rig import ServerProcess, bundle, message, ntp
from antiphon_supercollider.tests.real.test_supercollider import BACK, LATENCY, RATE, longest_gap, recorded, synth
from antiphon_supercollider.tests.synthdefs.score import pitch

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not (shutil.which("scsynth") and shutil.which("jackd")), reason="needs scsynth and jackd"),
]
OWN = Path(__file__).parents[1] / "synthdefs" / "own" / "compiled"
APART = 9600
SETTLED = 1.0


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """Plays a node of the parameters given; `tone.wav` in the library is a second of 440 Hz without a seam."""
    library = tmp_path / "data" / "library"
    library.mkdir(parents=True)
    soundfile.write(library / "tone.wav", 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE), RATE)
    for path in OWN.glob("*.scsyndef"):
        shutil.copy(path, library)
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in request.param.items())
    patch = f'format = 1\n[nodes.keys]\ntype = "synth"\n{lines}\n[wires]\n"keys" = "out"\n'
    (tmp_path / "keys.toml").write_text(patch)
    with (
        alone(),
        ServerProcess(
            "--audio",
            "headless",
            "--synth",
            "supercollider",
            "--patch",
            str(tmp_path / "keys.toml"),
            "--session",
            str(tmp_path / "set"),
            home=tmp_path,
            wait=40.0,
            env={"JACK_DEFAULT_SERVER": os.environ.get("ANTIPHON_TEST_JACK", NAME)},
        ) as running,
    ):
        until(lambda: synth(running)["state"] == "running" and synth(running)["pid"], 20.0, "scsynth runs")
        play_for(running, SETTLED)
        yield running


@pytest.mark.parametrize("server", [{"synthdef": str(OWN / "tick.scsyndef")}], indirect=True, ids=["tick"])
def test_sequenced_onsets_of_ones_own_are_on_their_samples(server: ServerProcess, tmp_path: Path) -> None:
    began, count = time.time() + 0.5, 30
    for n in range(count):
        server.send_raw(bundle(ntp(began, n * APART + 37 * n % 256, RATE), message("/note/on", 60, 100)))
    play_for(server, 0.5 + count * APART / RATE + 0.5)
    # a machine with much else to do plays slower than the wall's clock
    until(lambda: synth(server)["notes"]["confirmed"] == count, 15.0, "all are played")
    play_for(server, 0.5)
    status = server.status()
    notes = status["synth"]["notes"]
    assert (notes["sent"], notes["confirmed"], notes["dropped"]) == (count, count, 0)
    server.stop()
    asked, heard = recorded(tmp_path)
    away = []
    for at in asked:
        found = np.flatnonzero(heard[at + LATENCY - 2000 : at + LATENCY + 2000])
        away.append(int(found[0]) - 2000 if len(found) else None)
    assert away.count(0) >= count - 1 - notes["late"] - status["missed_blocks"], away


SAMPLER = {"instrument": "sampler", "sound": "tone.wav", "controls": "loop=1 pan=-1:1"}
GRAINS = {"instrument": "grains", "sound": "tone.wav", "controls": "size=0.2 spread=0 width=0 pan=-1:1"}
TAPE = {"synthdef": "tape.scsyndef", "sound": "tone.wav", "controls": "rate=1:2 amp=0.1"}


@pytest.mark.parametrize("server", [SAMPLER, GRAINS, TAPE], indirect=True, ids=["sampler", "grains", "own"])
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
    play_for(server, 2.0)
    assert synth(server)["state"] == "running"
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
    loud, again = (np.median(np.abs(part).max(axis=0)) for part in (turned, resumed))
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
