"""Many streams of hops on an NVIDIA card: eager, compiled, and by recorded graph. Part of `antiphon bench workers`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from antiphon_bench.report import percentiles

HOP_SECONDS = 0.01
WAYS = ("eager", "compiled", "graph")
HEAD = ("way", "streams", "p50 ms", "p99 ms", "max ms", "warm in s", "hops at 10 ms", "missed", "p99 ms", "max ms")


def measure(streams: int = 64, minutes: float = 9.0, hops: int = 3000, seed: int = 1) -> list[dict[str, Any]] | str:
    """Measures a step by each of `WAYS`, by graph also `minutes` of hops in real time; without a card, one line.

    A step is one hop of every stream: pinned memory to the card, the network of `workers.grumask`, back. Missed is
    a hop whose answer takes over 10 ms. p50, p99, max in ms.
    """
    lacking = lacks()
    if lacking:
        return f"cuda: not run on a GPU ({lacking})"
    rows = [time_hops(way, stepper(way, streams, seed), streams, hops, seed) for way in WAYS[:-1]]
    graph = stepper("graph", streams, seed)
    row = time_hops("graph", graph, streams, hops, seed)
    row["paced"] = run_paced(graph, streams, minutes * 60.0, seed)
    row["counts"] = graph.counts
    return [*rows, row]


def cells(rows: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """The rows as `bench.report.table` takes them, under `HEAD`."""
    measured: list[tuple[object, ...]] = []
    for r in rows:
        pace = r.get("paced", {})
        slow = tuple(pace.get(key, "") for key in ("hops", "missed", "p99", "max"))
        measured.append((r["way"], r["streams"], r["p50"], r["p99"], r["max"], r["warm_s"], *slow))
    return measured


def lacks() -> str:
    """Why nothing can be measured here; "" if it can."""
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    if not torch.version.cuda:
        return f"torch {torch.__version__} is no CUDA build"
    return "" if torch.cuda.is_available() else "torch finds no card"


def stepper(way: str, streams: int, seed: int, device: str = "cuda") -> Any:
    """A stepper for one of `WAYS`, not warm yet. The device "cpu" has only eager and compiled."""
    import torch

    from antiphon.kernel.workers.networks import cuda
    from antiphon.kernel.workers.networks.torch_network import one_thread
    from antiphon_bench.workers.grumask import GruMask

    one_thread()
    torch.manual_seed(seed)
    network: Any = GruMask().eval().requires_grad_(False).to(device)
    if way == "compiled":
        network.step = torch.compile(network.step)
    if device != "cuda":
        return cuda.GraphStepper(network, streams, cuda.Capture())
    graphs = cuda.card("the bench")
    return cuda.GraphStepper(network, streams, graphs if way == "graph" else cuda.Eager())


def time_hops(way: str, prepared: Any, streams: int, hops: int, seed: int) -> dict[str, Any]:
    """Warms the stepper and runs hops one after the other."""
    began = time.perf_counter()
    prepared.warm()
    warm = time.perf_counter() - began
    once = _hop(prepared, streams, seed)
    took = []
    for n in range(hops):
        began = time.perf_counter()
        once(n)
        took.append((time.perf_counter() - began) * 1e3)
    return {"way": way, "streams": streams, "hops": hops, "warm_s": warm, **percentiles(took)}


def run_paced(prepared: Any, streams: int, seconds: float, seed: int) -> dict[str, Any]:
    """Runs a hop every 10 ms for that time. missed: answers later than 10 ms after their hop."""
    once = _hop(prepared, streams, seed)
    took = []
    start = time.perf_counter() + HOP_SECONDS
    for n in range(round(seconds / HOP_SECONDS)):
        due = start + n * HOP_SECONDS
        time.sleep(max(0.0, due - time.perf_counter()))
        once(n)
        took.append((time.perf_counter() - due) * 1e3)
    missed = sum(ms > HOP_SECONDS * 1e3 for ms in took)
    return {"seconds": seconds, "hops": len(took), "missed": missed, **percentiles(took)}


def _hop(prepared: Any, streams: int, seed: int) -> Callable[[int], None]:
    """One hop of noise for every stream."""
    x = np.random.default_rng(seed).uniform(-0.3, 0.3, (16, streams, 1, 480)).astype(np.float32)
    y, numbers = np.zeros_like(x[0]), np.zeros(streams, np.int64)
    for slot in range(streams):
        prepared.open(slot, "")

    def once(n: int) -> None:
        numbers.fill(n)
        prepared.step(numbers, x[n % len(x)], y)

    return once
