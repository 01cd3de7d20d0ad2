"""What is tried again, and what fails a run for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = """
import os, pytest
{mark}
def test_small():
    with open("tries", "a") as file:
        file.write("x")
    assert os.path.getsize("tries") > {failures}
"""
ID = "tests/test_small.py::test_small"
PLUGINS = [part for name in ("tests.retries", "pytest_rerunfailures", "xdist.plugin") for part in ("-p", name)]


def run(folder: Path, failures: int, *args: str, mark: str = "@pytest.mark.live", ci: str = ""):
    """Runs a tree with a test that fails `failures` times: the exit code, what it printed, how often it was tried."""
    (folder / "tests").mkdir()
    (folder / "pytest.ini").touch()
    (folder / "tests" / "test_small.py").write_text(SMALL.format(mark=mark, failures=failures))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *PLUGINS, "--strict-markers", *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, (folder / "tries").stat().st_size


@pytest.mark.parametrize("processes", [(), ("-n", "2", "--dist", "loadfile")], ids=["one", "several"])
def test_a_live_test_that_passes_at_its_last_try_fails_the_run(tmp_path, processes):
    code, printed, tries = run(tmp_path, 2, *processes)
    assert (code, tries) == (pytest.ExitCode.TESTS_FAILED, 3)
    assert f"\nTRIED AGAIN, which fails this run: {ID} passed only then" in printed
    assert "assert 1 > 2" in printed, "how it failed at first"


def test_in_ci_it_is_named_and_the_run_passes(tmp_path):
    code, printed, tries = run(tmp_path, 1, ci="true")
    assert (code, tries) == (pytest.ExitCode.OK, 2)
    assert f"\nTRIED AGAIN: {ID} passed only then" in printed


def test_any_other_test_runs_once(tmp_path):
    code, printed, tries = run(tmp_path, 1, mark="")
    assert (code, tries) == (pytest.ExitCode.TESTS_FAILED, 1)
    assert "TRIED AGAIN" not in printed


def test_live_tests_are_those_of_the_folders_that_start_servers(request: pytest.FixtureRequest):
    for item in request.session.items:
        live = item.nodeid.startswith(("tests/serve/", "tests/hostile/", "tests/acceptance/"))
        pure = item.nodeid.startswith(
            ("tests/engine/", "tests/wire/", "tests/cli/", "plugins/antiphon-sound/antiphon_denoise/")
        )
        live = live and item.get_closest_marker("untimed") is None
        assert not (live and item.get_closest_marker("flaky") is None), item.nodeid
        assert not (pure and item.get_closest_marker("flaky") is not None), item.nodeid
