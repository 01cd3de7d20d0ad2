"""A pytest plugin: what each test file takes, of the processor and of the clock; the slowest are listed at the end.

The cache keeps it (`antiphon/taken`) for the next run's order and for `tools/slow_tests.py`.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

import pytest

KEY = "antiphon/taken"
"""Where the cache keeps `{file: [seconds, processor seconds]}` of each file's last run."""
LISTED = 40
"""Files in the list at the end of a run of more than these."""


class Taken(NamedTuple):
    """What a file took: seconds, and processor seconds, of what it started and waited for too."""

    seconds: float = 0.0
    processor: float = 0.0


_taken: dict[str, Taken] = {}
_last = 0.0
_began = time.monotonic()


def known(config: pytest.Config) -> dict[str, Taken]:
    """What each file took when it ran last, as far as it is known."""
    cache = getattr(config, "cache", None)
    return {file: Taken(*both) for file, both in cache.get(KEY, {}).items()} if cache is not None else {}


def _processor() -> float:
    """Processor seconds of this process and of those that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    global _last
    report = yield
    if call.when == "setup":
        _last = _last or _processor()
    now = _processor()
    report.processor, _last = now - _last, now
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    file = report.nodeid.partition("::")[0]
    before = _taken.get(file, Taken())
    _taken[file] = Taken(before.seconds + report.duration, before.processor + getattr(report, "processor", 0.0))


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "cache") and not hasattr(config, "workerinput"):
        config.cache.set(KEY, known(config) | _taken)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if len(_taken) <= LISTED:
        return
    wall = time.monotonic() - _began
    seconds, processor = (sum(column) for column in zip(*_taken.values(), strict=True))
    terminalreporter.section(f"the {LISTED} slowest files")
    for file, taken in sorted(_taken.items(), key=lambda one: -one[1].processor)[:LISTED]:
        terminalreporter.write_line(f"{taken.processor:6.1f} s of a processor {taken.seconds:6.1f} s  {file}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    terminalreporter.write_line(
        f"{len(_taken)} files: {processor:.0f} s of a processor in {wall:.0f} s on {cores} cores; "
        f"tests waited for {100 * max(0.0, 1 - processor / max(seconds, 1e-9)):.0f} % of their time, "
        f"the cores for {100 * max(0.0, 1 - processor / (wall * cores)):.0f} %"
    )
