"""PortAudio for the engine, JACK for scsynth: its sound is in the recording. The card is a dummy jackd's."""

from pathlib import Path

import numpy as np
import soundfile
from tests.real.conftest import Jackd
from tests.waiting import play_for

from antiphon_bench.rig import ServerProcess
from antiphon_supercollider.tests.real.test_supercollider import plays, pytestmark as needs_real

pytestmark = needs_real


def test_the_notes_are_heard(jackd: Jackd, tmp_path: Path) -> None:
    patch = 'format = 1\n[nodes.keys]\ntype = "synth"\ninstrument = "strings"\n[wires]\n"keys" = "out"\n'
    (tmp_path / "keys.toml").write_text(patch)
    with ServerProcess(
        "--audio", "portaudio", "--muted", "--synth", "supercollider", "--patch", str(tmp_path / "keys.toml"),
        "--session", str(tmp_path / "set"), home=tmp_path, wait=40.0, env={"JACK_DEFAULT_SERVER": jackd.name},
    ) as running:  # fmt: skip
        plays(running)
        for note in (60, 64, 67):
            running.send("/note/on", note, 100)
            play_for(running, 0.3)
        play_for(running, 0.5)
        told = running.status()
        assert told["engine"]["driver"] == "portaudio"
        assert (told["synth"]["backend"], told["synth"]["notes"]["confirmed"]) == ("supercollider", 3)
    x, _ = soundfile.read(tmp_path / "set" / "output.wav", dtype="float32", always_2d=True)
    assert np.sqrt((x[-9600:] ** 2).mean()) > 0.03
