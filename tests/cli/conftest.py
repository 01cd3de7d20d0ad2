"""The command line, in this process (quick) or in one of its own (signals, limits)."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from tests import noteclick
from tests.sources import PYTHONPATH

from antiphon.cli import errors
from antiphon.cli.commands import application
from antiphon.kernel.plugins import loader

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
from antiphon.cli.command import CommandGroup
from antiphon.cli.errors import main
from antiphon.cli.files.render import render
from antiphon.cli.files.run import run
app = CommandGroup(None)
app.command()(run)
app.command()(render)
main(app)
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line it must have said on standard error."""
        assert self.err.startswith("antiphon: "), self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.endswith("\n")
        return self.err.removeprefix("antiphon: ").rstrip("\n")


Command = Callable[..., Done]


def in_process(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs commands in this process."""

    def command(*arguments: str | Path) -> Done:
        typed = [str(a) for a in arguments]
        code = errors.run(application(typed), typed)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return command


@pytest.fixture
def antiphon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path.parent / f"{tmp_path.name}-home"))
    return in_process(capsys)


@pytest.fixture
def spawn(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a command as a process in the test's folder. before: code to run first."""

    def start(*arguments: str, before: str = "") -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": PYTHONPATH,
            "ANTIPHON_HOME": str(tmp_path.parent / f"{tmp_path.name}-home"),
        }
        return subprocess.Popen(
            [sys.executable, "-c", before + SCRIPT, *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


_loaded = cache(loader.load)


@pytest.fixture
def plugins_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins are read once for all commands; their check has tests of its own."""
    import antiphon.api.backends.rendering  # noqa: F401 - it takes `load` when it is first imported, which would be this one

    monkeypatch.setattr(loader, "load", lambda *_, **__: _loaded(check=False))


_plugins = count()


@pytest.fixture
def clicks(tmp_path: Path) -> str:
    """The path of a patch in which each event is a sample of its own height."""
    # a module of its own: another test's is imported already
    name = f"noteclick_{next(_plugins)}"
    folder = Path(os.environ["ANTIPHON_HOME"]) / "data" / "plugins" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(Path(noteclick.__file__).read_text().replace('"noteclick', f'"{name}'))
    (tmp_path / "clicks.toml").write_text(f'format = 1\nnodes.k = {{type = "{name}"}}\nwires = {{"k" = "out"}}\n')
    return "clicks.toml"
