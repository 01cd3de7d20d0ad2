"""The log of a server: one file for all its processes, with time and level, which is copied away when it is full."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.io import log_lines

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} "


SCRIPT = """
import logging, subprocess, sys
from antiphon.kernel.errors import EngineError
from antiphon.kernel.io import log_lines
from antiphon.kernel.runtime import console

CHILD = (
    "import logging as g; from antiphon.kernel.io.log_lines import log_lines as l; l(); "
    "g.getLogger('antiphon').info('c')"
)
try:
    with log_lines.server_log(sys.argv[1], "info"):
        console.say("a warning")
        console.write_output("ready")
        subprocess.run([sys.executable, "-c", CHILD + "; g.getLogger('other').info('no')"], check=True)
        raise EngineError("why it ended")
except EngineError:
    console.say("after it")
"""
FULL = """
import sys
from antiphon.kernel.io import log_lines
from antiphon.kernel.runtime import console

log_lines.LARGEST = 100
with log_lines.server_log(sys.argv[1], "info"):
    for number in range(7):
        console.say(f"line {number} " + "x" * 100)
        log_lines.rotate()
        console.say("short")
        log_lines.rotate()
"""


def ran(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True)


def test_everything_of_all_processes_is_in_the_file_with_time_and_level(tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    done = ran(SCRIPT, str(file))
    assert (done.stdout, done.stderr) == ("ready\n", "antiphon: after it\n")
    lines = file.read_text().splitlines()
    assert all(re.match(STAMP, line) for line in lines)
    assert [re.sub(f"^{STAMP}", "", line) for line in lines] == [
        "WARNING antiphon: a warning",
        "INFO antiphon: ready",
        "INFO antiphon: c",
        "ERROR antiphon: why it ended",
    ]
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_a_file_standard_error_has_time_and_level_above_the_least() -> None:
    said = ran(SCRIPT, "").stderr.splitlines()
    assert [re.sub(f"^{STAMP}", "", line) for line in said] == [
        "WARNING antiphon: a warning",
        "INFO antiphon: c",
        "antiphon: after it",
    ]
    only_errors = ran(SCRIPT.replace('"info"', '"error"'), "").stderr
    assert only_errors == "antiphon: after it\n"


def test_a_full_log_is_copied_away_and_the_oldest_copy_goes(tmp_path: Path) -> None:
    ran(FULL, str(tmp_path / "server.log"))
    copies = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert sorted(copies) == ["server.log", *(f"server.log.{n}" for n in range(1, 6))]
    assert "line 6" in copies["server.log.1"]
    assert "line 2" in copies["server.log.5"]
    assert copies["server.log"].count("short") == 1


def test_what_cannot_be_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="--log-level takes debug, info, warning, error, not 'loud'"):
        log_lines.server_log("", "loud").__enter__()
    with pytest.raises(FileError, match="--log: cannot write"):
        log_lines.server_log(str(tmp_path / "none" / "x.log"), "info").__enter__()
    assert capfd.readouterr().err == "", "the command line says it"
