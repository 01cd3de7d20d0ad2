"""A kept set in which scsynth played, replayed by `scsynth -N`."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import forked
from tests.waiting import play_for

from antiphon_bench.rig import ServerProcess, bundle, message, ntp
from antiphon_supercollider.tests.real.test_supercollider import OWN, RATE, pytestmark as needs_real, server

pytestmark = needs_real
_ = server


@pytest.mark.parametrize(
    ("server", "least"),
    [({"synthdef": str(OWN / "blip.scsyndef")}, 0.0), ("piano", 30.0)],
    indirect=["server"],
    ids=["own", "piano"],
)
def test_sequenced_notes_are_replayed_as_they_were_heard(server: ServerProcess, tmp_path: Path, least: float) -> None:
    """least: dB by which what differs is below the sound; 0: nothing may differ."""
    began = time.time() + 0.5
    for n in range(10):
        at = n * 9600 + 37 * n % 256
        server.send_raw(bundle(ntp(began, at, RATE), message("/note/on", 48 + 3 * n, 90)))
        server.send_raw(bundle(ntp(began, at + 7000, RATE), message("/note/off", 48 + 3 * n)))
    play_for(server, 3.5)
    status = server.status()
    server.stop()
    again = tmp_path / "again.wav"
    done = forked.run(
        [*forked.COMMAND, "replay", str(tmp_path / "set"), str(again)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "ANTIPHON_HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    x, y = (soundfile.read(p, dtype="float32", always_2d=True)[0] for p in (tmp_path / "set" / "output.wav", again))
    assert x.shape == y.shape
    assert np.abs(x).max() > 0.05
    # 10 ms at a time: what scsynth or JACK stalled in was heard otherwise
    parts = len(x) // 480
    apart = ((x - y)[: parts * 480].reshape(parts, -1) ** 2).mean(axis=1)
    there = (x[: parts * 480].reshape(parts, -1) ** 2).mean(axis=1)
    stalls = status["synth"]["unheard"] + status["synth"]["notes"]["late"] + status["missed_blocks"]
    if least:
        assert 10 * np.log10(np.median(there[there > 1e-8]) / max(1e-20, np.median(apart[there > 1e-8]))) > least
    else:
        assert np.count_nonzero(apart) <= 12 * stalls
