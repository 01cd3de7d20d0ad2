"""Cost of a node in a plan, beside pedalboard: chains of 64 less a chain of one, `antiphon.Chain`, and shipped patches.

Both chains run block by block, in turn, in one process; parameters stay constant, as they mostly do. Times are
processor times of the process, so other processes do not add to them. The row `gain` is the overhead between two nodes:
its own work is one multiplication per sample. Servers then say in what share of the blocks the interpreter took part.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tomli_w

from antiphon import Chain
from antiphon.api import BlockTime, Samples, StreamSpec, Value
from antiphon.api.backends.rendering import Loaded, load_plugins, patch_runner
from antiphon_bench.rig import Sender, ServerProcess, finish, parameters, table

RATE = 48000
BLOCKS = (64, 256)
CALLED_BLOCKS = (64, 256, 1024)
"""Block size in frames at which a Python program calls a chain."""
CALLED = (("gain",), ("compressor",), ("gain", "compressor", "reverb"))
LENGTH = 64
"""Number of nodes in a chain."""
ROUNDS = 20
WARM_UP_BLOCKS, WARM_UP_SECONDS = 100, 4.0
"""What is not measured of a plan, and of a server."""
PATCHES = ("answer", "band", "desk", "dub", "techno")
EVENTS = """\
from antiphon.live import *
patch("techno")
tempo(125)
track("hats", s("hh*64"))
"""
"""A script of 2,000 events a minute."""
FADERS, FADER_HZ = 40, 50
TOUCHED = ("techno", "dub", "band", "answer", "2,000 events a minute", f"{FADERS} faders")
REASONS = ("blocks", "action", "moving", "event", "python", "plan", "other")
"""Counters of `/api/status`, after `interpreted_`."""


def peers(pedalboard: Any) -> dict[str, tuple[Callable[[], Any], Mapping[str, Value]]]:
    """By row: our types, the factory of pedalboard's counterpart, and our values that are not the defaults."""
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
    inputs = [rng.normal(0.0, 0.1, (2, block)).astype(np.float32) for block in BLOCKS]
    rows = [measure_effect_cost(loaded, pedalboard, kind, x, seconds) for x in inputs for kind in peers(pedalboard)]
    patches = [measure_patch_cost(loaded, name, block, seconds) for block in BLOCKS for name in PATCHES]
    table(
        f"µs a node a block of stereo at {RATE} Hz: a chain of {LENGTH} less one of 1, least of {ROUNDS} rounds",
        ("block", "effect", "ours", "pedalboard", "ratio", "chain of 1", "machine code"),
        [(r["block"], r["type"], r["ours"], r["theirs"], r["ours"] / r["theirs"], r["one"], r["native"]) for r in rows],
    )
    called = [measure_chain_cost(pedalboard, kinds, block, rng, seconds) for kinds in CALLED for block in CALLED_BLOCKS]
    table(
        "µs a call of antiphon.Chain.process and of Pedalboard.process(reset=False), stereo",
        ("block", "chain", "ours", "over the nodes", "pedalboard", "ratio"),
        [(r["block"], r["chain"], r["ours"], r["over"], r["theirs"], r["ours"] / r["theirs"]) for r in called],
    )
    table(
        "share of a block's time, silence in, and nodes that machine code runs",
        ("block", "patch", "share", "nodes", "in machine code"),
        [(r["block"], r["patch"], r["share"], r["nodes"], r["native"]) for r in patches],
    )
    touched = [measure_touched(case, block, seconds) for block in BLOCKS for case in TOUCHED]
    table(
        f"share of blocks in which the interpreter took part, {seconds:g} s live, by reason (a block may have several)",
        ("block", "case", *REASONS),
        [(r["block"], r["case"], *(r[reason] for reason in REASONS)) for r in touched],
    )
    own = {"nodes": rows, "chain": called, "patches": patches, "touched": touched}
    finish("plan", {"seed": seed, **own, "pedalboard": version("pedalboard")})


