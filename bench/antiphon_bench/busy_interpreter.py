"""Blocks that the engine's loop misses beside a thread that keeps the interpreter's lock, as a loader that parses does.

The loop plays a chain over the software clock: once as it is, once with a node that only the interpreter can run.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from typing import Any

from antiphon.api import IO, Processor, StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.engine.drivers.base import DriverOptions
from antiphon.kernel.engine.drivers.headless import Headless
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.loop import EngineLoop, NextPlan
from antiphon.kernel.engine.shared import HeaderWord, MappingShape, Shared
from antiphon.kernel.graph.compiler import close_hosts, compile_plan
from antiphon.kernel.graph.graph import IN, OUT, End, Graph, NodeSpec, Wire
from antiphon.kernel.native import compile_all
from antiphon.kernel.plugins import loader
from antiphon.kernel.plugins.checks import inspect_processor

RATE, BLOCK = 48000, 64
HELD_SECONDS, FREE_SECONDS = 0.010, 0.001
TYPES = ("gain", "filter", "delay", "compressor")


class NumpyNode(Processor):
    """Passes its input, by numpy."""

    def process(self, io: IO) -> None:
        io.audio_out[0][:] = io.audio_in[0]


def busy_rows(loaded: loader.Loaded, seconds: float) -> list[dict[str, Any]]:
    """Blocks played, missed and late, and the mean share of a block, of each loop, alone and beside that thread."""
    compile_all()  # as a server does before its first block
    rows = []
    for node in ("machine code", "a numpy node"):
        for beside in ("nothing", "a thread that keeps the lock"):
            rows.append({"chain": node, "beside": beside, **_play(loaded, node, beside != "nothing", seconds)})
    return rows


def _play(loaded: loader.Loaded, last: str, busy: bool, seconds: float) -> dict[str, Any]:
    types = {**loaded.catalog.types, "numpy": inspect_processor("numpy", NumpyNode, "", "bench", play=False)}
    kinds = TYPES if last == "machine code" else (*TYPES[:-1], "numpy")
    ends = [End(IN, IN), *(End(kind, "out") for kind in kinds)]
    into = [*(End(kind, "in") for kind in kinds), End(OUT, OUT)]
    graph = Graph(
        tuple(NodeSpec(kind, kind) for kind in kinds), tuple(Wire(a, b) for a, b in zip(ends, into, strict=True))
    )
    spec = StreamSpec(RATE, BLOCK, 2)
    ids = {kind: place + 1 for place, kind in enumerate(kinds)}
    plan = compile_plan(
        graph, Catalog(types), lambda kind: NumpyNode() if kind == "numpy" else loaded.make(kind), spec, ids
    )
    shared, bell = Shared.create(MappingShape.of(RATE, BLOCK, 2)), os.eventfd(0, os.EFD_NONBLOCK)
    signals, signalling = os.pipe2(os.O_NONBLOCK)
    driver, ending = Headless(DriverOptions(RATE, BLOCK, 2)), list[int]()
    loop = EngineLoop(GraphPlayer(spec), driver, shared, bell)
    loop.next_plan = NextPlan(plan, 1, 0.0, 0.0, b"{}")
    driver.start(0, time.monotonic_ns())
    loop.begin(0, 0)
    thread = threading.Thread(target=loop.run, args=(ending, signals))
    thread.start()
    hold, until = ctypes.PyDLL(None).usleep, time.monotonic() + seconds
    while time.monotonic() < until:
        if busy:
            hold(round(HELD_SECONDS * 1e6))
        time.sleep(FREE_SECONDS)
    ending.append(1)
    os.write(signalling, b"x")
    thread.join()
    words, load = shared.words, shared.floats[HeaderWord.LOAD_MEAN]
    counts = {"blocks": words[HeaderWord.BLOCKS], "missed": words[HeaderWord.MISSED_BLOCKS]}
    result = {**counts, "late": words[HeaderWord.LATE_BLOCKS], "load": load}
    close_hosts(plan.hosts.values(), {})
    for descriptor in (bell, signals, signalling, shared.fd):
        os.close(descriptor)
    return result
