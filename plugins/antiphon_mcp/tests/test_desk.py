"""What a proposal may do, what may land, and how lines of a script are replaced; no server."""

import json
from pathlib import Path

import pytest
from tests.each import each

from antiphon.api.backends.http import Refusal
from antiphon_mcp.allowed import forbidden
from antiphon_mcp.desk import MAX_DIFF, MAX_PROPOSALS, Desk, LandingRefused, diff_of, taken_back
from antiphon_mcp.memory import DeskMemory
from antiphon_mcp.route_types import Edit, ProposeBody, change_of, edited, patch_of

HEAD = 'from antiphon.live import *\npatch("band")\n'


@each(
    "line, what",
    [
        ('track("a", s("bd*4").every(4, rev))', ""),
        ("import math, random", ""),
        ("from fractions import Fraction", ""),
        ("@loop\ndef a():\n    my = memory(k=0)\n    my.k += 1\n    yield 1", ""),
        ("import os", "import os"),
        ("import fractions", "import fractions"),
        ("from fractions import sys", "fractions.sys"),
        ("from . import x", "import"),
        ("from antiphon.live import reading", "reading"),
        ("from antiphon.live import track, osc as o", "import of"),
        ("x.os", "attribute os"),
        ("match 1:\n    case __builtins__:\n        pass", "__builtins__"),
        ("match [1]:\n    case [*__a]:\n        pass", "__a"),
        ("match {}:\n    case {**__a}:\n        pass", "__a"),
        ("match 1:\n    case int(x):\n        pass", "class pattern"),
        ("match 1:\n    case int(__class__=x):\n        pass", "class pattern"),
        ("match 1:\n    case int() | 'a':\n        pass", ""),
        ("import random as __a", "__a"),
        ("try:\n    pass\nexcept ValueError as __a:\n    pass", "__a"),
        ("def a(__b): pass", "__b"),
        ("dict(__a=1)", "__a"),
        ("def a():\n    global __b", "__b"),
        ("def __a(): pass", "__a"),
        ("(__a := 1)", "__a"),
        ("class A: pass", "class"),
        ("from antiphon.live.stage import contextmanager", "antiphon.live.stage"),
        ("open('/etc/passwd')", "open"),
        ("().__class__", "__class__"),
        ("'{0.x}'.format(1)", "format"),
        ("(x for x in ()).gi_frame", "gi_frame"),
        ("f = eval", "eval"),
        ("__builtins__", "__builtins__"),
        ('osc("127.0.0.1:9", "/a", "1")', "osc"),
        ("x = (", ""),  # an error of syntax is the rehearsal's
    ],
)
def test_a_proposed_script_is_music(line: str, what: str) -> None:
    found = forbidden(HEAD + line)
    assert bool(found) == bool(what)
    assert what in found
    assert not forbidden(HEAD + line, before=line)


def test_what_cannot_be_read_is_refused() -> None:
    deep = "a = " + "-" * 20_000 + "1"
    assert "nesting so deep" in forbidden(deep, before=deep)


@each(
    "edits, after",
    [
        ([(1, 1, "x")], "x\nb\nc"),
        ([(2, 1, "x\ny")], "a\nx\ny\nb\nc"),
        ([(1, 2, "")], "c"),
        ([(3, 3, "z"), (1, 1, "x")], "x\nb\nz"),
        ([(4, 3, "d")], "a\nb\nc\nd"),
        ([(5, 5, "x")], "lines 5 to 5"),
        ([(1, 2, "x"), (2, 3, "y")], "overlap"),
    ],
)
def test_lines_are_replaced(edits: list[tuple[int, int, str]], after: str) -> None:
    made = [Edit(*one) for one in edits]
    if "\n" in after or after == "c":
        assert edited("a\nb\nc", made) == after
        return
    with pytest.raises(Refusal, match=after):
        edited("a\nb\nc", made)


@each(
    "body, base, found",
    [
        (ProposeBody(script="x"), "", ("x", ())),
        (ProposeBody(params={"echo.feedback": 0.5}), "b", ("", (("/node/echo/feedback", (0.5,)),))),
        (ProposeBody(params={"macro.room": 0.5}), "b", ("", (("/macro/room", (0.5,)),))),
        (ProposeBody(scene=2), "b", ("", (("/scene/recall", (2,)),))),
        (ProposeBody(), "b", "exactly one"),
        (ProposeBody(script=" \n"), "b", "without a line"),
        (ProposeBody(lines=[Edit(1, 1, "")]), "b", "without a line"),
        (ProposeBody(script="x", scene=1), "b", "exactly one"),
        (ProposeBody(scene=1), "", "nothing plays"),
        (ProposeBody(params={"/live/eval": 1.0}), "b", "no parameter"),
        (ProposeBody(script="\ud800"), "b", "UTF-8"),
        (ProposeBody(script="\N{SNOWMAN}" * 50_000), "b", "100,000 bytes"),
    ],
)
def test_a_body_is_one_change(body: ProposeBody, base: str, found: object) -> None:
    if isinstance(found, tuple):
        assert change_of(body, base) == found
        return
    with pytest.raises(Refusal, match=str(found)):
        change_of(body, base)


