"""sclang with a home of its own and the quark of this tree."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

QUARK = Path(__file__).resolve().parents[2] / "supercollider" / "Antiphon"
PATIENCE = 90.0
Run = Callable[..., str]


@pytest.fixture
def sclang(tmp_path: Path) -> Run:
    """Runs a file, with arguments, and gives what it posted; the test fails when it does not end by itself with 0.

    port: the server's, which the file finds as ANTIPHON_PORT.  quark: whether the classes are on the path.
    """
    program = shutil.which("sclang")
    if program is None:
        pytest.skip("sclang is missing: sudo apt-get install supercollider-language")
    home = tmp_path / "sclang"
    home.mkdir()

    def run(file: Path, *args: str, port: int = 0, quark: bool = True) -> str:
        config = home / "conf.yaml"
        if not config.exists():
            paths = f"\n    - {QUARK}" if quark else "\n    []"
            config.write_text(f"includePaths:{paths}\nexcludePaths:\n    []\npostInlineWarnings: false\n")
        env = {
            **os.environ,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_RUNTIME_DIR": str(home),
            "QTWEBENGINE_DISABLE_SANDBOX": "1",
            "QT_QPA_PLATFORM": "offscreen",
            "ANTIPHON_PORT": str(port),
        }
        try:
            done = subprocess.run(
                [program, "-D", "-l", str(config), str(file), *args],
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired as late:
            # so it does when the class library does not compile
            said = (late.stdout or b"").decode(errors="replace")
            pytest.fail(f"sclang did not end within {PATIENCE:g} s: {said[-4000:]}")
        _, _, posted = done.stdout.partition("Welcome to SuperCollider")
        assert done.returncode == 0, f"sclang ended with {done.returncode}: {(posted or done.stdout)[-4000:]}"
        assert "ERROR" not in posted, posted[-4000:]
        return posted

    return run
