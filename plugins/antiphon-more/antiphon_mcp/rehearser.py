"""Client of the stage process in the web process: kept warm, sequential, ended when idle."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from antiphon.api.backends.http import HttpServer, Refusal
from antiphon.api.backends.runtime import HELPER_FAULTS, HelperTask
from antiphon_mcp.desk import Proposal
from antiphon_mcp.route_types import patch_of

MODULE = "antiphon_mcp.stage"
HEARD_BARS = 2
"""Bars of the input that a rehearsal hears, again and again."""
MAX_WAITING = 4
"""Pieces of work that wait or are done; a further one is refused."""
TIMEOUT_SECONDS = 180.0
"""Seconds for an answer: those of the process's own limit, and of its start on a busy machine."""
IDLE_SECONDS = 600.0
"""Seconds of idleness after which the process ends."""


class Rehearser:
    """Client of the stage process, which is started by the first request."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()
        self._process: HelperTask | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self.waiting = 0

    async def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Answer to a request. Raises Refusal: too much waits, or the process has ended."""
        if self.waiting >= MAX_WAITING:
            raise Refusal(429, f"{MAX_WAITING} rehearsals wait already; try again", (("Retry-After", "5"),))
        self.waiting += 1
        try:
            async with self._one:
                return await self._asked(asked)
        finally:
            self.waiting -= 1

    async def _asked(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self._idle is not None:
            self._idle.cancel()
        process = self._process
        try:
            if process is None or process.ended:
                process = self._process = await HelperTask.start(MODULE)
            await process.send(asked)
            answer = await process.receive(TIMEOUT_SECONDS)
        except (*HELPER_FAULTS, TimeoutError, asyncio.CancelledError) as error:
            self._process = None
            if process is not None:
                await process.end()
            if isinstance(error, asyncio.CancelledError):
                raise
            raise Refusal(503, "the process that rehearses has ended; try again") from None
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end)
        return answer

    def _end(self) -> None:
        task = asyncio.get_running_loop().create_task(self.close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):
                await process.end()


async def request_of(
    proposal: Proposal, server: HttpServer, control: Any, state: Mapping[str, Any], locked: Iterable[str]
) -> dict[str, Any]:
    """The request to the stage process: the change, and the state into which it would come."""
    graph, stored, status = await control.graph(), await control.stored(), await control.status()
    values = {one.node.name: one.values for one in await control.nodes()}
    nodes = [{**one, "values": values.get(one["name"], {})} for one in graph["nodes"]]
    nodes += [{"name": end, "type": end, "values": values.get(end, {})} for end in ("in", "out")]
    known = {one["name"]: one for one in nodes}
    trial = {
        "text": proposal.text or proposal.base,
        "name": "page.py",
        "before": proposal.base,
        "beat": max(0.0, float(status["beat"]) - float(state["origin"])),
        "tempo": float(status["tempo"]) if proposal.base else None,
        "graph": {"patch": graph["patch"], "nodes": list(known.values()), "wires": graph["wires"], **stored},
        "lines": [json.dumps({"beat": 0, "address": path, "args": list(args)}) for path, args in proposal.lines],
        "locked": sorted(locked),
        "bars": proposal.bars,
    }
    patch = await asyncio.to_thread(patch_of, proposal.text or proposal.base)
    return {"do": "rehearse", "patch": patch, "trial": trial, "input": await _input(server, graph["wires"])}


async def _input(server: HttpServer, wires: Iterable[Sequence[str]]) -> str:
    """A file with what came in lately, "" where the patch does not hear it, or too little is kept."""
    if any(source.startswith("in.") for source, _ in wires):
        with contextlib.suppress(Refusal):
            return str((await server.ask("/mcp/hear", "/mcp/hear.reply", HEARD_BARS, "in"))[0])
    return ""
