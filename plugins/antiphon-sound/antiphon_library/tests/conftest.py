"""Sound files to catalogue, short, with tags, and of known content; and the command."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.cli.conftest import Done

from antiphon.cli import errors
from antiphon.cli.command import CommandGroup
from antiphon.cli.plugin_commands import add_operations
from antiphon.operations.shared import OperationList
from antiphon_library.commands.options import ROOT
from antiphon_library.commands.personality import application
from antiphon_library.operations import add_to
from antiphon_library.schema import FILE, ShippedSounds

RATE = 22050
MakeFile = Callable[..., Path]
Library = Callable[..., Done]


@pytest.fixture(autouse=True)
def own_sounds_alone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the sounds that ship, but in their own tests; no folder is named as by a test before."""
    ROOT.set(None)
    if request.module.__name__.rpartition(".")[2] != "test_shipped":
        monkeypatch.setattr(ShippedSounds, "already_added", lambda *_: True)


def without_shipped(root: Path) -> None:
    """Makes a library one whose owner has had it forget the sounds that ship, for servers of its home."""
    with contextlib.closing(sqlite3.connect(root / FILE)) as base:
        base.execute("PRAGMA application_id=1")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Library:
    """Runs `antiphon library --root root` with further words in the folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path / "home"))
    app = CommandGroup(None)
    app.add_command(application())
    add_to(operations := OperationList())
    add_operations(app, operations.added)
    app.command("other")(lambda: None)

    def run(*arguments: str | Path, root: str = "root") -> Done:
        code = errors.run(app, ["library", *(["--root", root] if root else ()), *(str(a) for a in arguments)])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


@pytest.fixture
def make(music: Path) -> MakeFile:
    """Writes a tone of 0.3 s: `make("a.wav", 440.0, title="A")`."""

    def write(name: str, frequency: float = 440.0, *, folder: Path = music, **tags: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(0.3 * RATE)) / RATE)
        kind = {"format": "FLAC", "subtype": "PCM_16"} if path.suffix == ".flac" else {}
        with soundfile.SoundFile(path, "w", RATE, 1, **kind) as file:
            for tag, text in tags.items():
                setattr(file, tag, text)
            file.write(tone)
        return path

    return write
