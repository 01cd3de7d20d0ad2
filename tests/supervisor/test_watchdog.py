"""What is said and done when a synth is given up, and how a control that hangs is found."""

import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from antiphon.backends import info as synths
from antiphon.backends.info import SynthInfo
from antiphon.backends.serving import ServedSynth
from antiphon.kernel.control.state import CATALOG, StateFolder
from antiphon.kernel.engine.plans.loading import LoadingNote
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.engine.shared import HeaderWord as SharedWord, MappingShape, Shared
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.processes.children import Child
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.supervisor import watch, watchdog
from antiphon.kernel.supervisor.companions import Companions
from antiphon.kernel.supervisor.starts import Starts
from antiphon.kernel.supervisor.watch import Supervisor
from antiphon.kernel.workers.arena import State, WorkerWord

HARP = SynthInfo("harp", "harp:Harp", program="harpist", fallback=True)
LUTE = SynthInfo("lute", "lute:Lute", auto=1)


@pytest.fixture(autouse=True)
def harp() -> Iterator[None]:
    synths.use(synths.BackendChoice(HARP))
    yield
    synths.use(None)


def arena() -> Any:
    entry = SimpleNamespace(
        words={WorkerWord.STATE: State.REFUSED, WorkerWord.WANTED: 1},
        kind="none",
        spec=lambda: SimpleNamespace(name=synths.PREFIX + HARP.name),
        reason="it ended",
    )
    return SimpleNamespace(entries=[entry])


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ("json", "lute plays notes from here on, and a piano for instruments it has not"),
        ("there_is_no_such_module", "notes make no sound from here on"),
    ],
)
def test_what_plays_instead_is_said(needs: str, said: str) -> None:
    registered = {info.name: partial(replace, info) for info in (HARP, replace(LUTE, needs=needs), synths.NULL)}
    heard: list[str] = []
    assert ServedSynth().replace_failed(arena(), registered, heard.append)
    assert heard == [f"harpist is given up (it ended); {said}"]
    assert synths.chosen_backend().instead
    assert not ServedSynth().replace_failed(arena(), registered, heard.append)


def test_one_that_nothing_stands_in_for_is_not_given_up() -> None:
    synths.use(synths.BackendChoice(replace(HARP, fallback=False)))
    assert not ServedSynth().replace_failed(arena(), {}, print)


def test_an_engine_is_not_ended_before_all_is_ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    supervisor, ended = Supervisor(ServeSettings(), tmp_path, Companions(notes=ServedSynth())), []
    supervisor.parts = SimpleNamespace(arena=arena())
    supervisor.starts = SimpleNamespace(synths={"null": lambda: synths.NULL})
    supervisor._children["engine"] = Child("engine", 4711)
    monkeypatch.setattr(os, "kill", lambda pid, _number: ended.append(pid))
    supervisor._look_for_synth()
    assert not ended
    supervisor._plays = True
    for _ in range(2):
        supervisor._look_for_synth()
    assert ended == [4711]


def test_a_control_whose_loop_stopped_turning_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, wake = Shared.create(MappingShape(48000, 64, 2, 16)), os.eventfd(0, os.EFD_NONBLOCK)
    ours, theirs = socket.socketpair()
    clock = SimpleNamespace(ns=1)
    monkeypatch.setattr("time.monotonic_ns", lambda: clock.ns)
    try:
        link = RemoteEngine(memory, wake, ours)
        watch = watchdog.HangWatch(memory.words, LoadingNote(memory), interval=10.0)
        watch.control(0)
        clock.ns += round(15e9)
        assert watch.control(0) == 0.0, "it has not begun to turn"
        link.note_turn()
        assert memory.words[SharedWord.CONTROL_BEAT] == clock.ns
        assert watch.control(0) == 0.0
        clock.ns += round(watchdog.CONTROL_HANG_SECONDS * 1e9)
        assert watch.control(0) == 0.0
        clock.ns += 1_000_000
        assert watch.control(0) == pytest.approx(watchdog.CONTROL_HANG_SECONDS + 0.001)
        watchdog.forget_control(memory.words)
        assert watch.control(0) == 0.0, "the next one has not begun to turn"
    finally:
        ours.close()
        theirs.close()
        os.close(wake)
        os.close(memory.fd)


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
    (folder / pidfile.RECORDINGS).write_text('{"record": "/gone/take.wav", "session": ""}')
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
        (starts.folder / pidfile.RECORDINGS).unlink()
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
    assert not tmp_path.exists()


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
    watch.back_up(crashed)
    pidfile.write(crashed, 0, {}, ServeSettings(patch="another"))
    (crashed / pidfile.RECORDINGS).unlink()
    watch.restore(crashed)
    assert held(crashed) == there
    watch.restore(crashed)
    assert held(crashed) == there, "once"


def test_what_cannot_be_kept_is_not_begun(crashed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = held(crashed)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copy2", full)
    with pytest.raises(FileError, match="no space left on device; free some space"):
        watch.back_up(crashed)
    assert held(crashed) == there
    assert [path for path in crashed.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(("ready", "asked"), [(True, True), (True, False), (False, True)])
def test_only_a_ready_run_that_was_asked_to_end_is_forgotten(
    crashed: Path, monkeypatch: pytest.MonkeyPatch, ready: bool, asked: bool
) -> None:
    there = held(crashed)

    def open_(supervisor: Supervisor) -> None:
        watch.back_up(crashed)
        supervisor._plays, supervisor._ending = ready, asked
        if ready:
            watch.drop_backup(crashed)
        raise Failed

    monkeypatch.setattr(Supervisor, "_open", open_)
    with pytest.raises(Failed):
        Supervisor(ServeSettings(), crashed).run()
    assert held(crashed) == ({CATALOG: b"{}"} if ready and asked else there)
