"""Operations of the co-performer: proposals, landing, and the performer's permissions.

The owner's token can also land a script by `POST /api/live/eval`; these operations land nothing without a rehearsal,
and obey the performer's switches.
"""

import asyncio
import base64
import contextlib
import logging
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from antiphon.api.backends.http import HttpRequest, HttpServer, Refusal, Response, operation
from antiphon.api.backends.transports import WireError
from antiphon.web.messages import MAX_VERSION as MAX_SCRIPT_VERSION
from antiphon.web.osc_socket import ValueSubscription as OscSubscription
from antiphon_mcp import route_types as types
from antiphon_mcp.desk import (
    CUE,
    DID,
    HALTED_MODES,
    MODE_PREFIX,
    MODES,
    OPEN_STATES,
    Desk,
    DeskMemory,
    LandingRefused,
    Message,
    Proposal,
    change_as_diff,
    restoring_messages,
    values_by_address,
)
from antiphon_mcp.rehearser import Rehearser, build_rehearsal_request
from antiphon_mcp.script_check import forbidden

log = logging.getLogger("antiphon.mcp")
SENDER = "co-performer"
"""Sender name of landed changes, as the page shows it."""
VERDICT_SECONDS = 20.0
"""Maximum seconds to wait for a verdict before the client has to ask again."""
MIN_LEAD_SECONDS = 0.25
"""Minimum seconds ahead at which values can still be scheduled on a beat."""
AFTER = 1 / 64
"""Beats between a change and an undo that was requested before it took effect."""
SOON = 0.25
"""Grid in beats on which an undo takes effect: within a beat, even if its request takes part of it."""
LONGEST_TOLD = 1000
"""Maximum characters of an action in the log of a session."""


