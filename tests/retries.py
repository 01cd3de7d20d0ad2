"""A pytest plugin: only tests of a live clock may be tried again, and those that need it are listed, with the reason.

A test is marked `live` by itself, by its module or by its folder (`LIVE` in `conftest.py`). One that fails is tried
twice more. If it passes then and `tests/quarantine.toml` does not list it, the run fails, and says at its end what to
do; with `CI` in the environment `MOST_IN_CI` such tests are named and do not fail it, since that machine may stall in
any one. What is not `live` runs once.
"""

import os
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

LISTED = "tests/quarantine.toml"
"""Below the root of the tests: tables `[[test]]` with `id` (without parameters), `reason` and `last`, a date."""
TRIES = 3
MOST_IN_CI = 3
"""Of some 700 live tests: on an idle machine one or two a run met a stall of the machine."""
_TRACEBACKS = "rerun_show_tracebacks"
_RACES = ["AssertionError", "Failed", "TimeoutError", "TimeoutExpired"]
"""What may be wrong once: an error of another kind is a fault."""
_HANGS = "from pytest-timeout"
"""What a test that hangs ends by: tried again it would take all of a run's time."""


class Retries(NamedTuple):
    """Which tests passed at another try than the first.

    Attributes:
        unlisted: Ids of tests that the list does not name, with parameters.
        listed: Ids of those that it names.
        unneeded: Ids in the list of tests that ran and passed at once, and when each was last tried again.
    """

    unlisted: list[str]
    listed: list[str]
    unneeded: dict[str, str]


def listed_tests(path: Path) -> dict[str, dict[str, object]]:
    """Reads the list: the table of each test by its id; empty without the file."""
    if not path.is_file():
        return {}
    return {str(test["id"]): test for test in tomllib.loads(path.read_text())["test"]}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "live: keeps time with a real clock; tried again when it fails")
    if hasattr(config.option, _TRACEBACKS):
        setattr(config.option, _TRACEBACKS, True)


@pytest.hookimpl(trylast=True)  # after those who mark by folder
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config.option, _TRACEBACKS):  # without the plugin that tries again
        return
    again = pytest.mark.flaky(reruns=TRIES - 1, only_rerun=_RACES, rerun_except=_HANGS)
    for item in items:
        if item.get_closest_marker("live"):
            item.add_marker(again)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    # one of several processes has no reporter: the one that started them sees what all of them reported
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and exitstatus == pytest.ExitCode.OK and _too_many(_retries(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    retries = _retries(terminalreporter)
    what = ", which fails this run" if _too_many(retries) else ""
    for test in retries.unlisted:
        terminalreporter.write_line(
            f"TRIED AGAIN{what}: {test} passed only then. Mend the race that is shown above: measure "
            f"what is meant, wait for the event. {LISTED} lists those that may be tried again, and gets no longer.",
            red=True,
        )
    for test in retries.listed:
        terminalreporter.write_line(f"TRIED AGAIN, as {LISTED} says: {test}. Set its `last` to today.", yellow=True)
    for test, last in retries.unneeded.items():
        terminalreporter.write_line(
            f"NOT TRIED AGAIN: {test}, listed in {LISTED} and last tried again on {last}; strike it off after a month.",
            yellow=True,
        )


def _retries(reporter: pytest.TerminalReporter) -> Retries:
    stats = reporter.stats
    tests = listed_tests(reporter.config.rootpath / LISTED)
    failed = {report.nodeid for kind in ("failed", "error") for report in stats.get(kind, [])}
    again = [test for test in dict.fromkeys(report.nodeid for report in stats.get("rerun", [])) if test not in failed]
    passed = {_plain(report.nodeid) for report in stats.get("passed", [])} - {_plain(test) for test in again}
    return Retries(
        unlisted=[test for test in again if _plain(test) not in tests],
        listed=[test for test in again if _plain(test) in tests],
        unneeded={name: str(test["last"]) for name, test in tests.items() if name in passed},
    )


def _too_many(retries: Retries) -> bool:
    return len(retries.unlisted) > (MOST_IN_CI if os.environ.get("CI") else 0)


def _plain(test: str) -> str:
    return test.partition("[")[0]
