"""The plain ways of any system: a worker answers by them what it answers by Linux's, and nothing is left behind."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.commands import ROOT

PROGRAM = """
import sys
from pathlib import Path
from tests.workers.rig import Rig, hops, kill, runs, through
from tests.workers.steppers import spec
from antiphon.kernel.runtime.platform import PORTABLE

assert PORTABLE == (sys.argv[1] == "1")
rig = Rig()
stream = rig.open(spec("Pole"), '{"by": 0.5}')
heard = through(rig, stream, 0, hops(100))
kill(stream)
runs(stream)
heard += through(rig, stream, 200, hops(100, seed=2))
memory = Path("/dev/shm")
assert not (memory.exists() and list(memory.glob("antiphon*"))), "a process killed now would leave it behind"
rig.close()
for hop in heard:
    sys.stdout.buffer.write(hop.tobytes())
"""

STEP = """
from antiphon.live.records import ScriptTooLong
from antiphon.performer.limits import StepLimits

limits = StepLimits()
limits.begin(0.2)
limits.end()
looks = 0
try:
    while True:
        limits._looked(0, None)
        looks += 1
except ScriptTooLong:
    print(looks)
"""
"""How often a step that does nothing is looked at, twenty times a second, before it is taken for one without end."""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have the plain ways alone")
@pytest.mark.parametrize(("portable", "least"), [("0", 0), ("1", 20)])
def test_a_script_that_waits_for_a_processor_has_ten_times_as_long_where_that_is_not_known(
    portable: str, least: int
) -> None:
    environment = {**os.environ, "ANTIPHON_PORTABLE": portable}
    found = subprocess.run([sys.executable, "-c", STEP], env=environment, capture_output=True, check=True, text=True)
    assert least <= int(found.stdout) < least + 10


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have the plain ways alone")
def test_a_worker_answers_the_same_by_the_plain_ways() -> None:
    heard = []
    for portable in "01":
        found = subprocess.run(
            [sys.executable, "-c", PROGRAM, portable],
            env={**os.environ, "ANTIPHON_PORTABLE": portable, "PYTHONPATH": str(Path(ROOT))},
            capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr.decode()
        heard.append(np.frombuffer(found.stdout, np.float32))
    assert len(heard[0]) == 200 * 32
    assert np.abs(heard[0]).max() > 0.1
    assert np.abs(heard[0] - heard[1]).max() == 0.0


@pytest.mark.parametrize("said", [b"", pickle.dumps("") + pickle.dumps((print, ["unheard"]))[:-5]])
def test_a_process_whose_parent_ended_before_it_said_all_says_nothing(said: bytes) -> None:
    words = [sys.executable, "-m", "antiphon.kernel.runtime.processes.spawning", "2", "json"]
    found = subprocess.run(words, input=said, capture_output=True, check=False)
    assert (found.stdout, found.stderr) == (b"", b"")
