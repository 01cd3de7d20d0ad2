"""Runs files block by block through the live code, with latency removal.

The file's samples are the clock. `PlanRunner` runs one processor, for `antiphon run`; `rendering.PlayerRunner` runs a
whole patch with the graph player of the engine, for `antiphon render`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import Catalog, defaults
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.params import Value
from antiphon.kernel.contract.processor import BlockTime, Processor
from antiphon.kernel.errors import PluginError
from antiphon.kernel.graph.clock import TempoMap
from antiphon.kernel.graph.compiler import close_hosts, compile_plan
from antiphon.kernel.graph.graph import Graph, NodeSpec, in_series
from antiphon.offline.file_ends import NO_TAIL, Decay, LastBar, Tail
from antiphon.offline.file_job import check_has_output

if TYPE_CHECKING:
    from antiphon.offline.note_file import TimedScore

Make = Callable[[str], Processor]
MAX_LOOK_AHEAD_SECONDS = 1800.0
"""Maximum seconds of a file for a processor's look-ahead pass, which stores its analysis."""


class BlockRunner(Protocol):
    """Maps each block to a block of equal length, with a latency.

    `spec`: rate, block size and channels; `latency`: frames.
    """

    spec: StreamSpec
    latency: int

    def run(self, x: Samples) -> Samples:
        """Runs a block, float32 `[spec.channels, n]`, n ≤ `spec.block`; the result is valid until the next call."""
        ...

    def close(self) -> None:
        """Closes the processors, which may hold slots of workers."""


def process_stream(
    source: Iterable[Samples],
    runner: BlockRunner,
    frames: int | None = None,
    progress: Callable[[int], None] | None = None,
    tail: Tail = NO_TAIL,
    beat: Callable[[], float | None] | None = None,
) -> Iterator[Samples]:
    """Runs a source, removes the latency, and appends the tail.

    Blocks are float32 `[channels, n]`, valid until the next; mono goes to all channels. `frames`: length of the output
    without the tail, padded with silence; None for the source's. `progress` is called with the number of frames so far.
    `beat`: the beat at the beginning of the last block, for a tail that ends with a bar; None while the clock is
    stopped.
    """
    skip, done, ran = runner.latency, 0, 0
    fed = PaddedSource(source, runner.spec, frames, runner.latency + round(tail.seconds * runner.spec.rate))
    decay, last = Decay(tail.level), LastBar(tail, runner.spec.rate)
    for x in fed.blocks():
        y = runner.run(x)
        ran += x.shape[1]
        if beat is not None and fed.length is not None and ran > fed.length and (now := beat()) is not None:
            last.note(ran - x.shape[1] - fed.length, now)
        part = y[:, min(skip, y.shape[1]) :]
        skip -= y.shape[1] - part.shape[1]
        # while the length of the source is unknown, all of the part lies before its end
        here = part.shape[1] if fed.length is None else min(part.shape[1], max(0, fed.length - done))
        if here:
            yield part[:, :here]
        if here < part.shape[1]:
            for piece in decay.take(part[:, here:]):
                if tail.bar:
                    last.take(piece)
                else:
                    yield piece
        done += part.shape[1]
        if progress is not None and part.shape[1]:
            progress(done)
    yield from last.end()


class PaddedSource:
    """Re-blocks the source and `behind` frames of silence after it into one reused array."""

    def __init__(self, source: Iterable[Samples], spec: StreamSpec, frames: int | None = None, behind: int = 0) -> None:
        self._source, self._spec, self._behind = source, spec, behind
        self.length = frames  # frames of the source, or those requested; None until the length is known

    def blocks(self) -> Iterator[Samples]:
        """Yields the blocks, float32 `[channels, block]`, the last one as long as what is left."""
        spec, frames = self._spec, self.length
        buffer = np.zeros((spec.channels, spec.block), np.float32)
        at = filled = 0
        for samples in self._source:
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
        self.length = at if frames is None else frames
        if not self.length:
            return
        silent = self.length - at + self._behind
        while silent or filled:
            n = min(silent, spec.block - filled)
            buffer[:, filled : filled + n] = 0.0
            yield buffer[:, : filled + n]
            silent, filled = silent - n, 0


@dataclass(frozen=True, slots=True)
class TimedTrigger:
    """A trigger parameter to fire at a sample."""

    sample: int
    param: str


