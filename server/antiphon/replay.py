"""A kept set, played again: the session log over the recorded input, through the engine's own stage.

On the same machine and build the result is the recording, sample for sample: misses are missed again,
an engine that died dies again. What the log does not hold is resynthesised.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.block import Samples, StreamSpec
from antiphon.catalog import Catalog
from antiphon.clock import TempoMap
from antiphon.engine.journal import to_action
from antiphon.engine.schedule import Action, Key, Schedule
from antiphon.engine.stage import Stage
from antiphon.errors import FileError
from antiphon.graph import Graph
from antiphon.host import NodeHost
from antiphon.plan import Plan
from antiphon.planning import close_hosts, compile_plan
from antiphon.processor import Processor
from antiphon.workers.pool import replaying

LOG, INPUT = "session.jsonl", "input.wav"
MAX_LOG_BYTES = 1 << 30


class SessionLog:
    """A session's header and lines. Raises FileError naming the line that makes no sense."""

    def __init__(self, folder: Path) -> None:
        path = folder / LOG
        if not path.is_file():
            raise FileError(f"{folder} holds no {LOG}; name a folder that `serve --session` kept")
        if path.stat().st_size > MAX_LOG_BYTES:
            raise FileError(f"{path} is larger than {MAX_LOG_BYTES >> 20} MB")
        self.lines: list[dict[str, Any]] = []
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, text in enumerate(file, 1):
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError):
                    if not text.endswith("\n"):
                        break  # the server died while it wrote this
                    raise FileError(f"{path}, line {number}: not JSON") from None
                if not isinstance(line, dict):
                    raise FileError(f"{path}, line {number}: not an object")
                self.lines.append(line)
        if not self.lines or self.lines[0].get("session") != 1:
            raise FileError(f"{path} is no session log of this version; its first line must say session 1")
        self.header = self.lines.pop(0)
        try:
            self.spec = StreamSpec(int(self.header["rate"]), int(self.header["block"]), int(self.header["channels"]))
            while self.lines and "engine" not in self.lines[0]:
                self.lines.pop(0)  # of the set before it
            self.first = int(self.lines[0]["sample"]) if self.lines else 0
            self._spans()
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(f"{path}: a line lacks what it needs: {error!r}") from None

    def _spans(self) -> None:
        self.silent: set[int] = set()
        self.dead: list[tuple[int, int]] = []
        for line in self.lines:
            if "unheard" in line:
                self.silent.add(line["unheard"])
            elif "missed" in line:
                first, last = line["missed"]
                self.dead.append((int(first), int(last)))
            elif line.get("engine") == "started":
                self.dead.append((int(line["died"]), int(line["sample"])))


def replay(
    folder: Path,
    source: Iterator[Samples],
    catalog: Catalog,
    make: Callable[[str], Processor],
) -> Iterator[Samples]:
    """The set's output, block by block. source: the recorded input as float32 `[channels, frames]` of any size."""
    log = SessionLog(folder)
    spec, block = log.spec, log.spec.block
    lines = iter(log.lines)
    line = next(lines, None)
    stage = Stage(spec)
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
            while line is not None and _time_of(line) < end:
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
                line = next(lines, None)
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


def _happen(line: dict[str, Any], stage: Stage, hosts: Mapping[int, NodeHost]) -> None:
    """What a line says of the coming block."""
    if line.get("leaving"):
        hosts = stage.leaving
    if "mark" in line:
        if line["node"] in hosts:
            hosts[line["node"]].processor.recall(line["mark"], line["number"])
    elif "op" in line:
        stage.at_sample(line["sample"], to_action(line))
    elif "failed" in line and line["failed"] in hosts:
        host = hosts[line["failed"]]
        if line.get("aside"):
            host.stand_aside(line["reason"])
        else:
            host.forced = line["reason"]


class _Happened(Schedule):
    """What the log says took effect: a `/panic` before it in the same block dropped none of it, nor ended a note."""

    def clear(self, stays: int = 0) -> list[Action]:
        return []

    def owed(self, sounding: Collection[Key], tempo: TempoMap, stays: int = 0) -> list[Action]:
        return []


def begun(spec: StreamSpec, line: dict[str, Any], plan: Plan | None) -> Stage:
    """A stage that goes on from an `engine` line of the log."""
    stage = Stage(spec)
    stage.schedule = _Happened()
    stage.resume(line, plan)
    return stage


def _time_of(line: dict[str, Any]) -> int:
    if "missed" in line:
        return int(line["missed"][0])
    return int(line.get("sample", line.get("unheard", 0)))


def rebuffered(source: Iterator[Samples], channels: int, block: int) -> Iterator[Samples]:
    """The same sound in blocks of exactly `block` frames; an incomplete last one is dropped."""
    kept = np.zeros((channels, 0), np.float32)
    for part in source:
        kept = np.concatenate([kept, part[:channels]], axis=1)
        while kept.shape[1] >= block:
            yield kept[:, :block]
            kept = kept[:, block:]
