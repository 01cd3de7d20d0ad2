"""What a live script hears while a file is rendered: the notes that nodes emit, and levels that rise, as live."""

from __future__ import annotations

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

LATER = 0.1
"""Seconds from what was heard to the beat at which a script is given it: as live, where that much was sent ahead."""
METER_HZ = 60
"""How often levels are read, as in the engine."""
GRID = 1024
"""Parts of a beat in which a script is given what was heard."""
MOST_ROUNDS = 8
"""How often a script is performed for what its own answers have it hear."""
_QUIETEST = 1e-12
Cue = tuple[Fraction, str, object]
"""Beat, name and value."""


class BlockListener:
    """Listens to the blocks of a rendering.

    Attributes:
        heard: (sample, name of the cue, value) in order.
    """

    def __init__(self, nodes: Iterable[str], levels: Sequence[tuple[str, float]], rate: int, block: int) -> None:
        """Listens to nodes.

        Args:
            nodes: Whose notes are heard.
            levels: Nodes, `in` and `out` too, with values in dB that their levels are to rise above.
            rate: Hz.
            block: Frames.
        """
        self.heard: list[tuple[int, str, object]] = []
        self._nodes, self._above = frozenset(nodes), dict.fromkeys(levels, False)
        self._every, self._blocks = max(1, round(rate / block / METER_HZ)), 0

    def block(self, plan: Plan, x: Samples, y: Samples, sample: int) -> None:
        """Hears a block. x, y: The input and the output. sample: Its first."""
        for number, events in plan.emitted(-1):
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
        """What was heard as cues at beats. events: That set the tempo. tempo: Of the patch."""
        times = tempo_map(events, rate, tempo)
        later = round(LATER * rate)
        return [(Fraction(math.ceil(times.beat_at(at + later) * GRID), GRID), name, v) for at, name, v in self.heard]


def tempo_map(events: Iterable[LiveEvent], rate: int, tempo: float, before: Fraction | None = None) -> TempoMap:
    """The times of beats by the tempo that events set.

    Args:
        events: In order.
        rate: Hz.
        tempo: Of the patch, bpm.
        before: Events from here on are left out.
    """
    times = TempoMap(rate, tempo, end_bpm=tempo)
    for event in events:
        if event.address == "/tempo" and (before is None or event.beat < before):
            bpm, *over = (float(value) for value in event.args)
            times.set_tempo(round(times.sample_at(float(event.beat))), bpm, *over)
    return times


def _decibels(sound: Samples) -> float:
    return 10.0 * math.log10(max(float(np.mean(np.square(sound, dtype=np.float64))), _QUIETEST))
