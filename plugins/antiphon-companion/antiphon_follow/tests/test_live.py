"""The node in a real server: notes by OSC lead its clock, and a replay of the set gives the same samples."""

import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import forked
from tests.waiting import until

from antiphon_bench.rig import ServerProcess, bundle, message, ntp
from antiphon_follow.tests.test_follow import beats_of, pianist

pytestmark = pytest.mark.slow

PATCH = """format = 1
tempo = 120
[nodes.follow]
drive = "beat"
range = "40-220"
[nodes.click]
type = "metronome"
on = true
[nodes.keys]
type = "sampler"
s = "piano"
[wires]
"click" = "out"
"keys" = "out"
"""
STEADY = np.full(44, 100.0)


@pytest.mark.live
def test_notes_of_the_network_lead_the_clock_and_a_replay_is_identical(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PATCH)
    kept, again, beats = tmp_path / "set", tmp_path / "again.wav", beats_of(STEADY)
    options = "--audio", "headless", "--patch", str(tmp_path / "p.toml"), "--session", str(kept)
    rows = []
    with ServerProcess(*options, home=tmp_path, wait=120.0) as server:
        alone = server.status()
        assert (alone["playing"], alone["leads"], alone["beat"]) == (False, "follow", 0.0), "it waits"
        begin = time.time() + 0.5
        for at, key, loud in pianist(beats):
            server.send_raw(bundle(ntp(begin + at), message("/note/on", key, round(loud * 127))))

        def heard() -> bool:
            rows.append(float(server.ask("/beat")[1][0]))
            return time.time() - begin > beats[-1]

        def keeps(bpm: float) -> bool:
            return abs(server.status()["tempo"] / bpm - 1.0) < 0.05

        until(lambda: server.status()["playing"] and keeps(100.0), 10.0, "it leads")
        address, (about, sentence) = server.ask("/tempo", 140.0)
        assert (address, about) == ("/remark", "/tempo")
        assert "follow leads the clock" in sentence
        for address, bpm in (("/follow/half", 50.0), ("/follow/double", 100.0)):
            server.send_raw(message(address))
            until(partial(keeps, bpm), 5.0, f"{address} is taken by the clock")

        def player() -> float:
            return float(np.interp(time.time() - begin, beats, np.arange(len(beats))))

        late = server.status()["latency"]
        lead = (late["driver"] + late["ring"]) / 48000.0 * 100.0 / 60.0

        def off(first: float) -> float:
            return abs((float(server.ask("/beat")[1][0]) - lead - player() + first + 2.0) % 4.0 - 2.0)

        until(lambda: off(0.0) < 0.3 and 1.8 < player() % 4.0 < 2.2, 5.0, "it keeps the player's bars; a third beat")
        server.send_raw(message("/follow/downbeat"))
        until(lambda: off(2.0) < 0.3, 5.0, "the beat nearest to the press begins a bar")
        until(heard, float(beats[-1]) + 1.0, "the player has ended")
        assert server.ask("/node/follow/state")[1] == ["following"]
        assert server.status()["leads"] == "follow"
        until(lambda: server.ask("/node/follow/state")[1][0] == "coasting", 10.0, "silence is coasted through")
        until(lambda: server.status()["leads"] == "", 10.0, "nothing leads the clock")
        alone = server.status()
    assert abs(alone["tempo"] / 100.0 - 1.0) < 0.03, "it coasts without what caught up"
    assert (np.diff(rows) >= 0.0).all(), "no beat comes twice"
    forked.run([*forked.COMMAND, "replay", str(kept), str(again)], check=True, timeout=300)
    one, two = (soundfile.read(path, dtype="float32")[0] for path in (kept / "output.wav", again))
    assert np.abs(one).max() > 0.05
    np.testing.assert_array_equal(one, two)
