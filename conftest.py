"""What every test gets: user folders of its own, and, where it is asked for, no leave to be skipped."""

from __future__ import annotations

import gc
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from tests import forked

from antiphon.kernel.runtime import extras
from antiphon.kernel.runtime.processes import children
from antiphon_bench.rig import ServerProcess

if TYPE_CHECKING:
    from xdist.scheduler.protocol import Scheduling

pytest_plugins = ["tests.retries", "tests.slow", "tests.timing"]

# How long an example takes says how busy the machine is, so nothing here depends on it. Half of the usual number
# of examples in CI, which uses the same each time, and fewer elsewhere, where every run draws others. Fixtures made
# once per test hold no state that an example leaves to the next one.
settings.register_profile(
    "antiphon",
    deadline=None,
    max_examples=50 if os.environ.get("CI") else 30,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("antiphon")

LACKING = extras.absent()
"""Names of plugins and processors that are not here, each with its distribution: `make alone` has some."""
ADVICE = re.compile(r"the \w+ \w+ is in antiphon-\w+: pip install antiphon-\w+")
LIVE = (
    "tests/acceptance",
    "tests/clients",
    "tests/hostile",
    "tests/real",
    "tests/serve",
    "plugins/antiphon/antiphon_supercollider/tests/real",
)
"""Folders whose tests start real servers, which keep time: marked `live`, they may be tried again (`tests/retries.py`),
but for those marked `untimed`. Of all no more than two run at once where the suite runs in several processes (`-n`)."""
_LIVE = tuple(f"{folder}/" for folder in LIVE)
REAL_SECONDS = 600
"""The limit of a test that starts real servers or devices; pyproject.toml has that of the others."""
HOME, NO_SKIPS = "ANTIPHON_HOME", "ANTIPHON_NO_SKIPS"
NO_NPM = "npm is not installed"
"""What a skipped test says that may be skipped in any run: users and CI need no Node."""
USUAL = 0.1
"""Seconds of a test that is not known."""
LIVE_AT_ONCE = 2
"""Processes that run live files at once."""
BEHIND = 5
"""What tests without servers are `nice` by, where the suite runs in several processes."""
CYCLES = 10_000
"""Objects that are made before it is looked for cycles among them."""
_numbers = itertools.count()
_given = pytest.StashKey[str | None]()
_held = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    # also for what runs outside a test function: fixtures of wider scope, tests in plugins/
    config.stash[_given] = os.environ.get(HOME)
    config.stash[_held] = tempfile.TemporaryDirectory(prefix="antiphon-tests-")
    os.environ[HOME] = config.stash[_held].name
    ServerProcess.launch = forked.Forked
    children.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": forked.Forked})
    # a shell's background job ignores SIGINT, and what it starts does so too until it installs a handler
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def loaded() -> Any:
    """Every plugin that is installed."""
    from antiphon.kernel.plugins import loader

    return loader.load(check=False)


@pytest.fixture(scope="module", autouse=True)
def pool_of_the_module() -> Iterator[None]:
    """Ends the workers for files that a module's tests started: a pool has room for few, and its zygotes keep the
    folder and the paths of the test that needed them first."""
    yield
    lockstep = sys.modules.get("antiphon.networks.lockstep")
    if lockstep is not None and isinstance(lockstep._context.pool, lockstep.Lockstep):
        lockstep._context.pool.shut()
        sys.modules["antiphon.kernel.workers.pool"].use(None)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leaves out a file that imports a plugin of a distribution that is not here (`make alone`)."""
    if not LACKING or collection_path.suffix != ".py":
        return None
    imported = re.findall(r"^ *(?:from|import) antiphon_(\w+)", collection_path.read_text("utf-8"), re.MULTILINE)
    return True if {*imported} & {*LACKING, "models"} else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Skips a test that ends with the advice to install a distribution that is not here."""
    report: Any = yield
    if LACKING and report.failed and (found := ADVICE.search(str(report.longrepr))):
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, f"Skipped: {found[0]}")
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        needed = [name for mark in item.iter_markers("needs") for name in mark.args]
        if lacking := [name for name in needed if name in LACKING]:
            item.add_marker(pytest.mark.skip(reason=f"{lacking[0]} is in {LACKING[lacking[0]]}, which is not here"))
        served = item.nodeid.startswith(_LIVE)
        if served and not item.get_closest_marker("untimed"):
            item.add_marker(pytest.mark.live)
        if served or item.get_closest_marker("real"):
            item.add_marker(pytest.mark.timeout(REAL_SECONDS))


