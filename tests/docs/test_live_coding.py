"""docs/live-coding.md: each block plays on the patch that it names, and its tables name what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.commands import blocks, text

import antiphon.live
from antiphon.graph.patch import load
from antiphon.live import ControlPattern
from antiphon.live.mini.parser import DEEPEST, LONGEST
from antiphon.live.mini.reading import MOST_EVENTS, read
from antiphon.live.performance import MOST_EVENTS as MOST_A_BEAT
from antiphon.live.records import ScriptError
from antiphon.offline import event_file, script_child
from antiphon.offline.rendering import actions_of, param_finder
from antiphon.offline.script_run import PATIENCE, ScriptProcess, commands
from antiphon.plugins import loader
from antiphon.session.notes import Players

PAGE = text("docs/live-coding.md")
SCRIPTS = ["\n".join(block.lines) + "\n" for block in blocks("docs/live-coding.md") if block.lang == "python"]
OUTSIDE = {"answer", "loud", "drop", "follow"}
"""Loops of the page that wait for what nobody does while a file is rendered."""


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_a_block_plays_on_its_patch(number: int, tmp_path: Path) -> None:
    (tmp_path / "set.py").write_text(SCRIPTS[number])
    with ScriptProcess(str(tmp_path / "set.py")) as script:
        header, events = script.header, script.play(script.header.bar * 16, 120.0)
    catalog = loader.load(check=False).catalog
    graph = load(header.patch, catalog).graph
    played = commands(events, "set.py", 48000, param_finder(graph, catalog), Players(graph, catalog))
    _, actions = actions_of(graph, catalog, 48000, played)
    assert len(actions) > 60
    others = OUTSIDE if "on_note" in SCRIPTS[number] else set()
    assert {event.source for event in events} >= set(header.names) - {"phrase"} - others, (
        "a track or loop plays nothing"
    )


def test_there_is_a_block_for_each_part() -> None:
    assert len(SCRIPTS) == PAGE.count("\n## ") - 2


def test_every_text_of_the_notation_is_read() -> None:
    table = PAGE.split("## Mini-notation")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*`) \| (.*) \|$", table, re.MULTILINE)
    assert len(rows) == 16
    for row, _ in rows:
        for written in re.findall(r"`([^`]+)`", row):
            read(written.replace("\\|", "|"), lambda word: (word,))


def test_every_word_and_method_is_there() -> None:
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    table = prose.split("## Changes")[1].split("\n## ")[0]
    methods = {
        name for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"(\w+)\(", cell)
    }
    assert len(methods) > 25
    assert [name for name in sorted(methods) if not hasattr(ControlPattern, name)] == []
    words = {name for name in re.findall(r"`(\w+)(?:\([^`]*\))?`", prose) if name in dir(antiphon.live)}
    assert len(words) > 20
    undocumented = {name for name in antiphon.live.__all__ if not re.search(rf"\b{name}\b", PAGE)}
    assert undocumented <= {"ControlPattern", "LiveNode", "NodeNote", "Pattern", "Scale", "pure", "silence"}, (
        undocumented
    )


def test_the_error_is_the_one_that_is_said(tmp_path: Path) -> None:
    (said,) = [block.lines for block in blocks("docs/live-coding.md") if block.lines[0].startswith("antiphon: ")]
    broken = tmp_path / "set.py"
    broken.write_text('from antiphon.live import *\n\npatch("band")\ntrack("beat", "bd*4 [sn cp")\n')
    with pytest.raises(ScriptError) as caught, ScriptProcess(str(broken)):
        pass
    assert [f"antiphon: {caught.value}", *(f"  {line}" for line in caught.value.picture.split("\n"))] == list(said)


def test_the_limits_are_those_of_the_code() -> None:
    for said in (
        f"{LONGEST:,} characters", f"{DEEPEST} brackets", f"{MOST_EVENTS:,} events a cycle",
        f"{PATIENCE:g} s of processor", f"{script_child.MEMORY >> 30} GiB", f"{MOST_A_BEAT:,} events",
        f"{event_file.MAX_EVENTS:,}",
    ):  # fmt: skip
        assert said in PAGE, said
