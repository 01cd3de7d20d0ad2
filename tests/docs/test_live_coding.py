"""docs/live-coding.md: each block plays on the patch that it names, and its tables name what is there."""

import json
import re
import tempfile
from functools import cache
from pathlib import Path

import pytest
from tests.commands import blocks, text

import antiphon.live
from antiphon.cli.commands import application
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.graph.patch import load
from antiphon.kernel.plugins import loader
from antiphon.kernel.session.notes import Players
from antiphon.kernel.session.play import unknown_words
from antiphon.live import ControlPattern
from antiphon.live.patterns.mini_parser import MAX_DEPTH, MAX_LETTERS
from antiphon.live.patterns.mini_reading import MAX_EVENTS, read
from antiphon.live.performance import MAX_EVENTS as MOST_A_BEAT
from antiphon.live.records import LiveEvent, ScriptError
from antiphon.offline import event_file, script_child
from antiphon.offline.commands import convert_to_actions, param_finder
from antiphon.offline.script_run import TIMEOUT_SECONDS, ScriptHeader, ScriptProcess, commands
from antiphon.testing import sound as audio
from antiphon_sampler.library import folder_of, list_folder
from antiphon_sampler.pads import rows_by_name

PAGE = text("docs/live-coding.md")
TUTORIAL, REFERENCE = PAGE.split("## Mini-notation")
STEPS, SINGLE = (re.findall(r"```python\n(.*?)```", part, re.DOTALL) for part in (TUTORIAL, REFERENCE))
SCRIPTS = ["\n\n".join(STEPS[: k + 1]) for k in range(len(STEPS))] + SINGLE
"""What a reader has in the file after each step, and the blocks of the second part."""
OUTSIDE = {"answer", "loud", "drop", "follow", "reply"}
"""Loops that wait for other clients and for the input."""
SILENT = {"phrase", "knock", "reply"}
"""Loops that play nothing in a file: one cues the others, two answer the input."""


GAP = 1.5
"""Seconds between two sounds."""
LATE = 0.08
"""Seconds after its time at which a sound begins, at most."""


@cache
def performed(number: int) -> tuple[ScriptHeader, list[LiveEvent]]:
    """What a script says, and its events in 24 bars."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.py"
        path.write_text(SCRIPTS[number])
        with ScriptProcess(str(path)) as script:
            return script.header, script.play(script.header.bar * 24, 120.0)


@cache
def known() -> Catalog:
    return loader.load(check=False).catalog


@cache
def sounds_of(library: str) -> tuple[str, ...]:
    return tuple(rows_by_name(list_folder(folder_of(library)).names))


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_a_block_plays_on_its_patch(number: int) -> None:
    header, events = performed(number)
    catalog = known()
    graph = load(header.patch, catalog).graph
    played = commands(events, "set.py", param_finder(graph, catalog), Players(graph, catalog))
    words = {
        node.name: {"s": sounds_of(str(node.values.get("library", "")))}
        for node in graph.nodes
        if node.type == "sampler"
    }
    for event in events:
        node = event.address.removeprefix("/node/").removesuffix("/play")
        if event.address == f"/node/{node}/play":
            assert not list(unknown_words(words[node], event.args)), "a sound that is silent"
    _, actions = convert_to_actions(graph, catalog, 48000, played)
    assert len(actions) > 60
    silent = SILENT | OUTSIDE if "on_note" in SCRIPTS[number] else SILENT
    assert {event.source for event in events} >= set(header.names) - silent, "a track or loop plays nothing"


def tables(folder: Path) -> list[LiveEvent]:
    """Eight cycles of each text of the notation's table that names sounds, on `drums`."""
    part = PAGE.split("## Mini-notation")[1].split("\n## ")[0]
    cells = [cell for row in re.findall(r"^\| (`.*`) \|", part, re.MULTILINE) for cell in re.findall(r"`([^`]+)`", row)]
    texts = [cell.replace("\\|", "|") for cell in cells if re.search(r"[a-z]{2}", cell) and "'" not in cell]
    assert len(texts) > 15
    lines = [f"track('t{n}', {written!r})" for n, written in enumerate(texts)]
    path = folder / "table.py"
    path.write_text("\n".join(["from antiphon.live import *", 'patch("band")', *lines]))
    with ScriptProcess(str(path)) as script:
        return script.play(script.header.bar * 8, 120.0)


