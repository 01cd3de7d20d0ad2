"""What the stage does with the graph's two ends: the performer's levels before and behind any patch."""

from __future__ import annotations

import math
from typing import Any

from antiphon.contract.block import Samples, StreamSpec
from antiphon.contract.catalog import ProcessorInfo
from antiphon.contract.parameter_cell import ParamCell
from antiphon.graph.io_nodes import ENDS, IN_NUMBER, OUT_NUMBER, SILENCE
from antiphon.graph.node_host import cell_of
from antiphon.native import Audio, f32p, f64, i64, kernel

_NEPER = math.log(10.0) / 20.0
_OPEN = SILENCE + 1.0


@kernel
def levels_apply(x: Audio, bypass: f32p, mute: f32p, wet: f32p, gain: f32p, frames: i64) -> None:
    """x ← x by `gain` dB, as a node with bypass, mute and wet; the last dB above `SILENCE` closes to nothing."""
    for n in range(frames):
        level = f64(gain[n])
        g = math.exp(_NEPER * level)
        g = g * (level - SILENCE) if level < _OPEN else g
        g = 0.0 if level <= SILENCE else g
        share = (1.0 - f64(bypass[n])) * f64(wet[n])
        g = (1.0 + (g - 1.0) * share) * (1.0 - f64(mute[n]))
        for c in range(x.channels):
            x[c, n] = x[c, n] * g


class MasterLevel:
    """One end: it takes what a node takes, and cannot fail."""

    failed = forced = ""

    def __init__(self, info: ProcessorInfo, spec: StreamSpec) -> None:
        self.cells = tuple(cell_of(param, spec, param.default) for param in info.cells)
        self._bypass, self._mute, self._wet, self._gain = self.cells
        self._active: list[ParamCell] = []

    def post(self, cell: int, offset: int, number: float, ramp: float) -> bool:
        """A parameter change at a frame of the coming block."""
        target = self.cells[cell]
        if target not in self._active:
            self._active.append(target)
        return target.post(offset, number, ramp)

    def reset(self) -> None:
        """There is nothing to forget."""

    def resume(self, states: list[tuple[float, float, int, int]]) -> None:
        for cell, state in zip(self.cells, states, strict=True):
            cell.resume(state)
        self._active = list(self.cells)

    def run(self, x: Samples, sample: int, frames: int) -> None:
        """In place, from `sample` on. Nothing is done at rest at 0 dB: the very samples pass."""
        if not self._active and self._gain.target == 0.0 and self._mute.target == 0.0:
            return
        for cell in self._active:
            cell.render(sample, frames)
        levels_apply(x, self._bypass.full, self._mute.full, self._wet.full, self._gain.full, frames)
        if self._active:
            self._active = [cell for cell in self._active if cell.settle(sample + frames)]


class Levels:
    """ends: the two by number. They outlive every plan."""

    def __init__(self, spec: StreamSpec) -> None:
        self.ends = {number: MasterLevel(info, spec) for number, info in ENDS.values()}
        self.into, self.out = self.ends[IN_NUMBER].run, self.ends[OUT_NUMBER].run

    def state(self) -> dict[str, Any]:
        return {str(number): [cell.state() for cell in end.cells] for number, end in self.ends.items()}

    def resume(self, cells: dict[str, Any]) -> None:
        for number, end in self.ends.items():
            if str(number) in cells:
                end.resume([tuple(held) for held in cells[str(number)]])
