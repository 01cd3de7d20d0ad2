"""A plugin of Antiphon's on a bus of scsynth: both on one JACK server, wired by the quark."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.clients.conftest import Run
from tests.real.conftest import Jackd, jackd  # noqa: F401 - a fixture

from antiphon_bench.rig import ServerProcess, free_port

pytestmark = pytest.mark.real
HERE = Path(__file__).parent
PATCH = """format = 1
[nodes.g]
type = "gain"
gain = 2
[wires]
"in" = "g"
"g" = "out"
"""


def test_a_bus_goes_through_a_plugin(jackd: Jackd, sclang: Run, tmp_path: Path) -> None:  # noqa: F811
    if shutil.which("scsynth") is None:
        pytest.skip("scsynth is missing: sudo apt-get install supercollider-server")
    (tmp_path / "twice.toml").write_text(PATCH)
    options = ("--audio", "jack", "--patch", str(tmp_path / "twice.toml"), "--record", str(tmp_path / "out.wav"))
    with ServerProcess(*options, home=tmp_path, env=jackd.env) as server:
        posted = sclang(HERE / "jack.scd", str(free_port()), port=server.osc)
    assert "SCSYNTH RUNS false" in posted
    sound = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)[0].T
    loud = np.flatnonzero(np.abs(sound[0]) > 0.1)
    assert len(loud), "nothing came through"
    middle = sound[:, (loud[0] + loud[-1]) // 2 - 12000 :][:, :24000]
    spectra = np.abs(np.fft.rfft(middle * np.hanning(24000), axis=1))
    assert (np.argmax(spectra, axis=1) * 2).tolist() == [1000, 1500], "left and right, each in its place"
    # in windows of 10 ms, the middle one: where the machine stands still, JACK leaves a gap
    level = np.median(np.sqrt(2.0 * np.mean(middle.reshape(2, 50, 480) ** 2, axis=2)), axis=1)
    print("peaks of the sines:", level.round(4).tolist())
    assert level == pytest.approx([0.5, 0.5], rel=0.02), "twice as loud: through the plugin, once"
