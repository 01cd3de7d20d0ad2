"""`antiphon bench models`: the time of a hop of each model in numpy and torch, and misses when all play together."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from antiphon.kernel.workers import devices
from antiphon.kernel.workers.info import ModelInfo
from antiphon.kernel.workers.model_client import usable
from antiphon.kernel.workers.networks import array_stepper
from antiphon.kernel.workers.spec import Stepper
from antiphon_bench.report import finish, percentiles, table
from antiphon_bench.workers.overhead import BLOCK, VOICES, keeping_up

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
    costs = [row for info in _shipped() for slots in sorted({1, info.slots}) for row in cost(info, slots, seed)]
    table(
        f"a hop on one thread, numpy and torch in turns, n {HOPS} each",
        ["model", "by", "streams", "period ms", "p50 ms", "p99 ms", "CPU p50 ms", "CPU p99 ms", "p99 of it", "off"],
        [[c["model"], c["by"], c["slots"], c["period"], c["p50"], c["p99"], c["cpu"]["p50"], c["cpu"]["p99"],
          f"{c['p99'] / c['period']:.1%}", f"{c['off']:.0e}"] for c in costs],
    )  # fmt: skip
    live = [keeping_up(seconds, busy, seed, PATCH) for busy in (0, 1)]
    table(
        f"denoise and hum, both learned, pyo with {VOICES} voices, engine at {BLOCK}, headless, {seconds:g} s",
        ["other load", "blocks", "missed", "late", "hops", "hops missed", "synth hops missed", "load"],
        [
            [v["busy"], v["blocks"], v["missed"], v["late"], v["hops"], v["hops_missed"], v["synth_missed"], v["load"]]
            for v in live
        ],
    )
    finish("models", {"seed": seed, "hop": costs, "live": live})


def cost(info: ModelInfo, slots: int, seed: int, hops: int = HOPS) -> list[dict[str, Any]]:
    """Times one model's step with that many streams, in numpy and in torch in turns, as far as there are both.

    p50, p99, max: ms by the clock. cpu: the same, of the thread's own time, which other processes do not lengthen.
    period: ms available. off: largest difference from torch's answers.
    """
    described = replace(info, slots=slots)
    spec = described.worker("cpu")
    steppers: dict[str, Stepper] = {}
    threads = 0
    if devices.installed_torch() is not None:
        import torch

        from antiphon.kernel.workers.networks import torch_stepper

        threads = torch.get_num_threads()
        steppers["torch"] = torch_stepper.build(described.torch_worker("cpu"))
    if info.array_network:
        steppers["numpy"] = array_stepper.build(spec)
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.3, 0.3, (64, slots, *spec.inputs)).astype(np.float32)
    y = {by: np.zeros((slots, *spec.outputs), np.float32) for by in steppers}
    off = 0.0
    for stepper in steppers.values():
        stepper.warm()
    clock: dict[str, list[float]] = {by: [] for by in steppers}
    own: dict[str, list[float]] = {by: [] for by in steppers}
    for n in range(hops):
        numbers = np.full(slots, n)
        for by, stepper in steppers.items():
            began, began_own = time.perf_counter_ns(), time.thread_time_ns()
            stepper.step(numbers, x[n % 64], y[by])
            own[by].append((time.thread_time_ns() - began_own) / 1e6)
            clock[by].append((time.perf_counter_ns() - began) / 1e6)
        off = max(off, *(float(np.abs(y[by] - next(iter(y.values()))).max()) for by in steppers))
    if threads:
        torch.set_num_threads(threads)
    of_model = {"model": info.name, "slots": slots, "period": 1000.0 * spec.hop / spec.rate, "off": off}
    return [{**of_model, "by": by, **percentiles(clock[by]), "cpu": percentiles(own[by])} for by in steppers]


def _shipped() -> list[ModelInfo]:
    """The registered models that can run here."""
    from antiphon.kernel.plugins.model_registry import known_models

    return [info for info in known_models()[0].values() if not usable(info)]
