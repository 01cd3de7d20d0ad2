"""What a proposal may do, what may land beside the performer's switches, and how lines are replaced; no server."""

import asyncio
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from tests import accepted
from tests.waiting import comes

from antiphon.api.backends.http import Refusal
from antiphon_mcp import addresses
from antiphon_mcp.desk import (
    MAX_DIFF,
    MAX_PROPOSALS,
    Desk,
    DeskMemory,
    LandingRefused,
    Proposal,
    change_as_diff,
    restoring_messages,
)
from antiphon_mcp.route_types import Edit, LandBody, ProposeBody, change_of, patch_of, replace_lines
from antiphon_mcp.routes import McpRoutes
from antiphon_mcp.script_check import forbidden

HEAD = 'from antiphon.live import *\npatch("band")\n'


def script(line: str) -> str:
    """What a script with a line may not do, and may where it stood there before."""
    found = forbidden(HEAD + line)
    assert not forbidden(HEAD + line, before=line)
    return found or "it is music"


def lines(edits: list[tuple[int, int, str]]) -> str:
    return repr(replace_lines("a\nb\nc", [Edit(*one) for one in edits]))


def lands(mode: str, state: str, ok: bool, playing: str, trusted: bool) -> str:
    """Whether a proposal of a state lands while a script plays, by a switch of the performer."""
    desk = Desk()
    proposal = desk.add(text="x", lines=(), base="a")
    desk.store_verdict(proposal, {"ok": ok, "why": [] if ok else ["too loud"], "peak": 0.0}, b"")
    desk.mode, proposal.state = mode, state
    desk.check(proposal, playing, trusted=trusted)
    return "it lands"


def test_what_a_proposal_may_do_is_said() -> None:
    names = {"change_of": change_of, "ProposeBody": ProposeBody, "Edit": Edit}
    accepted.compare_calls(__file__, Refusal, LandingRefused, script=script, lines=lines, lands=lands, **names)


def test_what_cannot_be_read_is_refused() -> None:
    deep = "a = " + "-" * 20_000 + "1"
    assert "nesting so deep" in forbidden(deep, before=deep)


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
    again.restore(json.loads(json.dumps(desk.to_json())))  # as in a web process that was started again
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
    assert change_as_diff(text, (("/node/a/b", (value,)),), "a\nb\n").endswith(end)


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
    assert sorted(restoring_messages(touched, VALUES, macros)) == [(path, (VALUES[path],)) for path in back]


@pytest.mark.parametrize(("text", "patch"), [(HEAD, "band"), ("patch(", ""), ("x = 1", ""), ("patch(a)", "")])
def test_the_patch_is_read_without_running_the_script(text: str, patch: str) -> None:
    assert patch_of(text) == patch


def test_a_process_that_is_started_again_knows_what_its_servers_wrote(antiphon_home: Path) -> None:
    DeskMemory("switches").write(mode="off", locked=["beat"])
    other = antiphon_home / "run" / "mcp-1-never-switches.json"
    other.write_text("{}")
    assert DeskMemory("switches").read() == {"mode": "off", "locked": ["beat"]}
    assert not other.exists(), "that of a server that has ended"


class SwitchRig:
    """Operations beside a performer, who `does` acts while control is asked for values."""

    def __init__(self, *does: str, mode: str = "ask") -> None:
        self.sent: list[str] = []
        self.told: list[str] = []
        self.does, self.mode = list(does), mode
        osc = SimpleNamespace()
        control = SimpleNamespace(
            osc=osc, nodes=self._nodes, status=self._status, scenes_and_macros=self._stored, send=self._send
        )
        performer = SimpleNamespace(playing="a", script=None, say=self._quiet, tell=self._quiet, run=self._quiet)
        live = (performer, SimpleNamespace(check=self._quiet))
        self.routes = McpRoutes(
            SimpleNamespace(serve=self._quiet, closing=[], live=live, control=control, ask=self._ask)  # type: ignore[arg-type]
        )
        self.routes._acts = SimpleNamespace(stop=self._quiet)  # type: ignore[assignment]
        self.routes._memory = SimpleNamespace(write=self._quiet)  # type: ignore[assignment]

    def ready(self) -> Proposal:
        desk = self.routes._desk
        made = desk.add(text="", lines=(("/node/a/b", (1.0,)),), base="a")
        desk.store_verdict(made, {"ok": True, "why": [], "peak": 0.0}, b"")
        return made

    async def land(self, proposal: Proposal) -> None:
        await self.routes.land(None, LandBody(id=proposal.id))  # type: ignore[arg-type]

    async def act(self, *acts: str) -> None:
        for act in acts:
            self.routes._heard("/cue", [f"mcp.{act}"])
        await asyncio.gather(*self.routes._work)

    async def _nodes(self) -> list[Any]:
        for act in self.does:
            self.routes._heard("/cue", [f"mcp.{act}"])
        self.does = []
        return []

    async def _status(self) -> dict[str, float]:
        return {"beat": 0.0, "tempo": 120.0}

    async def _ask(self, *asked: Any) -> list[str]:
        return [self.mode]

    async def _stored(self) -> dict[str, Any]:
        return {"macros": {}, "scenes": {}}

    def _send(self, address: str, *args: Any) -> None:
        if address == "/cue":
            self.told.append(str(args[0]))
        else:
            self.sent.append(address)

    def _quiet(self, *args: Any, **given: Any) -> None:
        pass