def sounds(events: list[LiveEvent]) -> dict[tuple[object, ...], LiveEvent]:
    """One event for each sound: a sample of a node, or the first note of one."""
    found: dict[tuple[object, ...], LiveEvent] = {}
    for event in events:
        if event.address.endswith("/play"):
            fields = dict(zip(event.args[::2], event.args[1::2], strict=True))
            found.setdefault((event.address, fields.get("s"), fields.get("n", 0)), event)
        elif event.address == "/note/on" and event.args[1]:
            found.setdefault((event.address, *event.args[2:]), event)
    return found


def test_every_sound_of_the_scripts_and_of_the_notation_is_heard(tmp_path: Path) -> None:
    """Each alone on the patch of the scripts, one after the other: a name that no sound has is silent there."""
    events = tables(tmp_path)
    for number in range(len(STEPS) - 1, len(SCRIPTS)):  # the last step holds those before it
        header, more = performed(number)
        assert header.patch == "band"
        events += more
    found = sounds(events)
    assert len(found) >= 15
    lines: list[dict[str, object]] = []
    for n, event in enumerate(found.values()):
        lines.append({"time": 0.5 + n * GAP, "address": event.address, "args": list(event.args)})
        if event.address == "/note/on":
            off = [event.args[0], 0, *event.args[2:]]
            lines.append({"time": 0.7 + n * GAP, "address": "/note/off", "args": off})
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, lines)))
    seconds = f"{0.5 + len(found) * GAP:g}"
    out = tmp_path / "out.wav"
    words = ["render", "band", "--events", str(tmp_path / "e.jsonl"), "--seconds", seconds, "--out", str(out)]
    application(words).main(args=words, prog_name="antiphon", standalone_mode=False)
    samples, rate = audio.read(out)
    begun = audio.attacks(samples, rate)
    silent = [name for n, name in enumerate(found) if not any(-0.02 < at - 0.5 - n * GAP < LATE for at in begun)]
    assert silent == [], "these are not heard"


@pytest.mark.parametrize("number", range(1, len(STEPS)))
def test_each_step_is_heard(number: int) -> None:
    """A step plays or sets something that the steps before it did not; one that listens has a loop more."""
    before, after = performed(number - 1), performed(number)
    assert after[1] != before[1] or set(after[0].names) - set(before[0].names) <= SILENT


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


def test_the_error_is_the_one_that_is_said(tmp_path: Path) -> None:
    (said,) = [block.lines for block in blocks("docs/live-coding.md") if block.lines[0].startswith("antiphon: ")]
    broken = tmp_path / "set.py"
    broken.write_text('from antiphon.live import *\n\npatch("band")\ntrack("beat", "bd*4 [sn cp")\n')
    with pytest.raises(ScriptError) as caught, ScriptProcess(str(broken)):
        pass
    assert [f"antiphon: {caught.value}", *(f"  {line}" for line in caught.value.picture.split("\n"))] == list(said)


def test_the_limits_are_those_of_the_code() -> None:
    for said in (
        f"{MAX_LETTERS:,} characters",
        f"{MAX_DEPTH} brackets",
        f"{MAX_EVENTS:,} events a cycle",
        f"{TIMEOUT_SECONDS:g} s of processor",
        f"{script_child.MEMORY >> 30} GiB",
        f"{MOST_A_BEAT:,} events",
        f"{event_file.MAX_EVENTS:,}",
    ):
        assert said in PAGE, said
