"""`antiphon bench models`: the time of a hop of each learned mode, and misses when all play together."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from antiphon.bench.report import finish, percentiles, table
from antiphon.bench.workers import BLOCK, VOICES, keeping_up
from antiphon.workers.info import ModelInfo
from antiphon.workers.model_client import usable

HOPS = 4000
PATCH = """
format = 1
[nodes.denoise]
mode = "learned"
[nodes.hum]
mode = "learned"
[nodes.keys]
type = "synth"
[wires]
"in" = ["denoise", "hum"]
"denoise" = "out"
"hum" = "keys"
"keys" = "out"
"""


def main(seconds: float, seed: int = 1) -> None:
    """Runs the bench. seconds: length of each live run. seed: of the noise."""
    costs = [cost(info, slots, seed) for info in _shipped() for slots in sorted({1, info.slots})]
    table(
        f"a hop in a worker, one thread, n {HOPS}", ["model", "streams", "period ms", "p50 ms", "p99 ms", "p99 of it"],
        [[c["model"], c["slots"], c["period"], c["p50"], c["p99"], f"{c['p99'] / c['period']:.1%}"] for c in costs],
    )  # fmt: skip
    live = [keeping_up(seconds, busy, seed, PATCH) for busy in (0, 1)]
    table(
        f"denoise and hum, both learned, pyo with {VOICES} voices, engine at {BLOCK}, headless, {seconds:g} s",
        ["other load", "blocks", "missed", "late", "hops", "hops missed", "synth hops missed", "load"],
        [[v["busy"], v["blocks"], v["missed"], v["late"], v["hops"], v["hops_missed"], v["synth_missed"], v["load"]]
         for v in live],
    )  # fmt: skip
    finish("models", {"seed": seed, "hop": costs, "live": live})


def cost(info: ModelInfo, slots: int, seed: int) -> dict[str, Any]:
    """Times one model's step with that many streams: p50, p99, max in ms, and the period available."""
    import torch

    from antiphon.workers.torch_stepper import build

    threads = torch.get_num_threads()
    spec = replace(info, slots=slots).torch_worker("cpu")
    stepper = build(spec)
    stepper.warm()
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.3, 0.3, (64, slots, *spec.inputs)).astype(np.float32)
    y = np.zeros((slots, *spec.outputs), np.float32)
    spent = []
    for n in range(HOPS):
        began = time.perf_counter_ns()
        stepper.step(np.full(slots, n), x[n % 64], y)
        spent.append((time.perf_counter_ns() - began) / 1e6)
    torch.set_num_threads(threads)
    return {"model": info.name, "slots": slots, "period": 1000.0 * spec.hop / spec.rate, **percentiles(spent)}


def _shipped() -> list[ModelInfo]:
    """The registered models that can run here."""
    from antiphon.plugins.model_registry import known

    return [info for info in known()[0].values() if not usable(info)]