async def test_what_waits_is_not_replaced_and_lands_once() -> None:
    stage = SwitchRig()
    first, second = stage.ready(), stage.ready()
    await stage.land(first)
    with pytest.raises(Refusal, match="waits for the performer"):
        await stage.land(second)
    await stage.act("land", "land")
    assert (first.state, second.state, stage.sent) == ("landed", "ready", ["/at"])
    assert stage.told == ["mcp.did.asks", "mcp.did.landed"]


async def test_without_an_id_what_waits_lands_and_that_nothing_waits_is_said() -> None:
    said: list[str] = []
    stage = SwitchRig()
    stage.routes._live[0].say = said.append
    ready, waits = stage.ready(), stage.ready()
    await stage.act("land")
    assert (ready.state, said) == ("ready", ["co-performer: nothing waits to be landed"])
    await stage.land(waits)
    await stage.act("land")
    assert (ready.state, waits.state) == ("ready", "landed")


async def test_the_performer_lands_by_the_id() -> None:
    stage = SwitchRig(mode="on")
    first, second = stage.ready(), stage.ready()
    stage.routes._heard("/cue", ["mcp.land", second.id])
    await asyncio.gather(*stage.routes._work)
    await stage.act("did.landed", "land")
    assert (first.state, second.state) == ("ready", "landed")


@pytest.mark.parametrize("act", ["veto", "is.off", "is.hold"])
async def test_an_act_while_it_lands_stops_it(act: str) -> None:
    stage = SwitchRig(act, mode="on")
    proposal = stage.ready()
    with pytest.raises(Refusal, match="changed something meanwhile"):
        await stage.land(proposal)
    assert (proposal.state, stage.sent) == ("dropped", [])


async def test_its_undo_is_refused_where_the_performer_holds_and_the_performers_own_is_not() -> None:
    stage = SwitchRig(mode="on")
    proposal = stage.ready()
    await stage.land(proposal)
    stage.mode = "hold"
    with pytest.raises(Refusal, match="hold"):
        await stage.routes.undo(None)  # type: ignore[arg-type]
    await stage.act("undo")
    assert proposal.state == "undone"


async def test_an_undo_that_control_refuses_can_be_asked_for_again() -> None:
    stage = SwitchRig(mode="on")
    proposal = stage.ready()
    await stage.land(proposal)
    nodes, stage.routes._control.nodes = stage.routes._control.nodes, AsyncMock(side_effect=Refusal(503, "it is busy"))
    with pytest.raises(Refusal, match="busy"):
        await stage.routes.undo(None)  # type: ignore[arg-type]
    assert proposal.state == "landed"
    stage.routes._control.nodes = nodes
    await stage.act("undo")
    assert (proposal.state, stage.told[-1]) == ("undone", "mcp.did.undone")


async def test_a_mode_that_control_tells_is_not_sent_back() -> None:
    stage = SwitchRig()
    await stage.act("is.off", "is.on", "off")
    assert (stage.sent, stage.routes._desk.mode) == (["/mcp/off"], "off")


async def test_a_rehearsal_that_fails_is_a_verdict(caplog: pytest.LogCaptureFixture) -> None:
    stage = SwitchRig()
    proposal = stage.ready()
    stage.routes._judged[proposal.id] = judged = asyncio.Event()
    await stage.routes._rehearse(proposal)  # its stand-in for control has no graph
    assert judged.is_set()
    assert (proposal.state, proposal.why) == ("refused", ["it could not be rehearsed; the server's log says why"])


async def test_a_capture_that_nobody_takes_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "library_folder", lambda: tmp_path)
    monkeypatch.setattr(addresses, "EXPIRY_SECONDS", 0.01)
    written: list[Path] = []

    async def capture(path: Path, node: str, bars: int) -> int:
        await asyncio.to_thread(path.write_bytes, b"RIFF")
        written.append(path)
        return 4 * bars

    request = SimpleNamespace(args=(2,), server=SimpleNamespace(capture=capture), reply=lambda *answered: None)
    await addresses.hear(request)  # type: ignore[arg-type]
    assert written
    await comes(lambda: not written[0].exists(), "it is removed")
    old, new = written[0], written[0].with_name(".hear-new.wav")
    for path in (old, new):
        path.write_bytes(b"RIFF")
    os.utime(old, (0.0, 0.0))
    monkeypatch.setattr(addresses, "EXPIRY_SECONDS", 60.0)
    addresses.PerformerSwitches().add_to(SimpleNamespace(add=lambda *_, **__: None))  # type: ignore[arg-type]
    await comes(lambda: not old.exists(), "so is what a server before has left")
    assert new.exists()
