"""Cost of a node in a plan, beside pedalboard: chains of 64 less a chain of one, and shipped patches.

Both chains are run block by block, in turn, in one process; an effect's parameters rest, as they mostly do. The time is
that of the process, which another one on the machine does not add to. What lies between two nodes is `gain`'s row: its
own work is a multiplication a sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from antiphon.api import BlockTime, StreamSpec, Value
from antiphon.api.backends.rendering import Loaded, load_plugins
from antiphon.kernel.graph.compiler import close_hosts, compile_plan
from antiphon.kernel.graph.graph import IN, OUT, End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.patch import load as load_patch
from antiphon.kernel.graph.plan import Plan
from antiphon_bench.report import finish, table

RATE = 48000
BLOCKS = (64, 256)
LENGTH = 64
"""Nodes of a chain."""
ROUNDS = 20
WARM_UP_BLOCKS = 100
"""Untimed warm-up blocks."""
PATCHES = ("answer", "band", "desk", "dub", "techno")


def peers(pedalboard: Any) -> dict[str, tuple[Callable[[], Any], Mapping[str, Value]]]:
    """Our types by row, what makes pedalboard's effect of that kind, and our values where they are not the defaults."""
    p = pedalboard
    return {
        "gain": (lambda: p.Gain(-6.0), {"gain": 0.5}),
        "filter": (lambda: p.LowpassFilter(1000.0), {}),
        "delay": (lambda: p.Delay(0.35, 0.35, 1.0), {}),
        "compressor": (lambda: p.Compressor(-20.0, 4.0, 5.0, 100.0), {}),
        "gate": (lambda: p.NoiseGate(-45.0, 10.0, 1.0, 50.0), {}),
        "bitcrush": (lambda: p.Bitcrush(8.0), {}),
        "drive": (lambda: p.Distortion(12.0), {}),
        "drive, oversampling 1": (lambda: p.Distortion(12.0), {"oversampling": "1"}),
        "chorus": (lambda: p.Chorus(), {}),
        "phaser": (lambda: p.Phaser(), {}),
        "reverb": (lambda: p.Reverb(), {}),
    }


def main(seconds: float, seed: int) -> None:
    """Runs the bench."""
    pedalboard: Any = import_module("pedalboard")  # its types do not say what it exports
    loaded = load_plugins(check=False)
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for block in BLOCKS:
        x = rng.normal(0.0, 0.1, (2, block)).astype(np.float32)
        spec = StreamSpec(RATE, block, 2)
        for kind, (make, values) in peers(pedalboard).items():
            plans = [compile_chain(loaded, kind.partition(",")[0], count, spec, values) for count in (LENGTH, 1)]
            boards = [pedalboard.Pedalboard([make() for _ in range(count)]) for count in (LENGTH, 1)]
            runs: list[Callable[[], object]] = [*map(plan_run, plans)]
            runs += [partial(board.process, x, RATE, block, False) for board in boards]
            for plan in plans:
                plan.input[:] = x
            ours, one, theirs, their_one = min_times(runs, round(seconds * RATE / block / ROUNDS))
            rows.append(
                {
                    "block": block,
                    "type": kind,
                    "ours": (ours - one) / (LENGTH - 1),
                    "one": one,
                    "theirs": (theirs - their_one) / (LENGTH - 1),
                    "native": all(plans[0].native.native(place) for place in range(LENGTH)),
                }
            )
            for plan in plans:
                close_hosts(plan.hosts.values(), {})
    patches = [patch_row(loaded, name, block, seconds) for block in BLOCKS for name in PATCHES]
    table(
        f"µs a node a block of stereo at {RATE} Hz: a chain of {LENGTH} less one of 1, least of {ROUNDS} rounds",
        ("block", "effect", "ours", "pedalboard", "ratio", "chain of 1", "machine code"),
        [(r["block"], r["type"], r["ours"], r["theirs"], r["ours"] / r["theirs"], r["one"], r["native"]) for r in rows],
    )
    table(
        "share of a block's time, silence in, and nodes that machine code runs",
        ("block", "patch", "share", "nodes", "in machine code"),
        [(r["block"], r["patch"], r["share"], r["nodes"], r["native"]) for r in patches],
    )
    finish("plan", {"seed": seed, "nodes": rows, "patches": patches, "pedalboard": version("pedalboard")})


def compile_chain(loaded: Loaded, kind: str, count: int, spec: StreamSpec, values: Mapping[str, Value]) -> Plan:
    """A plan with a chain of `count` nodes of one type."""
    names = [f"{kind}{place}" for place in range(count)]
    into, out = (loaded.catalog[kind].inputs[0].name, loaded.catalog[kind].outputs[0].name)
    sources = [End(IN, IN), *(End(name, out) for name in names)]
    ends = [*(End(name, into) for name in names), End(OUT, OUT)]
    wires = tuple(Wire(a, b) for a, b in zip(sources, ends, strict=True))
    graph = Graph(tuple(NodeSpec(name, kind, dict(values)) for name in names), wires)
    return compile_plan(graph, loaded.catalog, loaded.make, spec, {name: n for n, name in enumerate(names, 1)})


def plan_run(plan: Plan) -> Callable[[], object]:
    """A call that runs the next block."""
    clock = BlockTime()

    def run() -> object:
        clock.sample += plan.spec.block
        clock.beat = clock.sample * clock.tempo / 60.0 / RATE
        return plan.run(plan.spec.block, clock)

    return run


def min_times(runs: list[Callable[[], object]], count: int) -> list[float]:
    """Minimum microseconds per call, with the runs interleaved, over all rounds."""
    for run in runs:
        for _ in range(WARM_UP_BLOCKS):
            run()
    found = [float("inf")] * len(runs)
    for _ in range(ROUNDS):
        for place, run in enumerate(runs):
            begun = time.process_time_ns()
            for _ in range(count):
                run()
            found[place] = min(found[place], (time.process_time_ns() - begun) / 1e3 / count)
    return found


def patch_row(loaded: Loaded, name: str, block: int, seconds: float) -> dict[str, Any]:
    """Cost of a shipped patch."""
    graph = load_patch(name, loaded.catalog, trusted=True).graph
    ids = {node.name: n for n, node in enumerate(graph.nodes, 1)}
    plan = compile_plan(graph, loaded.catalog, loaded.make, StreamSpec(RATE, block, 2), ids)
    (spent,) = min_times([plan_run(plan)], round(seconds * RATE / block / ROUNDS))
    native = sum(plan.native.native(place) for place in range(len(plan.steps)))
    close_hosts(plan.hosts.values(), {})
    share = spent / 1e6 / (block / RATE)
    return {"block": block, "patch": name, "share": share, "nodes": len(plan.steps), "native": native}
