"""What is said of stalls and of missed blocks: once, and with the options that end them."""

import logging
import os
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.clock import FakeClock

from antiphon.kernel.control.machine import STALL_LOG_SECONDS, MachineWatch, setting
from antiphon.kernel.engine.drivers.base import DriverOptions, ahead_for
from antiphon.kernel.engine.link import EngineCounters, EngineStatus

ENGINE = EngineStatus(1, "running", 0, "jack", 48000, 256, 2, 512, 512, 0, 0.2, 0.5)
MS = 1_000_000


@pytest.mark.parametrize(
    ("late_ms", "changes", "options"),
    [
        (4.0, {}, "--ahead 3"),  # more than the 2 that did not do
        (12.0, {}, "--ahead 4"),
        (75.0, {}, "--ahead 16"),
        (90.0, {}, "--block 512 --ahead 10"),
        (30.0, {"block": 64, "latency_ring": 256}, "--block 128 --ahead 13"),
        (2.0, {"block": 64, "latency_ring": 256}, "--ahead 5"),
        (12.0, {"load_mean": 0.9}, "--block 512"),  # the patch takes the time, not the machine
        (2.0, {"block": 2048, "latency_ring": 0, "latency_driver": 8 * 2048, "load_mean": 0.9}, "--ahead 9"),
    ],
)
def test_the_options_are_those_with_which_the_latest_block_had_been_in_time(
    late_ms: float, changes: dict[str, Any], options: str
) -> None:
    assert setting(replace(ENGINE, **changes), round(late_ms * MS)) == options


@pytest.mark.parametrize(
    ("told", "late_ms", "ahead"), [(0, 0.0, 2), (0, 1.0, 2), (0, 6.0, 3), (0, 500.0, 16), (1, 6.0, 1)]
)
def test_a_machine_that_wakes_late_is_given_more_blocks_unless_they_are_told(
    told: int, late_ms: float, ahead: int
) -> None:
    options = DriverOptions(ahead=told, late_ns=round(late_ms * MS))
    assert options.blocks_ahead(256, 48000) == ahead
    assert told or ahead_for(options.late_ns, 256, 48000) <= ahead


def test_missed_blocks_are_said_once_and_stalls_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, link = FakeClock(), SimpleNamespace(now=EngineCounters(missed_blocks=5), engine=ENGINE)
    link.counters, link.status = lambda: link.now, lambda: link.engine
    machine = MachineWatch(link, clock)
    caplog.set_level(logging.WARNING)

    def look(**changes: int) -> list[str]:
        caplog.clear()
        link.now = replace(link.now, **changes)
        machine.look()
        return [record.getMessage() for record in caplog.records]

    assert look() == [], "what another control has seen"
    (said,) = look(missed_blocks=105, stalls=1, stalled_ns=1300 * MS)
    assert said.startswith("the machine stood still for 1.3 s, which is no fault of a node")
    assert look(missed_blocks=200, stalls=2) == []
    assert machine.advice == ""
    assert look(missed_blocks=201, latest_ns=2 * MS) == [], "the first time"
    assert look() == []
    (said,) = look(missed_blocks=203, latest_ns=12 * MS)
    assert said.startswith("3 blocks were missed, the latest was 12.0 ms late")
    assert said.endswith(" start the server with --ahead 4")
    assert machine.advice == said
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 0.0, 0.0))
    assert look(missed_blocks=300) == [], "once in the log"
    assert machine.advice.startswith("100 blocks were missed, ")
    assert "; end other programs (load 99 on " in machine.advice
    link.engine = replace(ENGINE, restarts=1)
    assert look(missed_blocks=900, stalls=0) == []
    clock.now += STALL_LOG_SECONDS
    assert "(stalls so far: 3)" in look(stalls=3)[0]
