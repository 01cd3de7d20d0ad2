"""A pytest plugin: only tests of a live clock may be tried again, and the run fails when one passes only then.

A test is marked `live` by itself, by its module or by its folder (`LIVE` in `conftest.py`). One that fails is tried
twice more. If it passes then the run fails, and says at its end what to do; with `CI` in the environment `MOST_IN_CI`
such tests are named and do not fail it, since that machine may stall in any one. What is not `live` runs once.
"""

import os

import pytest

TRIES = 3
MOST_IN_CI = 3
"""Of some 700 live tests: on an idle machine one or two a run met a stall of the machine."""
_TRACEBACKS = "rerun_show_tracebacks"
_RACES = ["AssertionError", "Failed", "TimeoutError", "TimeoutExpired"]
"""What may be wrong once: an error of another kind is a fault."""
_HANGS = "from pytest-timeout"
"""What a test that hangs ends by: tried again it would take all of a run's time."""


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
    if reporter is not None and exitstatus == pytest.ExitCode.OK and _too_many(_passed_again(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    again = _passed_again(terminalreporter)
    what = ", which fails this run" if _too_many(again) else ""
    for test in again:
        terminalreporter.write_line(
            f"TRIED AGAIN{what}: {test} passed only then. Mend the race that is shown above: measure "
            "what is meant, wait for the event.",
            red=True,
        )


def _passed_again(reporter: pytest.TerminalReporter) -> list[str]:
    """Ids of tests that passed at another try than the first."""
    stats = reporter.stats
    failed = {report.nodeid for kind in ("failed", "error") for report in stats.get(kind, [])}
    return [test for test in dict.fromkeys(report.nodeid for report in stats.get("rerun", [])) if test not in failed]


def _too_many(again: list[str]) -> bool:
    return len(again) > (MOST_IN_CI if os.environ.get("CI") else 0)