def pytest_sessionstart() -> None:
    gc.disable()  # what is collected stays until the end: to look through it again and again takes seconds


def pytest_collection_finish() -> None:
    gc.freeze()
    # with the usual 700 up to an eighth of a process's time goes into looking through what tests only just made
    gc.set_threshold(CYCLES, 10, 10)
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling | None:
    """For `-n N --dist loadfile`: a file's tests share its fixtures, and two processes at most run live files.

    These two run live files first. All take what took longest the last time first (the number of tests, where that is
    not known).
    """
    if config.getoption("dist") != "loadfile":
        return None
    from tests import timing
    from xdist.scheduler import LoadFileScheduling

    live = () if "not live" in config.getoption("markexpr") else _LIVE
    known = timing.known(config)

    class ByFile(LoadFileScheduling):
        def _assign_work_unit(self, node: Any) -> None:
            timed = [scope for scope in self.workqueue if scope.startswith(live)]
            rest = [scope for scope in self.workqueue if not scope.startswith(live)]
            # the first two keep the priority that live tests want, until none is left
            may = timed if timed and node in [*self.assigned_work][:LIVE_AT_ONCE] else rest
            if not may:
                node.shutdown()
                return
            self.workqueue.move_to_end(max(may, key=self._weight), last=False)
            super()._assign_work_unit(node)
            if not self.workqueue:  # a process that is given one last test waits for another one, or for its end
                node.shutdown()

        def remove_node(self, node: Any) -> str | None:
            """As xdist's, which gives the test that ended a process to the next one too, again and again."""
            work = self.assigned_work[node]
            left = ((unit, test) for unit in work.values() for test, done in unit.items() if not done)
            unit, ended = next(left, (None, None))
            if unit is None or ended is None:
                return super().remove_node(node)
            del self.assigned_work[node]
            unit[ended] = True
            self.workqueue.update(work)
            for other in self.assigned_work:
                self._reschedule(other)
            return ended

        def _weight(self, scope: str) -> float:
            taken = known.get(scope)
            return taken.seconds if taken else USUAL * len(self.workqueue[scope])

    return ByFile(config, log)  # type: ignore[arg-type]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    forked.everything = item.get_closest_marker("executed") is not None
    # among several processes those with live tests go before the others: what keeps time is not to wait for a core
    if hasattr(item.config, "workerinput") and not item.nodeid.startswith(_LIVE) and os.nice(0) == 0:
        os.nice(BEHIND)


def pytest_unconfigure(config: pytest.Config) -> None:
    before = config.stash[_given]
    if before is None:
        os.environ.pop(HOME, None)
    else:
        os.environ[HOME] = before
    config.stash[_held].cleanup()


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pytest's own, which lists the folders of all tests before for each new one."""
    return _numbered(tmp_path_factory, re.sub(r"\W", "_", request.node.name)[:30])


@pytest.fixture(autouse=True)
def antiphon_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that holds a test's settings, patches and recordings: nobody's own, and nobody else's."""
    folder = _numbered(tmp_path_factory, "home")
    monkeypatch.setenv(HOME, str(folder))
    return folder


def _numbered(factory: pytest.TempPathFactory, name: str) -> Path:
    folder = factory.getbasetemp() / f"{name}-{next(_numbers)}"
    folder.mkdir(mode=0o700)
    return folder


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """`make test-real` promises that every test ran: a skipped one fails the run, and so do none at all."""
    if not os.environ.get(NO_SKIPS) or exitstatus != pytest.ExitCode.OK:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    # one of several processes has none: the one that started them sees what all of them reported
    if reporter is not None and any(NO_NPM not in _reason(report) for report in reporter.stats.get("skipped", [])):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not os.environ.get(NO_SKIPS):
        return
    for report in terminalreporter.stats.get("skipped", []):
        reason = _reason(report)
        allowed = NO_NPM in reason
        said = "SKIPPED" if allowed else "SKIPPED, which fails this run"
        terminalreporter.write_line(f"{said}: {report.nodeid}: {reason}", yellow=allowed, red=not allowed)


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
