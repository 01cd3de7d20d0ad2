"""What a soak reads and counts, and when a long run is said to grow: on lines made up for it."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from antiphon_bench.soak import processes
from antiphon_bench.soak.result import COUNT, MEMORY, bins, fit_trend
from antiphon_bench.soak.run import CounterSums

STATUS = {"engine": {"restarts": 0}, "workers": [], "synth": None}

linux = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="a Linux /proc is wanted")


@linux
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


@linux
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
        assert list(processes.processes_of_home(tmp_path)) == [child.pid]
        assert child.pid in processes.roles(os.getpid(), {})["helpers"]
        assert child.pid in processes.roles(os.getpid(), {child.pid: "engine"})["engine"]
        assert child.pid in processes.roles(os.getpid(), {child.pid: "zygote-torch"})["zygotes"]
        # a supervisor it does not descend from
        assert processes.read(child.pid, tmp_path).strays == ()
        assert processes.read(os.getppid(), tmp_path / "other").strays == ()
    finally:
        child.communicate()
    assert list(processes.processes_of_home(tmp_path)) == []


def test_counters_that_begin_again_go_on() -> None:
    counts = CounterSums()
    for late in (3, 5, 1, 2):
        counts.add({**STATUS, "counters": ["late"], "late": late})
    assert counts.totals()["late"] == 7


TIMES = [float(t) for t in range(5, 7200, 10)]
TURN, SETTLE = 300.0, 300.0
ONE = [0] * len(TIMES)


def noise(seed: int = 1) -> np.ndarray:
    """What patches in turn (1 MB apart) and chance do to a level of 100 MB."""
    t = np.asarray(TIMES)
    return 100.0 + t // 60 % 5 + np.random.default_rng(seed).normal(0.0, 0.5, t.size)


def test_what_only_changes_with_the_patch_is_steady() -> None:
    for seed in range(20):
        found = fit_trend(TIMES, list(noise(seed)), ONE, TURN, SETTLE, MEMORY)
        assert found.verdict == "steady", found
        assert found.bins == 22


def test_a_leak_of_five_megabytes_an_hour_grows_and_is_measured() -> None:
    leak = noise() + 5.0 * np.asarray(TIMES) / 3600.0
    found = fit_trend(TIMES, list(leak), ONE, TURN, SETTLE, MEMORY)
    assert found.verdict == "grows"
    assert abs(found.slope - 5.0) < found.margin < 1.0


def test_a_leak_that_kills_hide_is_found_life_by_life() -> None:
    t = np.asarray(TIMES)
    lives = [int(at // 2400) for at in TIMES]
    leak = 100.0 + 5.0 * (t % 2400) / 3600.0  # every death gives all of it back
    assert fit_trend(TIMES, list(leak), ONE, TURN, SETTLE, MEMORY).slope < 2.0
    found = fit_trend(TIMES, list(leak), lives, TURN, SETTLE, MEMORY)
    assert found.verdict == "grows"
    assert found.slope == pytest.approx(5.0, rel=0.02)


def test_what_fills_in_the_first_minutes_of_a_life_is_left_out() -> None:
    lives = [int(at // 2400) for at in TIMES]
    filling = [100.0 + 20.0 * min(1.0, at % 2400 / 280.0) for at in TIMES]
    assert fit_trend(TIMES, filling, lives, TURN, SETTLE, MEMORY).verdict == "steady"
    assert fit_trend(TIMES, filling, lives, TURN, 0.0, MEMORY).verdict == "grows"


def test_a_descriptor_an_hour_grows_and_one_in_all_does_not() -> None:
    assert fit_trend(TIMES, [50.0 + at // 900 for at in TIMES], ONE, TURN, SETTLE, COUNT).verdict == "grows"
    assert fit_trend(TIMES, [50.0 + (at > 3600) for at in TIMES], ONE, TURN, SETTLE, COUNT).verdict == "steady"


def test_samples_that_are_missing_are_left_out_and_a_short_run_says_so() -> None:
    gaps = [math.nan if n % 3 else value for n, value in enumerate(noise())]
    assert fit_trend(TIMES, gaps, ONE, TURN, SETTLE, MEMORY).verdict == "steady"
    short = fit_trend(TIMES[:60], list(noise())[:60], ONE[:60], TURN, SETTLE, MEMORY)
    assert short.verdict == "too short"
    assert math.isnan(short.slope)
    assert bins([], [], [], TURN, SETTLE) == []
