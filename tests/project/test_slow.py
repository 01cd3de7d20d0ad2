"""Which files are marked slow, and where a change makes them run."""

from pathlib import Path

import pytest
from tests import slow
from tools import slow_tests

ROOT = Path(__file__).parents[2]
NATIVE, EFFECTS = "tests/native/test_library.py", "plugins/antiphon/antiphon_effects/tests/test_effects.py"
HUM = "models/antiphon_models/hum/tests/test_training.py"


@pytest.mark.parametrize(
    ("test", "changed", "runs"),
    [
        (NATIVE, NATIVE, True),
        (NATIVE, "server/antiphon/native/lower.py", True),
        (NATIVE, "server/antiphon/kernel/runtime/extras.py", False),
        (NATIVE, "server/antiphon/kernel/engine/loop.py", False),
        (NATIVE, "server/antiphon/web/server.py", False),
        (NATIVE, "plugins/antiphon/antiphon_effects/drive.py", False),
        (NATIVE, "tests/web/test_http.py", False),
        (NATIVE, "tests/waiting.py", True),
        (NATIVE, "pyproject.toml", True),
        (NATIVE, "docs/kernel.md", False),
        ("tests/docs/test_commands.py", "docs/kernel.md", True),
        ("tests/cli/test_every_plugin.py", "plugins/antiphon/antiphon_effects/drive.py", True),
        ("tests/patches/test_instruments.py", "patches/duo.toml", True),
        ("tests/serve/test_learn.py", "lessons/code/01-first-sound.md", True),
        (NATIVE, "conftest.py", True),
        (NATIVE, "server/antiphon/testing/laws.py", True),
        ("tests/graph/test_plan.py", "server/antiphon/kernel/signal/pitches.py", True),
        ("tests/graph/test_plan.py", "server/antiphon/signal/features.py", False),
        (EFFECTS, "plugins/antiphon/antiphon_effects/drive.py", True),
        (EFFECTS, "plugins/antiphon/antiphon_effects/tests/sounds.py", True),
        (EFFECTS, "plugins/antiphon/antiphon_synth/processor.py", False),
        (EFFECTS, "server/antiphon/api/kernels.py", True),
        (HUM, "plugins/antiphon-companion/antiphon_hum/processor.py", True),
        (HUM, "models/antiphon_models/hum/training.py", True),
        (HUM, "models/antiphon_models/stems/training.py", False),
    ],
)
def test_slow_file_changed_path_decides(test: str, changed: str, runs: bool) -> None:
    assert slow.depends(test, changed) is runs


def test_marks_slow_are_few() -> None:
    tops = (ROOT / top for top in ("tests", "plugins", "models"))
    files = [file for top in tops for file in top.rglob("test_*.py")]
    marked = [file for file in files if slow_tests.MARK.search(file.read_text())]
    assert len(marked) <= slow.MOST
