"""`antiphon new-plugin`: what it writes loads, sounds and passes its own test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sources import PYTHONPATH

from antiphon.cli.plugins import new_plugin
from antiphon.kernel.errors import UsageError
from antiphon.kernel.plugins import loader
from antiphon.kernel.runtime import paths
from antiphon.newplugin import SHAPES, write

ROOT = Path(__file__).parents[2]


def passes(module: str, *words: str, cwd: Path | None = None, **variables: str) -> None:
    """A module ends with status 0 as a program."""
    command, env = [sys.executable, "-m", module, *words], {**os.environ, **variables}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_shape_loads_and_passes_its_own_test(tmp_path: Path) -> None:
    names = {shape: "fresh_" + shape.replace("-", "_") for shape in SHAPES}
    for shape, name in names.items():
        place = write(name, shape, tmp_path)
        assert sorted(p.name for p in place.iterdir()) == ["README.md", "__init__.py", "processor.py", "tests"]
        card = (place / "README.md").read_text()
        assert f"`antiphon run {name} {SHAPES[shape].files}`" in card
        assert f"`PYTHONPATH=. python -m pytest {name}/tests` in" in card
    loaded = loader.load(tmp_path)
    assert loaded.catalog.failures == ()
    assert all(loaded.catalog[name].doc for name in names.values())
    # as the cards say it, in the folder that holds the plugins
    source = os.pathsep.join([".", PYTHONPATH])
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    passes("pytest", *(f"{name}/tests" for name in names.values()), *options, cwd=tmp_path, PYTHONPATH=source)
    for key in [key for key in sys.modules if key.partition(".")[0] in names.values()]:
        del sys.modules[key]


def test_of_a_plugin_elsewhere_it_says_what_shows_and_what_loads_it(
    tmp_path: Path, antiphon_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_plugin("fresh_here", "sound-sound", tmp_path)
    printed = capsys.readouterr().out
    assert f"`antiphon plugins fresh_here --plugins-dir {tmp_path}` shows it" in printed
    assert f"it is loaded where it is in {paths.plugins()}" in printed
    assert "antiphon run" not in printed
    new_plugin("fresh_own", "sound-sound", paths.plugins())
    assert "`antiphon run fresh_own IN.wav OUT.wav` runs it" in capsys.readouterr().out


def test_what_is_written_passes_the_linter(tmp_path: Path) -> None:
    for shape in SHAPES:
        (tmp_path / shape).mkdir()
        write("fresh", shape, tmp_path / shape)
    rules = ["--no-cache", "--config", str(ROOT / "pyproject.toml")]
    sources = ["--config", f"src = ['{ROOT / 'server'}', '{tmp_path / next(iter(SHAPES))}']"]
    for command in (["check"], ["format", "--check"]):
        passes("ruff", *command, *rules, *sources, str(tmp_path))


def test_a_taken_name_is_refused(tmp_path: Path) -> None:
    write("mine", "sound-sound", tmp_path)
    with pytest.raises(UsageError, match="is there already"):
        write("mine", "sound-notes", tmp_path)
