"""Connects prepared nodes into a plan by a graph's wires, with latency compensation at each node."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.ports import MIXED, PORT, Port
from antiphon.kernel.contract.processor import IO, BlockTime, Event
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph.graph import IN, OUT, End, Graph, Wire
from antiphon.kernel.graph.modulation import Modulation
from antiphon.kernel.graph.names import BUSES, CUE
from antiphon.kernel.graph.native.plan import NodeStep
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.graph.wire_signals import DelayLine, FeedbackDelay, InputMix, NoteWire, SourceKey, WireKey

MAX_LATENCY_SECONDS = 10.0
"""Longest latency of a path through a graph; it bounds the memory of delay lines."""


class Wiring:
    """Connects the hosts of one plan; for one use."""

    def __init__(
        self,
        graph: Graph,
        hosts: Mapping[int, NodeHost],
        spec: StreamSpec,
        ids: Mapping[str, int],
        back: Collection[Wire],
    ) -> None:
        """Output buffers of all nodes; `back`: wires that close a cycle, by `graph.order`."""
        self._graph, self._hosts, self._spec, self._ids, self._back = graph, hosts, spec, ids, back
        self._source = np.zeros((spec.channels, spec.block), np.float32)
        self._played = np.zeros_like(self._source)
        self._buffers: dict[End, Samples] = {End(IN, IN): self._source, End(OUT, OUT): self._played}
        self._events: dict[End, tuple[list[Event], int]] = {}
        self._ios: dict[str, IO] = {}
        self._lag: dict[str, int] = {IN: 0, OUT: 0}
        self._lines: dict[WireKey, DelayLine] = {}
        self._feedbacks: dict[WireKey, FeedbackDelay] = {}
        for node in graph.nodes:
            self._lay_out(node.name, hosts[ids[node.name]])

    def _lay_out(self, name: str, host: NodeHost) -> None:
        io = self._ios[name] = IO((), (), host.by_name, BlockTime())
        for port, out in zip(_signals(host.info.outputs), host.outs, strict=True):
            self._buffers[End(name, port.name)] = out
        for port in host.info.outputs:
            if port.kind == "events":
                self._events[End(name, port.name)] = io.events_out, port.midi

    def plan(self, names: Iterable[str]) -> Plan:
        """Plan of nodes in this order; `PatchError` where a latency exceeds `MAX_LATENCY_SECONDS`."""
        steps = [self._step(name) for name in names]
        arriving = {port: self._arriving(End(OUT, port)) for port in (OUT, *BUSES)}
        latency = self._latest(end for port, ends in arriving.items() if port != CUE for end in ends)
        lines: list[DelayLine] = []
        last = self._mix(arriving[OUT], End(OUT, OUT), self._spec.channels, latency, lines)
        # the cue is not latency-compensated: monitoring is as early as possible
        buses = tuple(
            self._mix(arriving[bus], End(OUT, bus), 2, self._latest(arriving[bus]) if bus == CUE else latency, lines)
            for bus in BUSES
        )
        heard = any(wire.source.node == OUT for wire in self._graph.wires)
        strips = {self._strip(end): sound for end, sound in zip(arriving[OUT], last.sources, strict=False)}
        return Plan(
            self._spec, self._graph, self._hosts, latency, self._source, last.buffer, steps, last, tuple(lines),
            tuple(self._feedbacks.values()), buses=buses, played=self._played if heard else None,
            strips={name: (number, sound) for (name, number), sound in strips.items()},
            _lines=self._lines, _back=self._feedbacks,
        )  # fmt: skip

    def _strip(self, end: End) -> tuple[str, int]:
        """Name and number of what a signal adds to the output: those of its node, and for a further port its own."""
        if end.node not in self._ids:
            return end.node, MIXED
        number = self._ids[end.node]
        place = [port.name for port in _signals(self._hosts[number].info.outputs)].index(end.port)
        return (f"{end.node}.{end.port}" if place else end.node), MIXED + number + place * PORT

    def _step(self, name: str) -> NodeStep:
        host = self._hosts[self._ids[name]]
        ports = _signals(host.info.inputs)
        modulated = _modulated(self._graph, name, host.info)
        channels = {port.name: port.channels or self._spec.channels for port in ports} | dict.fromkeys(modulated, 1)
        sources = {inlet: self._arriving(End(name, inlet)) for inlet in channels}
        at = self._latest(end for ends in sources.values() for end in ends)
        self._delay(name, at + host.latency)
        lines: list[DelayLine] = []
        # a node that shortens its delay, because it closes a cycle, gets its other inputs as late as the cycle's
        mixes = tuple(
            self._mix(ends, End(name, inlet), channels[inlet], at + host.feedback, lines)
            for inlet, ends in sources.items()
        )
        moves = tuple(
            Modulation(host.by_name[param], mix.buffer, self._spec.rate)
            for param, mix in zip(modulated, mixes[len(ports) :], strict=True)
        )
        return NodeStep(
            host, mixes, tuple(lines), self._ios[name], [mix.view for mix in mixes[: len(ports)]], list(host.outs),
            self._notes(name), moves, self._needed(name), tuple(sources),
        )  # fmt: skip

    def _delay(self, name: str, lag: int) -> None:
        """Stores a node's output latency relative to the plan's input, in frames."""
        rate = self._spec.rate
        if lag > MAX_LATENCY_SECONDS * rate:
            raise PatchError(f"{name} would lag by {lag / rate:.1f} s; at most {MAX_LATENCY_SECONDS:g} s")
        self._lag[name] = lag

    def _arriving(self, dest: End) -> list[End]:
        """The signal outputs that are wired to `dest`, without wires that close a cycle."""
        return [
            wire.source
            for wire in self._graph.wires
            if wire.dest == dest and wire not in self._back and wire.source in self._buffers
        ]

    def _latest(self, ends: Iterable[End]) -> int:
        return max((self._lag[end.node] for end in ends), default=0)

    def _mix(self, sources: Sequence[End], dest: End, channels: int, to: int, lines: list[DelayLine]) -> InputMix:
        """Mix of sources at one input, each delayed to a latency of `to` frames; new delay lines go to `lines`."""
        buffers: list[Samples] = []
        keys: set[SourceKey] = set()
        for end in sources:
            extra = to - self._lag[end.node]
            keys.add((self._ids.get(end.node, 0), end.port, max(0, extra)))
            if extra > 0:
                line = self._lines[self._key(end, dest, extra)] = DelayLine(self._sound(end, dest), extra)
                lines.append(line)
                buffers.append(line.out)
            else:
                buffers.append(self._sound(end, dest))
        for wire in self._graph.wires:
            if wire in self._back and wire.dest == dest:
                loop = self._feedbacks[self._key(wire.source, dest, 0)] = FeedbackDelay(self._buffers[wire.source])
                buffers.append(loop.out)
                keys.add((self._ids[wire.source.node], wire.source.port, -1))
        return InputMix(buffers, channels, self._spec.block, frozenset(keys))

    def _sound(self, source: End, dest: End) -> Samples:
        """Source buffer of a wire; for the cue, a node's first output before its mute."""
        buffer = self._buffers[source]
        if dest == End(OUT, CUE) and source.node in self._ids:
            host = self._hosts[self._ids[source.node]]
            if buffer is host.outs[0]:
                if host.unmuted is None:
                    host.unmuted = np.zeros_like(buffer)
                return host.unmuted
        return buffer

    def _key(self, source: End, dest: End, extra: int) -> WireKey:
        ids, channels = self._ids, self._buffers[source].shape[0]
        return ids.get(source.node, 0), source.port, ids.get(dest.node, 0), dest.port, extra, channels

    def _notes(self, name: str) -> tuple[NoteWire, ...]:
        return tuple(
            NoteWire((self._ids[wire.source.node], wire.source.port), *self._events[wire.source])
            for wire in self._graph.wires
            if wire.dest.node == name and wire.source in self._events
        )

    def _needed(self, name: str) -> frozenset[int]:
        """Nodes whose output of the same block a node depends on, by number."""
        return frozenset(
            self._ids[wire.source.node]
            for wire in self._graph.wires
            if wire.dest.node == name and wire.source.node in self._ids and wire not in self._back
        )


def _signals(ports: Iterable[Port]) -> list[Port]:
    return [port for port in ports if port.signal]


def _modulated(graph: Graph, name: str, info: ProcessorInfo) -> list[str]:
    ends = {wire.dest.port for wire in graph.wires if wire.dest.node == name}
    return [p.name for p in info.cells if p.name in ends and info.port(p.name, "in") is None]