def measure_effect_cost(loaded: Loaded, pedalboard: Any, kind: str, x: Samples, seconds: float) -> dict[str, Any]:
    """Cost of an effect and of its peer, with `x` as the input of every block."""
    block, (make, values) = x.shape[1], peers(pedalboard)[kind]
    spec = StreamSpec(RATE, block, 2)
    with TemporaryDirectory() as folder:
        files = [write_chain_patch(Path(folder), kind.partition(",")[0], count, values) for count in (LENGTH, 1)]
        runners = [patch_runner(file, loaded, spec) for file in files]
    boards = [pedalboard.Pedalboard([make() for _ in range(count)]) for count in (LENGTH, 1)]
    runs: list[Callable[[], object]] = [next_block(one.plan.run, block) for one in runners]
    runs += [partial(board.process, x, RATE, block, False) for board in boards]
    for one in runners:
        one.plan.input[:] = x
    ours, alone, theirs, their_one = min_times(runs, round(seconds * RATE / block / ROUNDS))
    native = all(runners[0].plan.native.native(place) for place in range(LENGTH))
    for one in runners:
        one.close()
    return {
        "block": block,
        "type": kind,
        "ours": (ours - alone) / (LENGTH - 1),
        "one": alone,
        "theirs": (theirs - their_one) / (LENGTH - 1),
        "native": native,
    }


def measure_chain_cost(
    pedalboard: Any, kinds: tuple[str, ...], block: int, rng: np.random.Generator, seconds: float
) -> dict[str, Any]:
    """Cost of a chain as a Python program calls it, of its plan alone, and of its peer."""
    made = peers(pedalboard)
    x = rng.normal(0.0, 0.1, (2, block)).astype(np.float32)
    board = pedalboard.Pedalboard([made[kind][0]() for kind in kinds])
    with Chain(*((kind, made[kind][1]) for kind in kinds), rate=RATE, channels=2) as ours:
        ours.process(x)
        runs: list[Callable[[], object]] = [
            partial(ours.process, x),
            next_block(ours.plan.run, block),
            partial(board.process, x, RATE, block, False),
        ]
        called, alone, theirs = min_times(runs, round(seconds * RATE / block / ROUNDS))
    return {"block": block, "chain": ", ".join(kinds), "ours": called, "over": called - alone, "theirs": theirs}


def write_chain_patch(folder: Path, kind: str, count: int, values: Mapping[str, Value]) -> Path:
    """Writes a patch of `count` nodes of one type in series; returns its path."""
    ends = ["in", *(f"{kind}{place}" for place in range(count)), "out"]
    nodes = {name: {"type": kind, **values} for name in ends[1:-1]}
    path = folder / f"chain{count}.toml"
    path.write_text(tomli_w.dumps({"format": 1, "nodes": nodes, "wires": dict(pairwise(ends))}), "utf-8")
    return path


def next_block(run: Callable[[int, BlockTime], object], block: int) -> Callable[[], object]:
    """Returns a function that runs the next block of a plan."""
    clock = BlockTime()

    def call() -> object:
        clock.sample += block
        clock.beat = clock.sample * clock.tempo / 60.0 / RATE
        return run(block, clock)

    return call


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


def measure_patch_cost(loaded: Loaded, name: str, block: int, seconds: float) -> dict[str, Any]:
    """Cost of a shipped patch."""
    runner = patch_runner(name, loaded, StreamSpec(RATE, block, 2))
    plan = runner.plan
    (spent,) = min_times([next_block(plan.run, block)], round(seconds * RATE / block / ROUNDS))
    native = sum(plan.native.native(place) for place in range(len(plan.steps)))
    runner.close()
    share = spent / 1e6 / (block / RATE)
    return {"block": block, "patch": name, "share": share, "nodes": len(plan.steps), "native": native}


def measure_touched(case: str, block: int, seconds: float) -> dict[str, Any]:
    """Shares of a server's blocks in which the interpreter took part, by reason."""
    with TemporaryDirectory() as folder:
        patch = case if case in PATCHES else "techno"
        if "faders" in case:
            patch = str(write_chain_patch(Path(folder), "gain", FADERS, {}))
        with ServerProcess("--live", "--audio", "headless", "--block", str(block), "--patch", patch) as server:
            if "events" in case:
                server.request("POST", "/api/live/eval", {"text": EVENTS, "version": 1})
            faders = tuple(f"/node/gain{place}/gain" for place in range(FADERS)) if "faders" in case else ()
            sends = Sender(server.osc, FADERS * FADER_HZ, parameters, faders) if faders else nullcontext()
            with sends:
                time.sleep(WARM_UP_SECONDS)
                before = server.status()
                time.sleep(seconds)
                after = server.status()
    blocks = after["blocks"] - before["blocks"]
    named = {reason: f"interpreted_{reason}" for reason in REASONS}
    return {"block": block, "case": case} | {
        reason: (after[name] - before[name]) / blocks for reason, name in named.items()
    }
