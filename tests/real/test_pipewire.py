"""The tests of the JACK driver again, with PipeWire's own JACK library and its daemon in jackd's place."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHOSEN = "jack-256 or each_pair or one_fade"
pytestmark = pytest.mark.real


@pytest.mark.skipif(
    not (shutil.which("pipewire") and shutil.which("pw-jack")),
    reason="PipeWire is missing: sudo apt-get install pipewire pipewire-jack",
)
def test_the_jack_driver_plays_under_pipewire(tmp_path: Path) -> None:
    env = {**os.environ, "ANTIPHON_TEST_PIPEWIRE": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    tests = [str(Path(__file__).parent / name) for name in ("test_drivers.py", "test_device_change.py")]
    command = [
        "pw-jack",
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "real",
        "-k",
        CHOSEN,
        *tests,
    ]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
