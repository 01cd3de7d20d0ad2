"""Files through the live code: blocks in, blocks out, the latency taken out.

A file is a driver like a sound card: its samples are the clock. `PlanRunner` runs one processor, for
`antiphon run`; `rendering.StageRunner` is what the engine runs, for `antiphon render`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from antiphon.block import Samples, StreamSpec
from antiphon.catalog import Catalog
from antiphon.clock import TempoMap
from antiphon.errors import PluginError
from antiphon.graph import IN, OUT, End, Graph, NodeSpec, Wire
from antiphon.params import Value
from antiphon.planning import close_hosts, compile_plan
from antiphon.processor import BlockTime, Processor

Make = Callable[[str], Processor]


class BlockRunner(Protocol):
    """Turns blocks into blocks of as many frames, `latency` frames late."""

    spec: StreamSpec
    latency: int

    def run(self, x: Samples) -> Samples:
        """x: float32 `[spec.channels, n]`, n ≤ `spec.block`. The result holds until the next call."""
        ...

    def close(self) -> None:
        """Gives back what processors hold outside this process: places in workers."""


def process_stream(
    source: Iterable[Samples],
    runner: BlockRunner,
    frames: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Samples]:
    """The source through the runner, in time with it and exactly as long.

    source: float32 `[channels, n]` of any n; mono goes to all channels.  frames: so many, with silence
    after a shorter source; None is the source's own length.  progress: told the frames given so far.
    Each block given holds until the next.
    """
    skip, given = runner.latency, 0
    for x in _blocks(source, runner.spec, frames, runner.latency):
        y = runner.run(x)
        part = y[:, min(skip, y.shape[1]) :]
        skip -= y.shape[1] - part.shape[1]
        if part.shape[1]:
            yield part
            given += part.shape[1]
            if progress is not None:
                progress(given)


def _blocks(source: Iterable[Samples], spec: StreamSpec, frames: int | None, tail: int) -> Iterator[Samples]:
    """The source and `tail` frames of silence as whole blocks, the last one maybe shorter; one array, reused."""
    buffer = np.zeros((spec.channels, spec.block), np.float32)
    at = filled = 0
    for samples in source:
        first, last = 0, samples.shape[1]
        if frames is not None:
            last = min(last, frames - at)
        while first < last:
            n = min(last - first, spec.block - filled)
            into = buffer[:, filled : filled + n]
            if samples.shape[0] in (1, spec.channels):
                into[:] = samples[:, first : first + n]
            else:
                both = min(samples.shape[0], spec.channels)
                into.fill(0.0)
                into[:both] = samples[:both, first : first + n]
            first, filled, at = first + n, filled + n, at + n
            if filled == spec.block:
                yield buffer
                filled = 0
        if frames is not None and at >= frames:
            break
    silent = (0 if frames is None else frames - at) + tail
    if at + silent == tail:
        return
    while silent or filled:
        n = min(silent, spec.block - filled)
        buffer[:, filled : filled + n] = 0.0
        yield buffer[:, : filled + n]
        silent, filled = silent - n, 0


@dataclass(frozen=True, slots=True)
class Firing:
    """A trigger to pull at a sample."""

    sample: int
    param: str


class PlanRunner:
    """One processor as a node between a file's two ends; no limiter, so that gain 1 gives back the very samples.

    values: its parameters' values, host parameters included.  firings: triggers, in any order.
    Raises `PluginError` for a processor that cannot be run so, or that fails on the way.
    """

    def __init__(
        self,
        type: str,
        catalog: Catalog,
        make: Make,
        spec: StreamSpec,
        values: Mapping[str, Value] | None = None,
        firings: Sequence[Firing] = (),
    ) -> None:
        self.spec, self.type = spec, type
        info = catalog[type]
        out = info.first("audio", "out")
        if out is None:
            raise PluginError(f"{type} gives no sound, so that there is nothing to write; use it in a patch")
        if info.first("audio", "in") is None and info.first("events", "in") is not None:
            raise PluginError(f"{type} takes notes, not sound; play it in a patch: antiphon render keys --events F")
        wires = [Wire(End(type, out.name), End(OUT, OUT))]
        into = info.first("audio", "in")
        if into is not None:
            wires.append(Wire(End(IN, IN), End(type, into.name)))
        graph = Graph((NodeSpec(type, type, dict(values or {})),), tuple(wires))
        self._plan = compile_plan(graph, catalog, make, spec, {type: 1})
        self.latency = self._plan.latency
        self._cells = {param.name: place for place, param in enumerate(info.cells)}
        self._waiting = sorted(firings, key=lambda f: f.sample)
        self._tempo = TempoMap(spec.rate)
        self._time = BlockTime()

    def run(self, x: Samples) -> Samples:
        frames, time = x.shape[1], self._time
        host = self._plan.hosts[1]
        while self._waiting and self._waiting[0].sample < time.sample + frames:
            firing = self._waiting.pop(0)
            host.post(self._cells[firing.param], firing.sample - time.sample, 1.0, 0.0)
        time.beat = self._tempo.beat_at(time.sample)
        self._plan.input[:, :frames] = x
        y = self._plan.run(frames, time)
        if self._plan.failures:
            seconds = time.sample / self.spec.rate
            raise PluginError(f"the plugin {self.type} failed at {seconds:.2f} s: {self._plan.failures[0].reason}")
        time.sample += frames
        return y

    def close(self) -> None:
        close_hosts(self._plan.hosts.values(), {})
