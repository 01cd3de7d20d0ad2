"""Sets of version 1: each line is the action that it was, and plays as it did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import FileError
from antiphon.graph.clock import TempoMap
from antiphon.offline.session_reader import LOG, SessionLog
from antiphon.session.actions import (
    ACTIONS,
    Action,
    FadeOut,
    NodeBend,
    NodeControl,
    NodeNoteOff,
    NodeNoteOn,
    NodeReset,
    NodeSet,
)
from antiphon.session.commands import NOW, ClearSchedule, Panic, Sample, SetTempo, SetTransport, Sync

AT = Sample(900)
OLD: list[tuple[dict[str, Any], Action]] = [
    ({"op": "set", "node": 3, "cell": 2, "number": 0.25}, NodeSet(3, 2, 0.25, 0.0, AT)),
    ({"op": "set", "node": 3, "cell": 0, "number": -6.0, "ramp": 0.5}, NodeSet(3, 0, -6.0, 0.5, AT)),
    ({"op": "set", "node": -1, "cell": 0, "number": -6.0}, NodeSet(-1, 0, -6.0, 0.0, AT)),
    ({"op": "reset", "node": 3, "cell": 0, "number": 0.0}, NodeReset(3, AT)),
    ({"op": "tempo", "number": 90.0}, SetTempo(90.0, 0.0, AT)),
    ({"op": "tempo", "number": 90.0, "ramp": 4.0}, SetTempo(90.0, 4.0, AT)),
    ({"op": "transport", "cell": 1}, SetTransport(True, None, AT)),
    ({"op": "transport"}, SetTransport(False, None, AT)),
    ({"op": "transport", "cell": -1, "number": 8.0}, SetTransport(None, 8.0, AT)),
    ({"op": "transport", "cell": 1, "number": 0.0}, SetTransport(True, 0.0, AT)),
    ({"op": "panic", "number": 0.0, "token": 7}, Panic(AT)),
    ({"op": "clear", "number": 0.0, "token": 7}, ClearSchedule(AT)),
    ({"op": "sync", "number": 0.0, "token": 1 << 50}, Sync(1 << 50, AT)),
    ({"op": "note_on", "node": 2, "cell": 60, "number": 0.5, "token": 3}, NodeNoteOn(2, 60, 0.5, 3, when=AT)),
    (
        {"op": "note_on", "node": 2, "cell": 60, "number": 0.5, "ramp": 1.0, "token": 3},
        NodeNoteOn(2, 60, 0.5, 3, when=NOW),
    ),
    ({"op": "note_off", "node": 2, "cell": 0, "number": 0.0, "token": 16}, NodeNoteOff(2, 0, 16, when=AT)),
    (
        {"op": "control", "node": 2, "cell": 64, "number": 1.0, "ramp": 1.0, "token": 1},
        NodeControl(2, 64, 1.0, when=NOW),
    ),
    ({"op": "bend", "node": 2, "cell": 0, "number": -0.5, "token": 1}, NodeBend(2, -0.5, when=AT)),
    ({"op": "end", "number": 0.0}, FadeOut(AT)),
]
"""As the engine wrote them, and what they asked for."""


def read(folder: Path, *lines: dict[str, Any], version: int = 1) -> SessionLog:
    tempo = {key: getattr(TempoMap(48000), key) for key in TempoMap.__slots__}
    head = {"session": version, "rate": 48000, "block": 256, "channels": 2}
    begun = {"engine": "started", "sample": 0, "died": 0, "tempo": tempo}
    (folder / LOG).write_text("".join(json.dumps(line) + "\n" for line in (head, begun, *lines)))
    return SessionLog(folder)


@pytest.mark.parametrize(("old", "action"), OLD, ids=[json.dumps(old) for old, _ in OLD])
def test_a_line_of_version_1_is_the_action_that_it_was(tmp_path: Path, old: dict[str, Any], action: Action) -> None:
    log = read(tmp_path, {"sample": 900, **old})
    assert ACTIONS.from_line(log.lines[-1][1]) == action


def test_every_action_of_version_1_is_among_them() -> None:
    assert {old["op"] for old, _ in OLD} == {
        "set", "reset", "tempo", "transport", "panic", "clear", "sync", "note_on", "note_off", "control", "bend", "end",
    }  # fmt: skip


def test_a_line_of_today_is_read_as_it_stands_and_one_of_version_1_in_it_is_refused(tmp_path: Path) -> None:
    line = {"sample": 900, "op": "note_on", "node": 2, "note": 60, "velocity": 0.5}
    log = read(tmp_path, line, version=2)
    assert ACTIONS.from_line(log.lines[-1][1]) == NodeNoteOn(2, 60, 0.5, when=AT)
    with pytest.raises(FileError, match="line 3: it lacks 'note'"):
        read(tmp_path, {"sample": 900, **OLD[-6][0]}, version=2)


@pytest.mark.parametrize(
    "line", [{"op": []}, {"op": "transport", "cell": "x"}, {"op": "set", "node": []}, {"op": None}]
)
def test_what_version_1_could_not_say_is_refused_by_its_line(tmp_path: Path, line: dict[str, Any]) -> None:
    with pytest.raises(FileError, match="line 3: it makes no sense"):
        read(tmp_path, {"sample": 900, **line})