class McpRoutes:
    """Operations of the co-performer.

    Nothing is started or subscribed to before the first operation, unless an earlier web process had them in use.
    """

    def __init__(self, server: HttpServer) -> None:
        self._server, self._rehearser, self._desk = server, Rehearser(), Desk()
        self._acts: OscSubscription | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._judged: dict[str, asyncio.Event] = {}
        self._memory = DeskMemory("desk")
        server.serve(self)
        server.closing.append(self._close)
        if known := self._memory.read():
            self._desk.restore(known["proposals"])
            self._begin(self._await_reporting_refusal(self._join()))

    async def _close(self) -> None:
        if self._acts is not None:
            self._acts.stop()
        for task in list(self._work):
            task.cancel()
        await self._rehearser.close()

    @operation("GET", "/api/mcp", types.Coperformer, level=types.OWNER)
    async def state(self, request: HttpRequest) -> object:
        """What the performer allows the co-performer, and the waiting proposals."""
        await self._join()
        return self._desk.plain()

    @operation(
        "POST", "/api/mcp/propose", types.Proposed, 202,
        example={"body": {"script": 'from antiphon.live import *\n\npatch("band")\ntrack("a", "bd*4")\n', "bars": 2}},
    )  # fmt: skip
    async def propose(self, request: HttpRequest, body: types.ProposeBody) -> object:
        """Rehearse a change unheard: a script, lines of it, values, or a scene."""
        self._check(request)
        await self._join()
        if self._desk.mode == "off" and not body.own:
            raise Refusal(409, "the performer has switched the co-performer off")
        base = self._performer.playing
        if base is None:
            raise Refusal(409, "the text of what plays is not known here; have the performer run it again")
        text, lines = types.change_of(body, base)
        if not (body.trusted or body.own) and (reason := await asyncio.to_thread(forbidden, text, base)):
            raise Refusal(422, reason)
        diff = await asyncio.to_thread(change_as_diff, text, lines, base)
        proposal = self._desk.add(text=text, lines=lines, base=base, bars=body.bars, own=body.own, diff=diff)
        self._report_act("proposes", proposal.mark)
        self._judged[proposal.id] = asyncio.Event()
        self._begin(self._rehearse(proposal))
        return proposal.plain()

    @operation("GET", "/api/mcp/proposals/{id}", types.Proposed, level=types.OWNER, example={"id": "0123456789ab"})
    async def proposal(self, request: HttpRequest, id: str) -> object:
        """A proposal; waits for its verdict, at most 20 s."""
        proposal = self._known(id)
        if proposal.id in self._judged:
            try:
                await asyncio.wait_for(self._judged[proposal.id].wait(), VERDICT_SECONDS)
            except TimeoutError:
                pass  # the answer says that it is still rehearsed
        return proposal.plain()

    @operation("GET", "/api/mcp/proposals/{id}/picture", bytes, level=types.OWNER, example={"id": "0123456789ab"})
    async def picture(self, request: HttpRequest, id: str) -> Response:
        """The spectrogram of a proposal, as PNG."""
        proposal = self._known(id)
        if not proposal.picture:
            raise Refusal(404, "no sound came of its rehearsal")
        return Response(200, proposal.picture, "image/png")

    @operation("POST", "/api/mcp/land", types.Proposed, example={"body": {"id": "0123456789ab"}})
    async def land(self, request: HttpRequest, body: types.LandBody) -> object:
        """Land a rehearsed proposal, on the next multiple of `quantum` beats."""
        self._check(request)
        await self._join()
        proposal = self._known(body.id)
        self._allowed(proposal, trusted=body.trusted)
        others = [one for one in self._desk.proposals.values() if one.state in OPEN_STATES]
        if self._desk.mode == "ask" and others:  # the performer's Land means what was shown
            raise Refusal(409, "a change waits for the performer's Land or Veto already")
        proposal.quantum = body.quantum
        if self._desk.mode == "ask":
            proposal.state = "waiting"
            self._report_act("asks", proposal.mark)
            self._performer.say("the co-performer asks: Land or Veto")
        else:
            await self._land(proposal)
        self._tell()
        return proposal.plain()

    @operation("POST", "/api/mcp/undo", types.Proposed)
    async def undo(self, request: HttpRequest) -> object:
        """Undo the co-performer's last change, within a beat."""
        self._check(request)
        await self._join()
        if (mode := self._desk.mode) in HALTED_MODES:
            raise Refusal(409, f"the performer has set the co-performer to {mode}; nothing changes by it")
        return (await self._undo()).plain()

    @operation("POST", "/api/mcp/say", types.Said, example={"body": {"text": "I come in at bar 8."}})
    async def say(self, request: HttpRequest, body: types.SayBody) -> object:
        """Show a line on the page, below the script."""
        self._check(request)
        line = "".join(letter if letter.isprintable() else " " for letter in body.text)
        self._performer.say(f"{SENDER}: {line}")
        self._report_act("says", line)
        return {"said": line}

    @operation("POST", "/api/mcp/hear", types.Heard, example={"body": {"bars": 1}})
    async def hear(self, request: HttpRequest, body: types.HearBody) -> object:
        """Analyse the last bars of a node, the input or the output."""
        name, beats = await self._server.ask("/mcp/hear", "/mcp/hear.reply", body.bars, body.node)
        path = Path(str(name))
        try:
            found = await self._rehearser.ask({"do": "hear", "path": str(path)})
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        if "fault" in found:
            raise Refusal(422, str(found["fault"]).replace(str(path), "what sounds"))
        return {"node": body.node, "beats": beats, **found["heard"], "picture": found["picture"]}

    async def _rehearse(self, proposal: Proposal) -> None:
        asked: dict[str, Any] = {}
        try:
            asked = await build_rehearsal_request(
                proposal, self._server, self._control, self._performer.state, self._desk.locked
            )
            found = await self._rehearser.ask(asked)
            picture = base64.b64decode(found["picture"]) if "verdict" in found else b""
        except Refusal as refusal:
            found = {"fault": str(refusal)}
        except Exception:
            log.exception("co-performer: %s could not be rehearsed", proposal.id)
            found = {"fault": "it could not be rehearsed; the server's log says why"}
        finally:
            if heard := asked.get("input"):
                await asyncio.to_thread(Path(heard).unlink, missing_ok=True)
            self._judged.pop(proposal.id).set()  # who waits for it goes on after what follows
        if "fault" in found:
            why = [str(found["fault"]), *filter(None, [found.get("picture", "")])]
            self._desk.store_verdict(proposal, {"ok": False, "why": why}, b"")
        else:
            self._desk.store_verdict(proposal, found["verdict"], picture)
        self._report_act(proposal.state, "; ".join((proposal.mark, *proposal.why)))
        self._tell()

    async def _land(self, proposal: Proposal) -> None:
        """Lands a proposal, unless the performer stops it meanwhile. Raises Refusal: it cannot land."""
        before, mode, proposal.state = proposal.state, self._desk.mode, "landing"
        try:
            macros = (await self._control.scenes_and_macros())["macros"]
            values, status = await self._values()
            if self._desk.mode in HALTED_MODES and self._desk.mode != mode:
                proposal.state = "dropped"
            if proposal.state != "landing" or self._performer.playing != proposal.base:
                raise Refusal(409, "the performer has changed something meanwhile; it does not land")
            if proposal.text:
                state, new = self._performer.state, 1 + secrets.randbelow(MAX_SCRIPT_VERSION)
                proposal.replaced = {"text": proposal.base, **{one: state[one] for one in ("version", "name", "by")}}
                script = {"text": proposal.text, "version": new, "name": SENDER, "by": SENDER}
                self._performer.run(script, proposal.quantum, keep=True)
            touched = [*(path for path, _ in proposal.lines), *proposal.figures.get("sets", ())]
            proposal.back = restoring_messages(touched, values, macros)
            proposal.at = self._at(proposal.lines, proposal.quantum or 1.0, status)
            proposal.state = "landed"
        finally:
            if proposal.state == "landing":
                proposal.state = before
        self._desk.landed.append(proposal)
        where = f"next multiple of {proposal.quantum:g} beats" if proposal.quantum else "next bar"
        self._report_act("landed", f"{proposal.mark} on the {where}")
        self._performer.say(f"the co-performer's change lands ({proposal.mark})")

    async def _undo(self) -> Proposal:
        present, status = await self._values()  # before anything changes: control may refuse
        if not self._desk.landed:
            raise Refusal(409, "nothing of the co-performer's is there to undo")
        proposal = self._desk.landed[-1]
        if proposal.text:
            if self._performer.script is None or self._performer.script["text"] != proposal.text:
                raise Refusal(409, "the set has changed since the co-performer's change; undo it by hand")
            if proposal.base:
                self._performer.run(proposal.replaced, SOON, back=True)
            else:
                self._performer.stop()
        self._desk.landed.remove(proposal)
        proposal.state = "undone"
        if proposal.text:
            # until the script is back, that of the change may set them again
            for later in (0.0, 1.0):
                self._at(proposal.back, SOON, status, later)
        elif float(status["beat"]) < proposal.at:  # its lines wait for their beat
            for path, args in proposal.back:
                self._control.send("/at", proposal.at + AFTER, path, *args)
        else:
            changed = [(path, args) for path, args in proposal.back if present.get(path) != args[0]]
            # a macro that goes back moves what is as before
            for path, args in proposal.back if any(path.startswith("/macro/") for path, _ in changed) else changed:
                self._control.send(path, *args)
        self._report_act("undone", proposal.mark)
        self._performer.say("the co-performer's change is undone")
        self._tell()
        return proposal

    def _at(self, lines: Iterable[Message], quantum: float, status: dict[str, Any], later: float = 0.0) -> float:
        """Schedules messages on the next multiple of `quantum` beats, or `later`; returns that beat."""
        soon = float(status["beat"]) + MIN_LEAD_SECONDS * float(status["tempo"]) / 60.0
        beat = -(-soon // quantum) * quantum + later
        for path, args in lines:
            self._control.send("/at", beat, path, *args)
        return beat

    async def _values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Values by address, and the status read after them."""
        nodes = [(one.node.name, one.values) for one in await self._control.nodes()]
        status = await self._control.status()
        return values_by_address(nodes, float(status["tempo"])), status

    async def _join(self) -> None:
        """Subscribes to the performer's actions and reads the settings, as control may get an action earlier."""
        if self._acts is None:
            self._acts = OscSubscription(self._control.osc, self._heard)
            self._acts.start()
        await self._read_state()

    async def _read_state(self) -> None:
        mode, *locked = await self._server.ask("/mcp/state", "/mcp/state.reply")
        if mode == "off":
            self._desk.drop()
        self._desk.mode, self._desk.locked = str(mode), frozenset(map(str, locked))
        self._tell()

    def _heard(self, address: str, args: Iterable[Any]) -> None:
        name, *what = (*map(str, args), "")
        act = name.removeprefix(CUE)
        if address != "/cue" or not name.startswith(CUE) or act.startswith(DID):
            return
        log.info("co-performer: the performer says %s", act)
        if act in MODES:  # a pad's: control keeps the mode, and is to know
            self._control.send(f"/mcp/{act}")
        act = act.removeprefix(MODE_PREFIX)
        if act in MODES:
            self._desk.mode = act
        if act in ("veto", "off"):
            self._desk.drop()
        elif act == "undo":
            self._begin(self._await_reporting_refusal(self._undo()))
        elif act == "land":
            self._begin(self._await_reporting_refusal(self._accept(what[0])))
        elif act in ("locked", "unlocked"):
            self._begin(self._read_state())
        self._tell()

    async def _accept(self, id: str) -> None:
        """Lands the waiting proposal, or the one with that ID, as the performer decided."""
        chosen = self._known(id) if id else self._desk.waiting
        if chosen is None:
            raise Refusal(409, "nothing waits to be landed")
        if chosen.state != "waiting":
            self._allowed(chosen, trusted=False)
        elif self._performer.playing != chosen.base:
            self._desk.drop()
            raise Refusal(409, "the set has changed since it was rehearsed; what waited is dropped")
        await self._land(chosen)
        self._tell()

    async def _await_reporting_refusal(self, work: Any) -> None:
        try:
            await work
        except Refusal as refusal:
            self._performer.say(f"co-performer: {refusal}")

    def _report_act(self, act: str, what: str) -> None:
        """Reports an action of the co-performer to the server's log, and as a cue to the log of a recorded session."""
        log.info("co-performer: %s: %s", act, what)
        with contextlib.suppress(WireError):  # nothing depends on it
            self._control.send("/cue", f"{CUE}{DID}{act}", what[:LONGEST_TOLD])

    def _tell(self) -> None:
        self._performer.tell("coperformer", self._desk.plain())
        self._memory.write(proposals=self._desk.to_json())

    @property
    def _performer(self) -> Any:
        return self._live[0]

    @property
    def _live(self) -> tuple[Any, Any]:
        if self._server.live is None:
            raise Refusal(503, "this server has no live scripts")
        return self._server.live

    @property
    def _control(self) -> Any:
        if self._server.control is None:
            raise Refusal(503, "no server is here to be asked")
        return self._server.control

    def _check(self, request: HttpRequest) -> None:
        """Raises Refusal: the server evaluates nothing, or not for this client."""
        self._live[1].check(request)

    def _known(self, id: str) -> Proposal:
        if id not in self._desk.proposals:
            raise Refusal(404, f"there is no proposal {id[:20]!r}; propose gives the ID; of many the oldest is dropped")
        return self._desk.proposals[id]

    def _allowed(self, proposal: Proposal, *, trusted: bool) -> None:
        try:
            self._desk.check(proposal, self._performer.playing, trusted=trusted)
        except LandingRefused as refused:
            raise Refusal(409, str(refused)) from None

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
