"""A start that fails leaves what a crash left; only an end that was asked for leaves nothing."""

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from antiphon.kernel.control.state import CATALOG, StateFolder
from antiphon.kernel.engine.recording import recorder
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.supervisor import Supervisor, before
from antiphon.kernel.supervisor.starts import Starts


class Failed(Exception):
    """The start went no further."""


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """The folder of a server that was killed with a patch, a value and a recording."""
    folder = tmp_path / "run"
    folder.mkdir()
    state = StateFolder(folder)
    state.save({"patch": "Wah"})
    state.numbers[5] = -9.0
    state.close()
    (folder / recorder.NOTE).write_text('{"record": "/gone/take.wav", "session": ""}')
    pidfile.write(folder, 0, {}, ServeSettings(patch="wah"))
    (folder / CATALOG).write_text("{}")
    return folder


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("patch", ["", "wah", "another"])
def test_a_start_that_fails_late_changes_nothing(crashed: Path, monkeypatch: pytest.MonkeyPatch, patch: str) -> None:
    """Control has taken the state up, or begun its own, when the engine finds no device."""
    there = held(crashed)

    def control(starts: Starts) -> int:
        state = StateFolder(starts.folder)
        assert (state.load() is None) == (patch == "another"), "as asked for"
        state.save({"patch": "mine"})
        state.numbers[5] = 3.0
        state.close()
        (starts.folder / recorder.NOTE).unlink()
        raise Failed

    monkeypatch.setattr(Starts, "control", control)
    with pytest.raises(Failed):
        Supervisor(ServeSettings(audio="headless", osc_port=0, http_port=0, patch=patch), crashed).run()
    assert held(crashed) == there
    assert not (crashed / "before").exists()


def test_a_start_that_fails_in_a_fresh_place_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def control(starts: Starts) -> int:
        StateFolder(starts.folder).save({"patch": "mine"})
        raise Failed

    monkeypatch.setattr(Starts, "control", control)
    with pytest.raises(Failed):
        Supervisor(ServeSettings(audio="headless", osc_port=0, http_port=0), tmp_path).run()
    assert list(tmp_path.iterdir()) == []


def test_a_start_whose_port_is_taken_touches_nothing(crashed: Path) -> None:
    """It may be the loser of two that began at once: the folder is the other's."""
    there = held(crashed)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        asked = ServeSettings(audio="headless", osc_port=0, http_port=taken.getsockname()[1], patch="another")
        with pytest.raises(UsageError, match="taken"):
            Supervisor(asked, crashed).run()
    assert held(crashed) == there


def test_a_start_that_was_killed_midway_is_undone_by_the_next(crashed: Path) -> None:
    there = held(crashed)
    before.back_up(crashed)
    pidfile.write(crashed, 0, {}, ServeSettings(patch="another"))
    (crashed / recorder.NOTE).unlink()
    before.restore(crashed)
    assert held(crashed) == there
    before.restore(crashed)
    assert held(crashed) == there, "once"


def test_what_cannot_be_kept_is_not_begun(crashed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = held(crashed)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copy2", full)
    with pytest.raises(FileError, match="no space left on device; free some space"):
        before.back_up(crashed)
    assert held(crashed) == there
    assert [path for path in crashed.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(("ready", "asked"), [(True, True), (True, False), (False, True)])
def test_only_a_ready_run_that_was_asked_to_end_is_forgotten(
    crashed: Path, monkeypatch: pytest.MonkeyPatch, ready: bool, asked: bool
) -> None:
    there = held(crashed)

    def open_(supervisor: Supervisor) -> None:
        before.back_up(crashed)
        supervisor._ready_said, supervisor._ending = ready, asked
        if ready:
            before.drop_backup(crashed)
        raise Failed

    monkeypatch.setattr(Supervisor, "_open", open_)
    with pytest.raises(Failed):
        Supervisor(ServeSettings(), crashed).run()
    assert held(crashed) == ({CATALOG: b"{}"} if ready and asked else there)
