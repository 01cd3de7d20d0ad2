"""A kept set, played again: the session log over the recorded input, through the engine's own stage.

On the same machine and build the result is the recording, sample for sample: misses are missed again,
an engine that died dies again. What the log does not hold is resynthesised.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.contract.block import Samples, StreamSpec
from antiphon.contract.catalog import Catalog
from antiphon.contract.processor import Processor
from antiphon.engine.action_schedule import ActionSchedule, Key
from antiphon.engine.graph_player import GraphPlayer
from antiphon.graph.clock import TempoMap
from antiphon.graph.compiler import close_hosts, compile_plan
from antiphon.graph.graph import Graph
from antiphon.graph.node_host import NodeHost
from antiphon.graph.plan import Plan
from antiphon.offline.session_reader import SessionLog, check_number, time_of
from antiphon.session.actions import ACTIONS, NodeNoteOff, NodeSet
from antiphon.session.commands import Sync
from antiphon.workers.pool import replaying


def replay(
    folder: Path,
    source: Iterator[Samples],
    catalog: Catalog,
    make: Callable[[str], Processor],
) -> Iterator[Samples]:
    """The set's output, block by block. source: the recorded input as float32 `[channels, frames]` of any size.

    Raises FileError naming the line of the log that cannot be played.
    """
    log = SessionLog(folder)
    spec, block = log.spec, log.spec.block
    waiting = deque(log.lines)
    stage = GraphPlayer(spec)
    plan: Plan | None = None
    made: list[Plan] = []

    def compiled(asked: dict[str, Any], before: Plan | None) -> Plan:
        unprepared = {int(number): str(reason) for number, reason in asked.get("unprepared", {}).items()}
        built = compile_plan(Graph.from_json(asked["graph"]), catalog, make, spec, asked["ids"], before, unprepared)
        made.append(built)
        return built

    def close_all() -> None:
        later: Mapping[int, NodeHost] = {}
        while made:
            hosts = made.pop().hosts
            close_hosts(hosts.values(), later)
            later = hosts

    sample = log.first
    with replaying():
        for x in rebuffered(source, spec.channels, block):
            end = sample + block
            while waiting and time_of(waiting[0][1]) < end:
                number, line = waiting.popleft()
                with log.line(number):
                    if "engine" in line:
                        close_all()
                        asked = line.get("load")
                        plan = None if asked is None else compiled(asked, None)
                        stage = begun(spec, line, plan)
                    elif "load" in line:
                        asked = line["load"]
                        plan = compiled(asked, plan)
                        stage.load(plan, asked["serial"], asked["fade"], asked["tempo"])
                    else:
                        _happen(line, stage, {} if plan is None else plan.hosts)
            if any(first <= sample < last for first, last in log.dead):
                if stage.sample < end:
                    stage.sample = end
                yield np.zeros((spec.channels, block), np.float32)
            else:
                y = stage.run(x)
                yield np.zeros_like(y) if sample in log.silent else y.copy()
            while stage.retired:
                gone = stage.retired.popleft().old
                made[:] = [kept for kept in made if kept is not gone]
                close_hosts(gone.hosts.values(), {} if plan is None else plan.hosts)
            sample = end
        close_all()


def _happen(line: dict[str, Any], stage: GraphPlayer, hosts: Mapping[int, NodeHost]) -> None:
    """What a line says of the coming block."""
    if line.get("leaving"):
        hosts = stage.leaving
    if "mark" in line:
        if line["node"] in hosts:
            hosts[line["node"]].runner.recall(line["mark"], line["number"])
    elif "op" in line:
        action = ACTIONS.from_line(line)
        if isinstance(action, NodeSet):
            known = stage.host(action.node)
            if known is not None and action.cell < len(known.cells):
                check_number(known.cells[action.cell], action.number)
        stage.at_sample(line["sample"], action)
    elif "failed" in line and line["failed"] in hosts:
        host = hosts[line["failed"]]
        if line.get("aside"):
            host.mark_failed(line["reason"])
        else:
            host.forced = line["reason"]


class _Happened(ActionSchedule):
    """What the log says took effect: a `/panic` before it in the same block dropped none of it, nor ended a note."""

    def clear(self, stays: int = 0) -> list[Sync]:
        return []

    def owed(self, sounding: Collection[Key], tempo: TempoMap, stays: int = 0) -> list[NodeNoteOff]:
        return []


def begun(spec: StreamSpec, line: dict[str, Any], plan: Plan | None) -> GraphPlayer:
    """A stage that goes on from an `engine` line of the log."""
    stage = GraphPlayer(spec)
    stage.schedule = _Happened()
    for number, host in (plan.hosts if plan is not None else {}).items():
        for cell, held in zip(host.cells, line["cells"][str(number)], strict=True):
            if cell.param.kind not in ("text", "file"):
                check_number(cell, held[0])
                check_number(cell, held[1])
    stage.resume(line, plan)
    return stage


def rebuffered(source: Iterator[Samples], channels: int, block: int) -> Iterator[Samples]:
    """The same sound in blocks of exactly `block` frames; an incomplete last one is dropped."""
    kept = np.zeros((channels, 0), np.float32)
    for part in source:
        kept = np.concatenate([kept, part[:channels]], axis=1)
        while kept.shape[1] >= block:
            yield kept[:, :block]
            kept = kept[:, block:]
