"""Plays a graph off line: the engine's player, with a file as its device. The samples of the file are the clock."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.contract.processor import BlockTime, Processor
from antiphon.kernel.errors import PluginError
from antiphon.kernel.graph.compiler import close_hosts, compile_plan
from antiphon.kernel.graph.graph import Graph, NodeSpec, in_series
from antiphon.kernel.graph.plan import Plan
from antiphon.offline.file_ends import NO_TAIL, Decay, LastBar, PaddedSource, Tail
from antiphon.offline.file_job import Fires, check_has_output

if TYPE_CHECKING:
    from pathlib import Path

    from antiphon.kernel.engine.graph_player import GraphPlayer
    from antiphon.kernel.plugins.loader import Loaded
    from antiphon.kernel.session.actions import Action
    from antiphon.kernel.session.commands import Command
    from antiphon.offline.note_file import TimedScore
    from antiphon.offline.replay import ReplayedTracks

GAIN = 3
"""Index of the gain among the cells of `out`."""
COUNTS = ("missed", "dropped", "alone")
"""Read-only parameters in which a processor counts lost notes, or notes that it did not play."""
Make = Callable[[str], Processor]


class FilePlayer:
    """Plays a graph over a source, with commands at samples and beats.

    Attributes:
        spec: Rate, block size and channels.
        plan: The graph as it is played, without clock, schedule and limiter.
        latency: Latency of the graph in frames.
        failures: (node, reason) of each node that failed.
        emitted: (frame of the file, event) of the events that a `plugin` has emitted.
        beyond: Number of blocks with a frame beyond full scale, before the limiter, which bends more and for longer.
        listener: Called after each block with the plan, the input, the output and the block's first sample.
    """

    def __init__(
        self,
        graph: Graph,
        catalog: Catalog,
        make: Make,
        spec: StreamSpec,
        tempo: float = 120.0,
        commands: Sequence[Command] = (),
        pairs: Sequence[str] = (),
        plugin: str = "",
    ) -> None:
        """Prepares the nodes.

        `pairs`: pairs of the output, as in `output_buses`, if there are several. `plugin`: type of the only processor,
        whose sound is taken before the volume and the limiter of the output, so that gain 1 leaves samples unchanged;
        its failure is an error. Raises NodeError: a node cannot be prepared.
        """
        ids = {node.name: number for number, node in enumerate(graph.nodes, 1)}
        actions: list[Action] = []
        if commands:
            from antiphon.offline.commands import convert_to_actions, settle  # the session's modules

            graph, commands = settle(graph, catalog, commands)
            ids, actions = convert_to_actions(graph, catalog, spec.rate, commands)
        self.spec, self.plugin, self._tempo, self._actions = spec, plugin, tempo, actions
        self._names = {number: name for name, number in ids.items()}
        self.listener: Callable[[Plan, Samples, Samples, int], None] | None = None
        self.plan = compile_plan(graph, catalog, make, spec, ids)
        self._hosts = self.plan.hosts
        self._counts = {
            (ids[node.name], cell): (node.name, param)
            for node in graph.nodes
            for cell, param in enumerate(catalog[node.type].cells)
            if param.readonly and param.name in COUNTS
        }
        self._tracks: ReplayedTracks | None = None
        self._pairs: ChosenPairs | None = None
        if len(pairs) > 1:
            from antiphon.kernel.engine.levels import ChosenPairs

            self._pairs = ChosenPairs(pairs, spec)
        # of a plugin without sound, which emits events, no sound has the latency to the output
        self.latency = max(self.plan.latency, self._hosts[1].latency) if plugin else self.plan.latency
        self.failures: list[tuple[str, str]] = []
        self.emitted: list[tuple[int, Event]] = []
        self.beyond = 0
        self._begin()

    def _begin(self) -> None:
        """Sets the clock to the first sample, with all actions still to come."""
        self._time = BlockTime()
        self._plain = bool(self.plugin) and not self._actions
        if self._plain:
            return
        from antiphon.kernel.engine.action_schedule import CAPACITY, apply_to_clock
        from antiphon.kernel.engine.graph_player import GraphPlayer
        from antiphon.kernel.session.commands import Beat, Sample, SetTempo

        self._most, self._apply_to_clock = CAPACITY // 2, apply_to_clock
        self._player = GraphPlayer(self.spec, self._tempo)
        self._player.load(self.plan, 1, 0.0)
        self._by_sample: list[tuple[int, int, Action]] = []
        self._by_beat: list[tuple[float, int, Action]] = []
        self._changes: deque[tuple[int, Action]] = deque()
        for place, action in enumerate(self._actions):
            if self.plugin and isinstance(action, SetTempo) and isinstance(action.when, Sample) and action.when.n:
                self._changes.append((action.when.n, action))
            elif isinstance(action.when, Beat):
                self._by_beat.append((action.when.b, place, action))
            else:
                self._by_sample.append((action.when.n if isinstance(action.when, Sample) else 0, place, action))
        heapq.heapify(self._by_sample)
        heapq.heapify(self._by_beat)

    def record(self, tracks: ReplayedTracks) -> None:
        """Keeps each strip's sound too, from the first block on."""
        self._player.strips.keep(True)
        self._tracks = tracks

    @property
    def clock(self) -> BlockTime:
        """The clock at the beginning of the last block."""
        return self._time if self._plain else self._player.time

    @property
    def gain(self) -> float:
        """Level of the output, dB."""
        from antiphon.kernel.graph.io_nodes import OUT_NUMBER

        end = self._player.host(OUT_NUMBER)
        assert end is not None
        return float(end.cells[GAIN].target)

    @property
    def dropped(self) -> int:
        """Number of commands dropped by a full schedule."""
        return self._player.counters.schedule_dropped

    @property
    def overflow(self) -> int:
        """Number of events that did not fit into their block, and came later or never."""
        return 0 if self._plain else self.dropped + self._player.counters.late + self._player.waiting

    @property
    def processor(self) -> Processor:
        """The processor of the first node."""
        return self._hosts[1].processor

    def vocabularies(self) -> dict[str, Mapping[str, tuple[str, ...]]]:
        """Vocabularies of the nodes' text parameters, by node and parameter."""
        return {self._names[number]: host.processor.vocabulary for number, host in self._hosts.items()}

    def counts(self) -> list[tuple[str, Param, int]]:
        """(node, readonly parameter, number) of the nodes' lost notes, by the names in `COUNTS`."""
        found = []
        for number, cell, value in self.plan.reports():
            if value > 0 and (number, cell) in self._counts:
                node, param = self._counts[number, cell]
                found.append((node, param, int(value)))
        return found

    def run(self, x: Samples) -> Samples:
        """Plays a block, float32 `[spec.channels, n]`, n ≤ `spec.block`; the result is valid until the next call.

        Raises PluginError: the `plugin` fails.
        """
        if self._plain:
            return self._run_plan(x)
        player: GraphPlayer = self._player
        first, frames = player.sample, x.shape[1]
        while self._by_sample and self._by_sample[0][0] < first + frames:
            player.take(heapq.heappop(self._by_sample)[2])
        # actions by beat are scheduled ahead, up to half of the schedule: a tempo change may make them due now
        while self._by_beat and len(player.schedule) < self._most:
            player.take(heapq.heappop(self._by_beat)[2])
        limited = player.counters.limited_blocks
        y = player.run(x)
        # a block has the tempo of its first frame, so that the notes of a written file are on its beats
        while self._changes and self._changes[0][0] <= player.sample:
            self._apply_to_clock(player.tempo, *self._changes.popleft())
        raw = player.buses.source
        if self.plugin and raw is not None:
            y = raw[:, :frames]
            self._take_events(first)
        elif player.counters.limited_blocks > limited and raw is not None:
            self.beyond += bool(np.abs(raw[:, :frames]).max(initial=0.0) * 10.0 ** (self.gain / 20.0) > 1.0)
        if self._tracks is not None:
            self._tracks.keep(player, first, x, y)
        if self.listener is not None:
            self.listener(self.plan, x, y, first)
        while player.reports:
            report = player.reports.popleft()
            if report.kind == "failed":
                self._check(first, report.text)
                self.failures.append((self._names[report.node], report.text))
        return y if self._pairs is None else self._pairs.gather(player.buses)[:, :frames]

    def _run_plan(self, x: Samples) -> Samples:
        """Plays a block of a plugin without notes and triggers, which needs no schedule: the same samples sooner."""
        plan, time, frames = self.plan, self._time, x.shape[1]
        first = time.sample
        time.beat = first / (self.spec.rate * 60.0) * self._tempo
        time.tempo = self._tempo
        plan.input[:, :frames] = x
        y = plan.run(frames, time)
        if plan.failures:
            self._check(first, plan.failures[0].reason)
        self._take_events(first)
        time.sample += frames
        return y

    def _take_events(self, first: int) -> None:
        for _, events in self.plan.emitted_events(1):
            self.emitted += [(max(0, first + event.offset - self.latency), event) for event in events]

    def _check(self, first: int, reason: str) -> None:
        if self.plugin:
            raise PluginError(f"the plugin {self.plugin} failed at {first / self.spec.rate:.2f} s: {reason}")

    def play(
        self,
        source: Iterable[Samples] = (),
        frames: int | None = None,
        progress: Callable[[int], None] | None = None,
        tail: Tail = NO_TAIL,
    ) -> Iterator[Samples]:
        """Plays a source, removes the latency, and appends the tail.

        Blocks are float32 `[channels, n]`, valid until the next; mono goes to all channels. `frames`: length of the
        output without the tail, padded with silence; None for the source's. `progress` is called with the number of
        frames so far.
        """
        skip, done, ran = self.latency, 0, 0
        fed = PaddedSource(source, self.spec, frames, self.latency + round(tail.seconds * self.spec.rate))
        decay, last = Decay(tail.level), LastBar(tail, self.spec.rate)
        for x in fed.blocks():
            y = self.run(x)
            ran += x.shape[1]
            if tail.bar and fed.length is not None and ran > fed.length and self.clock.playing:
                last.add_beat(ran - x.shape[1] - fed.length, self.clock.beat)
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

    def sound(self, source: Iterable[Samples] = (), frames: int | None = None) -> Samples:
        """Plays a source as `play` does, closes the processors, and returns the whole, float32 `[channels, frames]`."""
        try:
            parts = [part.copy() for part in self.play(source, frames)]
        finally:
            self.close()
        return np.concatenate([np.zeros((self.spec.channels, 0), np.float32), *parts], axis=1)

    def pass_over(self, source: Iterable[Samples], frames: int, behind: int | None = None) -> None:
        """Plays at most `frames` frames of a source without output, and goes back to its beginning.

        The processors keep what they have learned (`Processor.rewind`). `behind`: as of `PaddedSource`.
        """
        for x in PaddedSource(source, self.spec, frames, behind).blocks():
            self.run(x)
        for host in self._hosts.values():
            host.processor.rewind()
        self.emitted.clear()
        self._begin()

    def close(self) -> None:
        """Closes the processors, which may hold slots of workers."""
        close_hosts(self._hosts.values(), {})