class PlanRunner:
    """Runs one processor as the only node of a graph, without a limiter, so that gain 1 leaves samples unchanged.

    Beside a `synth` a second one, with its values, plays the drums of a score.

    `emitted`: (frame of the file, event) of the events that the processor has emitted.
    """

    def __init__(
        self,
        type: str,
        catalog: Catalog,
        make: Make,
        spec: StreamSpec,
        values: Mapping[str, Value] | None = None,
        firings: Sequence[TimedTrigger] = (),
        score: TimedScore | None = None,
    ) -> None:
        """Prepares the processor.

        `values` include the host's parameters; `score`: notes to play, and their tempo. Raises PluginError: the
        processor has no output. Raises NodeError: it cannot be prepared.
        """
        self.spec, self.type = spec, type
        info = catalog[type]
        check_has_output(info)
        graph = in_series([NodeSpec(info.variant[0], type, dict(values or {}))], catalog)
        drums: dict[int, int] = {}
        if score is not None and type == "synth":
            graph, drums = _add_kit(graph, catalog, score)
        self._plan = compile_plan(graph, catalog, make, spec, {node.name: n for n, node in enumerate(graph.nodes, 1)})
        self._host = self._plan.hosts[1]
        self._hosts = {channel: self._plan.hosts[number] for channel, number in drums.items()}
        before = info.on_files.preroll
        self._preroll = round(float({**defaults(info), **(values or {})}[before]) * spec.rate) if before else 0
        self.latency = self._host.latency
        self._cells = {param.name: place for place, param in enumerate(info.cells)}
        self._firings = sorted(firings, key=lambda f: f.sample)
        self._waiting = deque(self._firings)
        self._events = deque(score.events if score is not None else ())
        self._changes = deque(score.tempo if score is not None else ())
        self._tempo = TempoMap(spec.rate, beat=(score.begins or 0.0) if score is not None else 0.0)
        self._time = BlockTime()
        self.emitted: list[tuple[int, Event]] = []
        self.dropped = 0

    def run(self, x: Samples) -> Samples:
        """Runs a block; see `BlockRunner`. Raises PluginError if the processor fails."""
        frames, time, host = x.shape[1], self._time, self._host
        end = time.sample + frames
        while self._waiting and self._waiting[0].sample < end:
            firing = self._waiting.popleft()
            host.post(self._cells[firing.param], firing.sample - time.sample, 1.0, 0.0)
        while self._events and self._events[0][0] < end:
            at, event = self._events.popleft()
            self.dropped += not self._hosts.get(event.channel, host).play(event.moved(at - time.sample))
        while self._changes and self._changes[0][0] <= time.sample:
            self._tempo.set_tempo(*self._changes.popleft())
        time.beat, time.tempo = self._tempo.beat_at(time.sample), self._tempo.tempo_at(time.sample)
        while self._changes and self._changes[0][0] < end:
            self._tempo.set_tempo(*self._changes.popleft())
        self._plan.input[:, :frames] = x
        y = self._plan.run(frames, time)
        if self._plan.failures:
            seconds = time.sample / self.spec.rate
            raise PluginError(f"the plugin {self.type} failed at {seconds:.2f} s: {self._plan.failures[0].reason}")
        for _, events in self._plan.emitted(1):
            self.emitted += [(max(0, time.sample + e.offset - self.latency), e) for e in events]
        time.sample = end
        return y

    def heard(self, told: Any) -> None:
        """Passes the plugin's analysis of the file to the processor."""
        self._host.processor.heard(told)

    @property
    def wants_preroll(self) -> bool:
        """True if the processor needs a preroll of the file's beginning."""
        return self._preroll > 0

    def preroll(self, source: Iterable[Samples]) -> None:
        """Runs the requested preroll of a file, without output; the file itself is to follow.

        Triggers fire here as they do in the file. `source` is float32 `[channels, n]`. Raises PluginError: the
        processor fails.
        """
        left = self._preroll
        for x in PaddedSource(source, self.spec).blocks():
            part = x[:, :left]
            self.run(part)
            left -= part.shape[1]
            if not left:
                break
        self._rewind()

    def requests_look_ahead(self, frames: int | None) -> bool:
        """True if the processor requests a look-ahead pass of `frames` frames; None is for too many to keep."""
        return self._host.processor.look_ahead(frames)

    def look_ahead(self, source: Iterable[Samples], frames: int) -> None:
        """Runs a look-ahead pass without output. Raises PluginError: the processor fails."""
        for x in PaddedSource(source, self.spec, frames, self.latency).blocks():
            self.run(x)
        self._rewind()

    def _rewind(self) -> None:
        self._host.processor.rewind()
        self._time.sample = 0
        self._waiting = deque(self._firings)
        self.emitted.clear()

    def close(self) -> None:
        close_hosts(self._plan.hosts.values(), {})


def _add_kit(graph: Graph, catalog: Catalog, score: TimedScore) -> tuple[Graph, dict[int, int]]:
    """Adds a kit to a graph with a synth, if its score needs one; the kit's number is given for each drum channel."""
    from antiphon.offline.note_file import find_song_players

    players = find_song_players(graph, catalog, score)
    if not players.said:
        return graph, {}
    played, kit = players.graph.nodes
    kit = replace(kit, values={**played.values, **kit.values})
    return replace(players.graph, nodes=(played, kit)), dict.fromkeys(score.song.drums, 2)
