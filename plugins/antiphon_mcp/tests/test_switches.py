"""The performer's switches against what lands meanwhile; the server and its control are stand-ins."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from tests.waiting import comes

from antiphon.api.backends.http import Refusal
from antiphon_mcp import addresses
from antiphon_mcp.desk import Proposal
from antiphon_mcp.route_types import LandBody
from antiphon_mcp.routes import McpRoutes


class SwitchRig:
    """Operations beside a performer, who `does` acts while control is asked for values."""

    def __init__(self, *does: str, mode: str = "ask") -> None:
        self.sent: list[str] = []
        self.told: list[str] = []
        self.does, self.mode = list(does), mode
        osc = SimpleNamespace()
        control = SimpleNamespace(osc=osc, nodes=self._nodes, status=self._status, stored=self._stored, send=self._send)
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
        desk.judged(made, {"ok": True, "why": [], "peak": 0.0}, b"")
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
