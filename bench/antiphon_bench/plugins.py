"""`bench plugins`: cost and measured latency of every built-in processor."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from antiphon.demo import melody_loop
from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.processor import BlockTime, Event
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.graph.compiler import close_hosts, compile_plan
from antiphon.kernel.graph.graph import IN, OUT, End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.io.audiowrite import AudioWriter
from antiphon.kernel.plugins.finding import BUILT_IN
from antiphon.kernel.plugins.loader import Loaded, load
from antiphon_bench.report import finish, percentiles, table

SPEC = StreamSpec(48000, 256, 2)
BLOCKS = (64, 256)
"""Block sizes at which the cost is measured; the last has the columns of latency."""
IMPULSE_SECONDS = 2.0
"""Of the decaying noise that a processor is given that needs a file."""
SECONDS = 20.0
REACH = 48000
"""Largest latency searched for, in frames."""
WARM = 40
"""Blocks before the measurement begins."""
EVERY = 36000


def main() -> None:
    """Runs the bench."""
    loaded = load(check=False)
    chosen = [info for info in sorted(loaded.catalog.types.values(), key=lambda i: i.type) if info.plugin in BUILT_IN]
    rows: list[dict[str, Any]] = []
    for block in BLOCKS:
        spec = StreamSpec(SPEC.rate, block, SPEC.channels)
        here = [cost(info, loaded, spec) for info in chosen]
        rows += here
        table(
            f"{SECONDS:g} s at {spec.rate} Hz, {block} frames: latency in frames, a block's work in µs and as a share",
            ("processor", "declared", "measured", "real-time factor", "p50 µs", "p99 µs", "p50 %", "p99 %", "max %"),
            [(r["type"], r["declared"], r["measured"], r["factor"], r["p50"] * block / spec.rate * 1e6,
              r["p99"] * block / spec.rate * 1e6, r["p50"] * 100, r["p99"] * 100, r["max"] * 100)
             for r in here if "failed" not in r],
        )  # fmt: skip
    for row in rows:
        if "failed" in row:
            print(f"{row['type']}: {row['failed']}")
    finish("plugins", {"cost": rows})


def cost(info: ProcessorInfo, loaded: Loaded, spec: StreamSpec = SPEC) -> dict[str, Any]:
    """Measures one processor as the only node, with music as its input, or notes if it has an event input.

    A file that it needs is two seconds of decaying noise, as an impulse response is.
    """
    listens = info.first("audio", "in") is not None and info.first("events", "out") is not None
    sound = tones() if listens else np.tile(melody_loop.loop(), (1, 2))[:, : round(SECONDS * SPEC.rate)]
    wires = []
    into, out = info.first("audio", "in"), info.first("audio", "out")
    if into is not None:
        wires.append(Wire(End(IN, IN), End(info.type, into.name)))
    if out is not None:
        wires.append(Wire(End(info.type, out.name), End(OUT, OUT)))
    named = {"type": info.type, "block": spec.block}
    with TemporaryDirectory() as folder:
        values = {
            p.name: str(noise_file(Path(folder), spec.rate))
            for p in info.params
            if p.name in info.on_files.needs and p.kind == "file"
        }
        try:
            graph = Graph((NodeSpec(info.type, info.type, values),), tuple(wires))
            plan = compile_plan(graph, loaded.catalog, loaded.make, spec, {info.type: 1})
            try:
                return {**named, "declared": plan.hosts[1].latency, **_play(plan, info, sound, spec)}
            finally:
                close_hosts(plan.hosts.values(), {})
        except AntiphonError as error:
            return {**named, "failed": str(error)}


def noise_file(folder: Path, rate: int) -> Path:
    """Writes two seconds of decaying noise, as an impulse response is."""
    frames = round(IMPULSE_SECONDS * rate)
    fall = np.exp(-6.9 * np.arange(frames) / frames)
    noise = np.random.default_rng(1).normal(0.0, 0.1, (2, frames)) * fall
    path = folder / "noise.wav"
    with AudioWriter(path, rate, 2) as writer:
        writer.write(noise.astype(np.float32))
    return path


def _play(plan: Plan, info: ProcessorInfo, sound: Samples, spec: StreamSpec) -> dict[str, Any]:
    host, spent, outputs, begun_at = plan.hosts[1], [], [], []
    for _ in range(WARM):
        plan.run(spec.block, BlockTime())
    host.reset()
    notes = info.first("events", "in") is not None
    clock = BlockTime(tempo=melody_loop.BPM)
    for at in range(0, sound.shape[1] - spec.block + 1, spec.block):
        plan.input[:] = sound[:, at : at + spec.block]
        clock.sample, clock.beat = at, at / spec.rate * clock.tempo / 60.0
        if notes and at // spec.block % 40 == 0:
            number = 60 + at // spec.block // 40 % 12
            host.play(Event("on", 0, number, 0.8))
            host.play(Event("off", spec.block - 1, number - 1))
        begun = time.perf_counter_ns()
        y = plan.run(spec.block, clock)
        spent.append((time.perf_counter_ns() - begun) / 1e9)
        outputs.append(y.copy())
        begun_at += [at + e.offset for _, events in plan.emitted(1) for e in events if e.kind == "on"]
    if plan.failures:
        return {"failed": plan.failures[0].reason}
    measured: Any = "-"
    if info.first("audio", "in") is not None and info.first("audio", "out") is not None:
        measured = lag(sound, np.concatenate(outputs, axis=1))
    elif info.first("audio", "in") is not None and begun_at:
        onsets = np.arange(len(begun_at) + 1) * EVERY
        nearest = [at - max((o for o in onsets if o <= at - host.latency + EVERY // 4), default=0) for at in begun_at]
        measured = int(np.median(np.asarray(nearest)))
    period = spec.block / spec.rate
    shares = {k: v / period for k, v in percentiles(spent).items()}
    return {"measured": measured, "factor": len(spent) * period / sum(spent), **shares}


def tones() -> Samples:
    """Steady tones with harmonics, half sounding, half still, whose beginnings are `EVERY` frames apart."""
    frames = round(SECONDS * SPEC.rate) // EVERY * EVERY
    t = np.arange(frames)
    hertz = 220.0 * 2.0 ** ((t // EVERY * 5 % 12) / 12.0)
    inside = t % EVERY
    shape = np.clip(np.minimum(inside / 480.0, (EVERY // 2 - inside) / 960.0), 0.0, 1.0)
    tone = sum(np.sin(2 * np.pi * k * hertz * inside / SPEC.rate) / k for k in range(1, 7)) * 0.15 * shape
    return np.stack([tone, tone]).astype(np.float32)


def lag(x: Samples, y: Samples) -> int | str:
    """The lag of y behind x in frames, by the maximum of their correlation; "-" if the correlation is too low."""
    frames = min(x.shape[1], y.shape[1])
    size = 1 << (2 * frames - 1).bit_length()
    a, b = np.fft.rfft(x[:, :frames].mean(axis=0), size), np.fft.rfft(y[:, :frames].mean(axis=0), size)
    # whitened by the input's spectrum: otherwise the period of repetitive music could give the maximum
    both = np.fft.irfft(b * np.conj(a) / np.maximum(np.abs(a) ** 2, 1e-4 * float(np.mean(np.abs(a) ** 2))), size)[
        :REACH
    ]
    place = int(np.argmax(np.abs(both)))
    return place if abs(both[place]) > 6.0 * float(np.std(both)) else "-"