@each(
    "mode, state, ok, playing, trusted, why",
    [
        ("on", "ready", True, "a", False, ""),
        ("ask", "ready", True, "a", False, ""),
        ("off", "ready", True, "a", True, "off"),
        ("hold", "ready", True, "a", True, "hold"),
        ("on", "ready", True, "b", True, "has changed"),
        ("on", "landing", True, "a", False, "lands already"),
        ("on", "landed", True, "a", False, "landed already"),
        ("on", "dropped", True, "a", False, "dropped already"),
        ("on", "rehearsing", False, "a", True, "being rehearsed"),
        ("on", "refused", False, "a", False, "too loud"),
        ("on", "refused", False, "a", True, ""),
    ],
)
def test_what_was_not_rehearsed_does_not_land(
    mode: str, state: str, ok: bool, playing: str, trusted: bool, why: str
) -> None:
    desk = Desk()
    proposal = desk.add(text="x", lines=(), base="a")
    desk.judged(proposal, {"ok": ok, "why": [] if ok else ["too loud"], "peak": 0.0}, b"")
    desk.mode, proposal.state = mode, state
    if not why:
        desk.check(proposal, playing, trusted=trusted)
        return
    with pytest.raises(LandingRefused, match=why):
        desk.check(proposal, playing, trusted=trusted)


def test_proposals_are_bounded_and_what_waits_is_kept() -> None:
    desk = Desk()
    waiting = desk.add(text="", lines=(), base="")
    waiting.state = "waiting"
    made = [desk.add(text="", lines=(), base="") for _ in range(2 * MAX_PROPOSALS)]
    assert list(desk.proposals.values()) == [waiting, *made[1 - MAX_PROPOSALS :]]
    waiting.picture, waiting.back, waiting.replaced = b"PNG", (("/a", (1.0,)),), {"version": 3}
    landed = made[-1]
    landed.state = "landed"
    desk.landed.append(landed)
    again = Desk()
    again.restore(json.loads(json.dumps(desk.kept())))  # as in a web process that was started again
    assert (again.waiting, list(again.landed)) == (waiting, [landed])
    desk.drop()
    assert (desk.waiting, waiting.state) == (None, "dropped")


@pytest.mark.parametrize(
    ("text", "value", "end"),
    [
        ("a\nx\n", 1.0, "+ /node/a/b 1.0\n@@ -1,2 +1,2 @@\n a\n-b\n+x"),
        ("", "1\n+ no", r"+ /node/a/b '1\n+ no'"),
        ("x" * (MAX_DIFF + 5), 1.0, " more characters"),
    ],
)
def test_a_change_is_shown_as_a_diff(text: str, value: object, end: str) -> None:
    assert diff_of(text, (("/node/a/b", (value,)),), "a\nb\n").endswith(end)


VALUES = {"/tempo": 120.0, "/node/a/b": 0.5, "/node/c/d": 2.0, "/macro/m": 0.25}


@pytest.mark.parametrize(
    ("touched", "back"),
    [
        (["/tempo", "/bar"], ["/tempo"]),
        (["/macro/m"], ["/macro/m", "/node/a/b"]),
        (["/node/macro/m"], ["/macro/m", "/node/a/b"]),
        (["/macro/m/value", "/node/c/d/norm"], ["/macro/m", "/node/a/b", "/node/c/d"]),
        (["/macro/n"], ["/node/a/b", "/node/c/d"]),
        (["/scene/recall"], ["/macro/m", "/node/a/b", "/node/c/d"]),
        ([], []),
    ],
)
def test_what_a_change_sets_is_taken_back(touched: list[str], back: list[str]) -> None:
    macros = {"m": ["a.b", 0, 1], "n": [["a.b", 0, 1], ["c.d", 1, 4, 2.0]]}
    assert sorted(taken_back(touched, VALUES, macros)) == [(path, (VALUES[path],)) for path in back]


@pytest.mark.parametrize(("text", "patch"), [(HEAD, "band"), ("patch(", ""), ("x = 1", ""), ("patch(a)", "")])
def test_the_patch_is_read_without_running_the_script(text: str, patch: str) -> None:
    assert patch_of(text) == patch


def test_a_process_that_is_started_again_knows_what_its_servers_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
    DeskMemory("switches").write(mode="off", locked=["beat"])
    other = tmp_path / "run" / "mcp-1-never-switches.json"
    other.write_text("{}")
    assert DeskMemory("switches").read() == {"mode": "off", "locked": ["beat"]}
    assert not other.exists(), "that of a server that has ended"
