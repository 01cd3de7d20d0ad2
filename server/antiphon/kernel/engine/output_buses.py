"""Output channels of a player: the main ones, the other pairs, and the cue; and the selection a device plays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.engine.player_reports import PlayerCounters
from antiphon.kernel.graph.graph import OUT, Graph
from antiphon.kernel.graph.names import BUSES, CUE
from antiphon.kernel.graph.plan import Sounding
from antiphon.kernel.native import dsp
from antiphon.kernel.native.dsp import limit, release_fall

FIRST = "1-2"
"""Name of the main pair, `OUT` itself."""


class OutputBuses:
    """Output channels of one player.

    `channels`: float32 `[spec.channels + 2 * len(BUSES), block]`: the output, then the buses in their order.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self.channels: Samples = np.zeros((spec.channels + 2 * len(BUSES), spec.block), np.float32)
        self._buses, self._block = self.channels[spec.channels :], spec.block
        self.sounding: Sounding = ()
        self._spec, self._fall = spec, release_fall(spec.rate)
        self.reductions = np.zeros(1 + len(BUSES), np.float64)
        self._at, self._reductions_at = self.channels.ctypes.data, self.reductions.ctypes.data

    def take(self, sounding: Sounding, frames: int) -> None:
        """Copies a block of the buses with a signal; the others are silent."""
        if sounding or self.sounding:
            self._buses.fill(0.0)
        for place, sound in sounding:
            self._buses[2 * place : 2 * place + 2, :frames] = sound[:, :frames]
        self.sounding = sounding

    def guard(self, counters: PlayerCounters, frames: int) -> None:
        """Limits the output and each bus to full scale: an output with NaN becomes silence."""
        channels, block = self._spec.channels, self._block
        if dsp.peak.call(self._at, block, channels, frames) < 0.0:
            counters.nan_blocks += 1
            self.channels[:channels, :frames] = 0.0
            self.reductions[0] = 0.0
        elif limit.call(self._at, block, self._reductions_at, self._fall, channels, frames):
            counters.limited_blocks += 1
        for place, _ in self.sounding:
            at = self._at + 4 * block * (channels + 2 * place)
            limit.call(at, block, self._reductions_at + 8 * (1 + place), self._fall, 2, frames)


class ChosenPairs:
    """Gathers the channels of a device, or of a file, from those of a player.

    `rows`: the player's channel of each, int64.
    """

    def __init__(self, pairs: Sequence[str], spec: StreamSpec) -> None:
        """`pairs`: `FIRST`, or a name of `BUSES`, for each two channels."""
        first = [-2 if pair == FIRST else BUSES.index(pair) * 2 for pair in pairs]
        self.rows = np.array([spec.channels + place + side for place in first for side in (0, 1)], np.int64)
        self._gathered = np.zeros((len(self.rows), spec.block), np.float32)

    def gather(self, buses: OutputBuses) -> Samples:
        """Selected pairs of the last block, float32 `[2 * pairs, block]`, valid until the next call."""
        return np.take(buses.channels, self.rows, axis=0, out=self._gathered, mode="clip")


def pairs_of(graph: Graph, cue: str = "") -> tuple[str, ...]:
    """Pairs of a file: up to the last one a wire of the graph names. `cue`: the pair that holds the cue."""
    used = [BUSES.index(wire.dest.port) for wire in graph.wires if wire.dest.node == OUT and wire.dest.port in BUSES]
    return device_pairs(max((2 * n + 4 for n in used if BUSES[n] != CUE), default=2), cue)


def device_pairs(channels: int, cue: str = "") -> tuple[str, ...]:
    """Pairs played by a device of `channels` channels, extended up to pair `cue`, which the cue replaces."""
    pairs = (FIRST, *BUSES[: max(channels, BUSES.index(cue) * 2 + 4 if cue else 2) // 2 - 1])
    return tuple(CUE if pair == cue else pair for pair in pairs)
