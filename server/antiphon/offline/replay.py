"""Replay of a recorded session: applies the log to the recorded input, with the engine's graph player.

On the same machine and build the result equals the recording sample for sample: missed blocks are missed again, and an
engine crash restarts at the same sample. Everything not in the log is computed again.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec, missed_fall
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.engine.action_schedule import ActionSchedule, Key
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.graph.clock import TempoMap
from antiphon.kernel.graph.compiler import close_hosts, compile_plan
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.session.actions import ACTIONS, NodeNoteOff, NodeSet
from antiphon.kernel.session.commands import Sync
from antiphon.networks.lockstep import replaying
from antiphon.offline.replayed_tracks import ReplayedTracks
from antiphon.offline.session_reader import SessionLog, check_number, time_of


def replay(
    folder: Path,
    source: Iterator[Samples],
    catalog: Catalog,
    make: Callable[[str], Processor],
    tracks: ReplayedTracks | None = None,
) -> Iterator[Samples]:
    """Replays a session's folder with the recorded input, float32 `[channels, frames]`; the output `[channels, block]`.

    `tracks`: takes what each strip adds to it.

    Raises FileError: a line of the log, which it names, cannot be replayed.
    """
    log = SessionLog(folder)
    spec, block = log.spec, log.spec.block
    waiting, engine = deque(log.lines), _ReplayedEngine(spec, catalog, make)
    fall, last = missed_fall(block, spec.rate), np.zeros((spec.channels, 1), np.float32)
    sample = log.first
    with replaying():
        for x in rebuffer(source, spec.channels, block):
            end = sample + block
            while waiting and time_of(waiting[0][1]) < end:
                number, line = waiting.popleft()
                with log.line(number):
                    engine.take(line)
            player = engine.player
            if any(first <= sample < last for first, last in log.dead):
                if player.sample < end:
                    player.skip(end - player.sample)
                if tracks is not None:
                    tracks.skip(block)
                y = np.zeros((spec.channels, block), np.float32)
                y[:, : fall.size] = last * fall
            else:
                player.strips.keep(tracks is not None)
                y = player.run(x)
                if tracks is not None:
                    tracks.keep(player, sample, x, y)
                if sample in log.silent:
                    player.rise_again()
                    y = np.zeros_like(y)
                    y[:, : fall.size] = last * fall
            last = y[:, -1:].copy()
            yield y.copy()
            engine.close_retired()
            sample = end
        engine.close()


class _ReplayedEngine:
    """The player of a replay, with the plans whose nodes are open."""

    def __init__(self, spec: StreamSpec, catalog: Catalog, make: Callable[[str], Processor]) -> None:
        self._spec, self._catalog, self._make = spec, catalog, make
        self.player = GraphPlayer(spec)
        self._plan: Plan | None = None
        self._plans: list[Plan] = []

    def take(self, line: dict[str, Any]) -> None:
        """Applies a line of the log, before the block in which it took effect."""
        if "engine" in line:
            self.close()
            request = line.get("load")
            self._plan = None if request is None else self._compiled(request, None)
            self.player = resumed_player(self._spec, line, self._plan)
        elif "load" in line:
            request = line["load"]
            self._plan = plan = self._compiled(request, self._plan)
            self.player.load(plan, request["serial"], request["fade"], request["tempo"], request.get("tail", 0.0))
        else:
            _apply(line, self.player, {} if self._plan is None else self._plan.hosts)

    def close(self) -> None:
        """Closes the nodes of all plans."""
        later: Mapping[int, NodeHost] = {}
        while self._plans:
            hosts = self._plans.pop().hosts
            close_hosts(hosts.values(), later)
            later = hosts

    def close_retired(self) -> None:
        """Closes the nodes of plans that have faded out."""
        while self.player.retired:
            retired = self.player.retired.popleft().old
            self._plans[:] = [other for other in self._plans if other is not retired]
            close_hosts(retired.hosts.values(), {} if self._plan is None else self._plan.hosts)

    def _compiled(self, request: dict[str, Any], before: Plan | None) -> Plan:
        unprepared = {int(number): str(reason) for number, reason in request.get("unprepared", {}).items()}
        graph = Graph.from_json(request["graph"])
        self._plans.append(
            compile_plan(graph, self._catalog, self._make, self._spec, request["ids"], before, unprepared)
        )
        return self._plans[-1]


def _apply(line: dict[str, Any], player: GraphPlayer, hosts: Mapping[int, NodeHost]) -> None:
    if line.get("leaving"):
        hosts = player.leaving
    if "latency" in line:
        player.time.latency = line["latency"]
    elif "mark" in line:
        if line["node"] in hosts:
            hosts[line["node"]].runner.recall(line["mark"], line["number"])
    elif "op" in line:
        action = ACTIONS.from_line(line)
        if isinstance(action, NodeSet):
            known = player.host(action.node)
            if known is not None and action.cell < len(known.cells):
                check_number(known.cells[action.cell], action.number)
        player.at_sample(line["sample"], action)
    elif "failed" in line and line["failed"] in hosts:
        host = hosts[line["failed"]]
        if line.get("aside"):
            host.mark_failed(line["reason"])
        else:
            host.forced = line["reason"]


class _LoggedSchedule(ActionSchedule):
    """Schedule that drops nothing: the log holds only actions that took effect, also after a `/panic`."""

    def clear(self, keep_from: int = 0) -> list[Sync]:
        return []

    def unended(self, sounding: Collection[Key], tempo: TempoMap, keep_from: int = 0) -> list[NodeNoteOff]:
        return []


def resumed_player(spec: StreamSpec, line: dict[str, Any], plan: Plan | None) -> GraphPlayer:
    """A graph player with the state in an `engine` line of the log. Raises ValueError for an invalid number."""
    player = GraphPlayer(spec)
    player.schedule = _LoggedSchedule()
    for number, host in (plan.hosts if plan is not None else {}).items():
        for cell, state in zip(host.cells, line["cells"][str(number)], strict=True):
            if cell.param.kind not in ("text", "file"):
                check_number(cell, state[0])
                check_number(cell, state[1])
    player.resume(line, plan)
    return player


def rebuffer(source: Iterator[Samples], channels: int, block: int) -> Iterator[Samples]:
    """Re-blocks sound into `[channels, block]`; an incomplete last block is dropped."""
    pending = np.zeros((channels, 0), np.float32)
    for part in source:
        pending = np.concatenate([pending, part[:channels]], axis=1)
        while pending.shape[1] >= block:
            yield pending[:, :block]
            pending = pending[:, block:]
