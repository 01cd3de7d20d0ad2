"""Client of the stage process in the web process: kept warm, sequential, ended when idle."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from antiphon.api.backends.http import (
    HttpServer,
    Refusal,
)
from antiphon.api.backends.runtime import CHILD_FAULTS, Child, ChildLimits, spawn
from antiphon_mcp.desk import (
    Proposal,
)
from antiphon_mcp.route_types import patch_of

LIMITS = ChildLimits(nice=5)
"""Limits of the process: not the lowest priority, for a performer waits for the verdict."""
HEARD_BARS = 2
"""Bars of the input that a rehearsal repeats."""
MAX_WAITING = 4
"""Maximum number of waiting and running requests; further ones are refused."""
TIMEOUT_SECONDS = 180.0
"""Timeout of an answer in seconds: the process's own limit, plus its start on a busy machine."""
IDLE_SECONDS = 600.0
"""Seconds of idleness after which the process ends."""


class Rehearser:
    """Client of the stage process, which is started by the first request."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()
        self._process: Child | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self.waiting = 0

    async def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Returns the answer to a request. Raises Refusal: too many requests wait, or the process has ended."""
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
                process = self._process = spawn("antiphon_mcp.stage:main", limits=LIMITS)
            await asyncio.to_thread(process.send, asked)  # its pipe may be full until it has begun
            answer = await process.await_answer(TIMEOUT_SECONDS)
        except (*CHILD_FAULTS, asyncio.CancelledError) as error:
            await self.close()
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
            await asyncio.to_thread(process.close)


async def build_rehearsal_request(
    proposal: Proposal, server: HttpServer, control: Any, state: Mapping[str, Any], locked: Iterable[str]
) -> dict[str, Any]:
    """Builds the request to the stage process: the change, and the state it would apply to."""
    graph, stored, status = await control.graph(), await control.scenes_and_macros(), await control.status()
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
    """Path of a file with recent input; "" if the patch does not use it, or too little is stored."""
    if any(source.startswith("in.") for source, _ in wires):
        with contextlib.suppress(Refusal):
            return str((await server.ask("/mcp/hear", "/mcp/hear.reply", HEARD_BARS, "in"))[0])
    return ""
