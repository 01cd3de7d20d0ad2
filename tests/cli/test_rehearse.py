"""Verdict on a set: what speaks against it is said, by its figures."""

import json
import re
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Command

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.graph.patch import load as load_patch
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.session.commands import Sample, SetParam
from antiphon.offline.player import FilePlayer
from antiphon.offline.rehearsing import judge
from antiphon.testing import sound as audio

RATE = 48000
BAR = audio.sine(220.0, 1.0, channels=2, level=-12)
NOTHING = np.zeros_like(BAR)


@pytest.mark.parametrize(
    ("bars", "notes", "cost", "why", "remark"),
    [
        ([BAR, BAR, NOTHING, NOTHING, BAR], 9, 0.2, "", ""),
        ([BAR, NOTHING, NOTHING, NOTHING, BAR], 9, 0.2, "silent for 3 bars", ""),
        ([BAR, 8 * BAR], 9, 0.2, "beyond full scale", "18.1 LU"),
        ([BAR, BAR], 10_000, 0.2, "10000 notes", ""),
        ([BAR, BAR], 9, 1.5, "150%", ""),
        ([BAR, 0.25 * BAR], 9, 0.2, "", "12.0 LU"),
    ],
)
def test_what_speaks_against_a_set_is_said(
    bars: list[np.ndarray], notes: int, cost: float, why: str, remark: str
) -> None:
    verdict = judge(np.concatenate(bars, axis=1), RATE, [RATE * n for n in range(len(bars) + 1)], notes, cost, ())
    assert verdict.ok == (not why)
    assert why in " ".join(verdict.why)
    assert remark in " ".join(verdict.remarks)
    assert bool(remark) == bool(verdict.remarks)


@pytest.mark.parametrize(
    ("level", "gain", "beyond"), [(0.95, 0.0, 0), (1.05, 0.0, 20), (1.05, -1.0, 0), (0.95, 6.0, 20)]
)
def test_rehearsal_counts_sound_beyond_full_scale(level: float, gain: float, beyond: int) -> None:
    loaded = load(check=False)
    graph = load_patch("through", loaded.catalog).graph
    spec, louder = StreamSpec(RATE, 256, 2), SetParam("out", "gain", gain, when=Sample(0))
    with closing(FilePlayer(graph, loaded.catalog, loaded.make, spec, commands=[louder])) as runner:
        for _ in range(50):
            runner.run(np.zeros((2, 256), np.float32))  # the level moves in a ramp, and the limiter lets go
        for _ in range(20):
            runner.run(np.full((2, 256), level, np.float32))
        assert (runner.beyond, runner._player.counters.limited_blocks) == (beyond, 20)


def test_a_script_is_rehearsed_without_a_file(antiphon: Command, tmp_path: Path) -> None:
    script = tmp_path / "set.py"
    text = 'from antiphon.live import *\npatch("band")\ntrack("x", note("c4*4"), on="pluck")\n'
    silent = "set.py line 4: drums has no s named 'nosuch', and this note is silent"
    ended = "set.py line 4: its process has ended, with status 3; a script plays to its end"
    for bars, written, code, why in (
        (1, text, 0, []),
        (4, text.replace("c4*4", "~"), 1, ["it is silent for 4 bars"]),
        (1, text.replace("note(", "nte("), 2, ["set.py line 3: there is no nte here"]),
        (1, text + 'track("a", s("nosuch*4"))\n', 1, [silent]),
        (1, text + "@loop(every=1)\ndef ends():\n    import os\n    os._exit(3)\n", 2, [ended]),
    ):
        script.write_text(written)
        done = antiphon("rehearse", script, "--bars", bars, "--json")
        said = [re.split("; (?:did you mean|the nearest)", line)[0] for line in json.loads(done.out)["why"]]
        assert (done.code, said) == (code, why)
    assert list(tmp_path.iterdir()) == [script]
