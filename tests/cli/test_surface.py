"""`antiphon surface`: both kinds of file, and a sentence for what is neither."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import py2tosc
import pytest

Command = Callable[..., Any]


def test_it_writes_a_layout_and_a_session(antiphon: Command, tmp_path: Path) -> None:
    for name in ("answer.tosc", "answer.json"):
        done = antiphon("surface", name)
        assert (done.code, done.err) == (0, "")
        assert f"{name}: " in done.out
        assert "controls of Answer" in done.out
    assert py2tosc.load(tmp_path / "answer.tosc").validate() == []
    assert json.loads((tmp_path / "answer.json").read_text())["createdWith"] == "Open Stage Control"
    assert antiphon("surface", "mine.tosc", "--patch", "keys").code == 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("answer.tosc", "answer.tosc is there already; give OUT another name, or --force to write over it"),
        ("answer.xml", "its name must end in .tosc (TouchOSC) or .json (Open Stage Control)"),
        ("nosuch.tosc", "there is no patch 'nosuch'"),
        ("folder.tosc", "folder.tosc"),
    ],
)
def test_what_cannot_be_written_is_a_sentence(antiphon: Command, tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "answer.tosc").write_text("mine")
    (tmp_path / "folder.tosc").mkdir()
    given = ["--patch", "keys"] if name.startswith("folder") else []
    done = antiphon("surface", name, *given)
    assert done.code == 2
    assert reason in done.complaint
    assert (tmp_path / "answer.tosc").read_text() == "mine"
