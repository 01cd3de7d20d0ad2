"""What a soak reads, counts and draws."""

import math
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import pytest

from antiphon.kernel.errors import UsageError
from antiphon_bench.soak import processes
from antiphon_bench.soak.counters import CounterSums
from antiphon_bench.soak.run import Pace, main
from antiphon_models.learning.plot import Panel, svg

ROLLUP = """5651057f1000-7fff0ec2d000 ---p 00000000 00:00 0                          [rollup]
Rss:                2048 kB
Pss:                 512 kB
Pss_Dirty:           116 kB
Shared_Clean:       1540 kB
Private_Clean:       128 kB
Private_Dirty:       896 kB
Anonymous:          1536 kB
"""
STATUS = {"engine": {"restarts": 0}, "workers": [], "synth": None}

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="a Linux /proc is wanted")


def test_a_rollup_in_megabytes() -> None:
    assert processes.rollup(ROLLUP) == {"rss": 2.0, "pss": 0.5, "private": 1.0, "anonymous": 1.5}


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


def test_a_server_whose_control_is_away_has_not_answered() -> None:
    counts = CounterSums()
    counts.take(SimpleNamespace(status=lambda: {"error": "the server is starting again"}))  # type: ignore[arg-type]
    counts.take(SimpleNamespace(status=lambda: STATUS))  # type: ignore[arg-type]
    assert counts.totals()["status_unanswered"] == 1


def test_nodes_that_are_failed_are_named() -> None:
    counts = CounterSums()
    counts.add({**STATUS, "nodes": [{"name": "keys", "state": "failed"}, {"name": "hum", "state": "running"}]})
    assert counts.failed == ("keys",)
    counts.add(STATUS)
    assert counts.failed == ()


def test_a_run_of_two_hours_has_the_pace_that_is_published() -> None:
    assert Pace.of(7200.0) == Pace(7200.0, 60.0, 600.0, 10.0, 300.0, 60.0)
    assert Pace.of(36000.0).kill == 600.0
    assert Pace.of(10.0).sample == 1.0


def test_the_plot_is_xml_with_a_line_for_each_name_and_gaps_where_nothing_is_known() -> None:
    lines = {"one": [(0.0, 1.0), (1.0, math.nan), (2.0, 2.0), (3.0, 3.0)], "two": [(0.0, 0.0), (3.0, 0.0)]}
    drawn = svg([Panel("A & B", lines)], "soak", "min", [(1.5, "engine")])
    texts = [element.text for element in ElementTree.fromstring(drawn).iter() if element.text]
    assert {"A & B", "one", "two", "engine"} <= set(texts)
    (line,) = [part for part in drawn.splitlines() if "#4477aa" in part and "<path" in part]
    assert line.count("M") == 2


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="above 0"):
        main(0.0, tmp_path, 1)
    (tmp_path / "samples.jsonl").touch()
    with pytest.raises(UsageError, match="holds a soak already"):
        main(1.0, tmp_path, 1)
