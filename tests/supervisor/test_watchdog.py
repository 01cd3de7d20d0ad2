"""What is said and done when a synth is given up, and how a control that hangs is found."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from antiphon.kernel.engine.plans.loading import LoadingNote
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.engine.shared import HeaderWord as SharedWord, MappingShape, Shared
from antiphon.kernel.runtime.processes.child_process import Child
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.supervisor import Supervisor, watchdog
from antiphon.kernel.synth import backends, info as synths
from antiphon.kernel.synth.info import SynthInfo
from antiphon.kernel.workers.arena import State, WorkerWord

HARP = SynthInfo("harp", "harp:Harp", program="harpist", fallback=True)
LUTE = SynthInfo("lute", "lute:Lute", auto=1)


@pytest.fixture(autouse=True)
def harp() -> Iterator[None]:
    backends.use(synths.BackendChoice(HARP))
    yield
    backends.use(None)


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
    assert watchdog.synth_given_up(arena(), registered, heard.append)
    assert heard == [f"harpist is given up (it ended); {said}"]
    assert backends.chosen().instead
    assert not watchdog.synth_given_up(arena(), registered, heard.append)


def test_one_that_nothing_stands_in_for_is_not_given_up() -> None:
    backends.use(synths.BackendChoice(replace(HARP, fallback=False)))
    assert not watchdog.synth_given_up(arena(), {}, print)


def test_an_engine_is_not_ended_before_all_is_ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    supervisor, ended = Supervisor(ServeSettings(), tmp_path), []
    supervisor.parts = SimpleNamespace(arena=arena())
    supervisor.starts = SimpleNamespace(synths={"null": lambda: synths.NULL})
    supervisor._children["engine"] = Child("engine", 4711, -1)
    monkeypatch.setattr(os, "kill", lambda pid, _number: ended.append(pid))
    supervisor._look_for_synth()
    assert not ended
    supervisor._ready_said = True
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
