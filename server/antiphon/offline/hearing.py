"""Inputs of a live script during a rendering: notes emitted by nodes, and rising levels, with their live timing."""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.graph.clock import TempoMap
from antiphon.kernel.graph.graph import IN, OUT
from antiphon.kernel.graph.plan import Plan
from antiphon.live.listening import NOTE, level_cue
from antiphon.live.records import LiveEvent

INPUT_LATENCY = 0.1
"""Latency in seconds from an input to the beat at which a script gets it, equal to the live one with its lead time."""
METER_HZ = 60
"""Rate of level readings, as in the engine."""
GRID = 1024
"""Grid of script inputs, parts of a beat."""
MAX_ROUNDS = 8
"""Maximum passes over a script for inputs caused by its own output."""
_QUIETEST = 1e-12
Cue = tuple[Fraction, str, object]
"""A cue: beat, name and value."""


class BlockListener:
    """Collects script inputs from the blocks of a rendering."""

    def __init__(self, nodes: Iterable[str], levels: Sequence[tuple[str, float]], rate: int, block: int) -> None:
        """Creates a collector of nodes and levels.

        `levels`: nodes, including `in` and `out`, with thresholds in dB for their rising levels. `block`: frames.
        """
        self.heard: list[tuple[int, str, object]] = []  # (sample, name of the cue, value) in order
        self._nodes, self._above = frozenset(nodes), dict.fromkeys(levels, False)
        self._every, self._blocks = max(1, round(rate / block / METER_HZ)), 0

    def block(self, plan: Plan, x: Samples, y: Samples, sample: int) -> None:
        """Processes a block. `x`, `y`: input and output. `sample`: number of its first frame."""
        for number, events in plan.emitted_events(-1):
            name = plan.hosts[number].name
            if name in self._nodes:
                self.heard += [
                    (
                        sample + event.offset,
                        f"{name}{NOTE}",
                        [int(event.number), max(1, round(127 * event.value)), int(event.channel)],
                    )
                    for event in events
                    if event.kind == "on" and event.value > 0
                ]
        if self._blocks % self._every == 0 and self._above:
            sounds = {host.name: host.outs[0] for host in plan.hosts.values() if host.outs} | {IN: x, OUT: y}
            for node, above in self._above:
                sound = sounds.get(node)
                loud = sound is not None and _decibels(sound[:, : y.shape[1]]) > above
                if loud and not self._above[node, above]:
                    self.heard.append((sample + y.shape[1], level_cue(node, above), None))
                self._above[node, above] = loud
        self._blocks += 1

    def cues(self, events: Iterable[LiveEvent], rate: int, tempo: float) -> list[Cue]:
        """Collected inputs as cues at beats. `events`: tempo events. `tempo`: the patch's."""
        times = tempo_map(events, rate, tempo)
        later = round(INPUT_LATENCY * rate)
        return [(Fraction(math.ceil(times.beat_at(at + later) * GRID), GRID), name, v) for at, name, v in self.heard]


def tempo_map(events: Iterable[LiveEvent], rate: int, tempo: float, before: Fraction | None = None) -> TempoMap:
    """Tempo map of the tempo events. `tempo`: the patch's, bpm."""
    times = TempoMap(rate, tempo, end_bpm=tempo)
    for event in events:
        if event.address == "/tempo" and (before is None or event.beat < before):
            bpm, *over = (float(value) for value in event.args)
            times.set_tempo(round(times.sample_at(float(event.beat))), bpm, *over)
    return times


def _decibels(sound: Samples) -> float:
    return 10.0 * math.log10(max(float(np.mean(np.square(sound, dtype=np.float64))), _QUIETEST))
