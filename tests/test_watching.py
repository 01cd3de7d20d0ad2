"""What is said and done when scsynth is given up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from antiphon import watching
from antiphon.children import Child
from antiphon.settings import ServeSettings
from antiphon.supervisor import Supervisor
from antiphon.synth import info as synths
from antiphon.workers.arena import State, Word


@pytest.fixture(autouse=True)
def supercollider() -> Iterator[None]:
    synths.use(synths.Choice(synths.SUPERCOLLIDER))
    yield
    synths.use(None)


def arena() -> Any:
    entry = SimpleNamespace(
        words={Word.STATE: State.REFUSED, Word.WANTED: 1},
        kind="none",
        spec=lambda: SimpleNamespace(name=synths.PREFIX + synths.SUPERCOLLIDER.name),
        reason="it ended",
    )
    return SimpleNamespace(entries=[entry])


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ("json", "pyo plays notes from here on, and a piano for instruments it has not"),
        ("there_is_no_such_module", "notes are not heard from here on"),
    ],
)
def test_what_plays_instead_is_said(monkeypatch: pytest.MonkeyPatch, needs: str, said: str) -> None:
    monkeypatch.setattr(synths, "PYO", replace(synths.PYO, needs=needs))
    heard: list[str] = []
    assert watching.synth_given_up(arena(), heard.append)
    assert heard == [f"scsynth is given up (it ended); {said}"]
    assert not watching.synth_given_up(arena(), heard.append)


def test_an_engine_is_not_ended_before_all_is_ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    supervisor, ended = Supervisor(ServeSettings(), tmp_path), []
    supervisor.arena = arena()
    supervisor._children["engine"] = Child("engine", 4711, -1)
    monkeypatch.setattr(os, "kill", lambda pid, _number: ended.append(pid))
    supervisor._look_for_synth()
    assert not ended
    supervisor._ready_said = True
    for _ in range(2):
        supervisor._look_for_synth()
    assert ended == [4711]
