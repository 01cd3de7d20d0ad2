"""What `tools/setup.sh` says where pip fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = """#!/bin/sh
case "$*" in
    *"-m pip"*) printf '%s\\n' "$PIP_SAYS"; exit 1 ;;
    --version) echo "Python 3.11.2" ;;
esac
"""
"""An interpreter that fits, whose pip fails."""
RETRYING = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError: name resolution'\n"


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (
            "  ERROR: Failed building wheel for pesq\nERROR: Could not build wheels for pesq",
            "the package pesq could not be built",
        ),
        ("ERROR: Failed to build 'pesq' when getting requirements", "the package named above could not be built"),
        (
            RETRYING + "ERROR: No matching distribution found for hatchling>=1.27",
            "pip could not reach its package index",
        ),
        (
            "ERROR: No matching distribution found for python-rtmidi>=1.5.8",
            "no wheel of python-rtmidi>=1.5.8 for Python 3.11.2",
        ),
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: ResolutionImpossible", "pip could not install what pyproject.toml names"),
    ],
)
def test_setup_pip_fails_cause_is_named(printed: str, said: str, tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    (tmp_path / "tools").mkdir()
    script = shutil.copy(ROOT / "tools" / "setup.sh", tmp_path / "tools")
    done = subprocess.run(["sh", script], env={**os.environ, "PIP_SAYS": printed}, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("antiphon: ")
    assert said in last
    assert ("network" in last) == ("Retrying" in printed or "built" in said)
    assert not (tmp_path / ".venv" / ".ready").exists()
