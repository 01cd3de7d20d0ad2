"""`antiphon surface`: both kinds of file, and a sentence for what is neither."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import py2tosc

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