def patch_player(name_or_path: str | Path, loaded: Loaded, spec: StreamSpec, *, trusted: bool = True) -> FilePlayer:
    """FilePlayer of a patch by name or, if `trusted`, by file. Raises `AntiphonError`: it cannot be played."""
    from antiphon.kernel.graph.patch import load

    return FilePlayer(load(name_or_path, loaded.catalog, trusted=trusted).graph, loaded.catalog, loaded.make, spec)


def plugin_player(
    type: str,
    catalog: Catalog,
    make: Make,
    spec: StreamSpec,
    values: Mapping[str, Value] | None = None,
    fires: Fires = (),
    score: TimedScore | None = None,
) -> FilePlayer:
    """FilePlayer of a plugin as the only node of a patch. Beside a `synth` a second one plays the drums of a score.

    `values` include the host's parameters; `fires`: triggers, each with the time in seconds at which it fires; `score`:
    notes to play, and their tempo. Raises PluginError: the plugin has no output. Raises NodeError: it cannot be
    prepared.
    """
    check_has_output(info := catalog[type])
    commands: list[Command] = []
    name = info.variant[0]
    graph = in_series([NodeSpec(name, type, dict(values or {}))], catalog)
    if fires:
        from antiphon.kernel.session.commands import Sample, SetParam

        commands += [
            SetParam(name, trigger, True, when=Sample(round(seconds * spec.rate))) for trigger, seconds in fires
        ]
    if score is not None:
        from antiphon.offline import note_file

        players = note_file.find_plugin_players(graph, catalog, score)
        graph, commands = players.graph, [*commands, *note_file.commands(score, players)]
    return FilePlayer(graph, catalog, make, spec, commands=commands, plugin=type)
