"""What a soak reads, counts and draws."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from antiphon_bench.soak import processes
from antiphon_bench.soak.counters import CounterSums

STATUS = {"engine": {"restarts": 0}, "workers": [], "synth": None}

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="a Linux /proc is wanted")


def test_what_this_process_holds() -> None:
    before, _ = processes.look(os.getpid())
    memory = os.memfd_create("antiphon-test")
    try:
        after, shared = processes.look(os.getpid())
    finally:
        os.close(memory)
    assert after.descriptors == before.descriptors + 1
    assert any("antiphon-test" in name for name in shared)
    assert before.processes == 1
    assert before.threads >= 1
    assert 1.0 < before.private < before.rss


def test_processes_are_found_by_home_and_by_descent(tmp_path: Path) -> None:
    sleeper = "import sys, time; print(flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", sleeper],
        env={"ANTIPHON_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert list(processes.of_home(tmp_path)) == [child.pid]
        assert child.pid in processes.roles(os.getpid(), {})["helpers"]
        assert child.pid in processes.roles(os.getpid(), {child.pid: "engine"})["engine"]
        assert child.pid in processes.roles(os.getpid(), {child.pid: "zygote-torch"})["zygotes"]
        # a supervisor it does not descend from
        assert processes.read(child.pid, tmp_path).strays == ()
        assert processes.read(os.getppid(), tmp_path / "other").strays == ()
    finally:
        child.communicate()
    assert list(processes.of_home(tmp_path)) == []


def test_counters_that_begin_again_go_on() -> None:
    counts = CounterSums()
    for late in (3, 5, 1, 2):
        counts.add({**STATUS, "late": late})
    assert counts.totals()["late"] == 7
