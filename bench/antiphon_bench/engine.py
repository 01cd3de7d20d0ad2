"""`bench engine`: the time of a block, and missed blocks on a busy machine."""

import os
import time
from typing import Any

import numpy as np

from antiphon.api import StreamSpec
from antiphon.api.backends.rendering import load_plugins, patch_runner
from antiphon_bench import rig
from antiphon_bench.rig import Sender, ServerProcess, finish, parameters, percentiles, run_busy_cores, table

PATCH = "bench8"
RATE = 48000
BLOCKS = 12000
MESSAGES_A_SECOND = 20000


def main(seconds: float) -> None:
    """Runs the bench. seconds: length of each live run."""
    plans = [measure_plan_cost(block) for block in (64, 128, 256)]
    table(
        f"{PATCH}: one block's work, as a share of the block (the denoiser's hop included; idle, {BLOCKS} blocks)",
        ("frames", "p50 %", "p99 %", "max %", "p50 µs", "p99 µs", "max µs"),
        [(p["frames"], p["p50"] * 100, p["p99"] * 100, p["max"] * 100, *p["us"].values()) for p in plans],
    )
    live: list[dict[str, Any]] = []
    for driver, block in (("headless", 256), ("jack", 256), ("jack", 64)):
        for fifo in (False, True) if can_use_fifo() else (False,):
            if driver == "jack" and not rig.is_installed():
                live.append({"driver": driver, "frames": block, "skipped": "jackd is not installed"})
                continue
            live.append(measure_under_load(driver, block, seconds, fifo=fifo))
    table(
        f"{seconds:g} s live: {MESSAGES_A_SECOND}/s OSC and another process burning a core",
        ("driver", "frames", "ahead", "class", "blocks", "missed", "late", "JACK skipped", "load mean %", "OSC lost"),
        [
            (r["driver"], r["frames"], r["ahead"], r["class"], r["blocks"], r["missed"], r["late_blocks"],
             r["device_skipped"], r["load_mean"] * 100, r["osc_lost"])
            for r in live if "skipped" not in r
        ],
    )  # fmt: skip
    finish("engine", {"plan": plans, "live": live})


def measure_plan_cost(block: int) -> dict[str, Any]:
    """Times of a rendered patch over noise, block by block."""
    player = patch_runner(PATCH, load_plugins(check=False), StreamSpec(RATE, block, 2))
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((2, block)) * 0.1).astype(np.float32)
    for _ in range(500):
        player.run(x)
    spent = []
    for _ in range(BLOCKS):
        begun = time.perf_counter_ns()
        player.run(x)
        spent.append((time.perf_counter_ns() - begun) / 1e3)
    us = percentiles(spent)
    period = block / RATE * 1e6
    return {"frames": block, **{k: v / period for k, v in us.items()}, "us": us}


def measure_under_load(driver: str, block: int, seconds: float, *, fifo: bool) -> dict[str, Any]:
    """Runs a server under a flood of OSC and with one busy core."""
    options = ["--audio", driver, "--headphones", "--patch", PATCH, "--rate", str(RATE), "--block", str(block)]
    if fifo:
        options.append("--fifo")
    with rig.dummy(RATE, block, needed=driver == "jack") as env, ServerProcess(*options, env=env) as server:
        before = server.status()
        with run_busy_cores(), Sender(server.osc, MESSAGES_A_SECOND, parameters) as sender:
            time.sleep(seconds)
        after = server.status()
    engine = after["engine"]
    return {
        "driver": driver,
        "frames": block,
        "ahead": engine["ahead"] if driver == "jack" else 0,
        "class": "FIFO" if fifo else "ordinary",
        "blocks": after["blocks"] - before["blocks"],
        "missed": after["missed_blocks"] - before["missed_blocks"],
        "late_blocks": after["late_blocks"] - before["late_blocks"],
        "device_skipped": after.get("device_xruns", 0) - before.get("device_xruns", 0),
        "load_mean": engine.get("load_mean", 0.0),
        "osc_lost": sender.sent - (after["osc_received"] - before["osc_received"]),
    }


def can_use_fifo() -> bool:
    """Whether this user may use real-time scheduling."""
    try:
        old = os.sched_getscheduler(0)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, old, os.sched_param(0))
    except (PermissionError, OSError, AttributeError):
        return False
    return True
