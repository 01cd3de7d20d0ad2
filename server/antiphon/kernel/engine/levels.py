"""Bypass, mute, wet and gain of master input and output, which belong to no patch."""

from __future__ import annotations

import math
from typing import Any

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.kernel.graph.io_nodes import ENDS, IN_NUMBER, OUT_NUMBER, SILENCE
from antiphon.kernel.graph.node_host import cell_of
from antiphon.kernel.native import Audio, f32p, f64, i64, kernel

_NEPER = math.log(10.0) / 20.0
_OPEN = SILENCE + 1.0


@kernel
def levels_apply(x: Audio, bypass: f32p, mute: f32p, wet: f32p, gain: f32p, frames: i64) -> None:
    """Scales `x` in place by `gain` dB, combined with bypass, mute and wet (each 0 to 1 per frame).

    Over the last dB above `SILENCE` the gain falls linearly to zero.
    """
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
    """Level stage of `in` or `out`. It takes parameters as a node does, and cannot fail."""

    failed = forced = ""

    def __init__(self, info: ProcessorInfo, spec: StreamSpec) -> None:
        self.cells = tuple(cell_of(param, spec, param.default) for param in info.cells)
        self._bypass, self._mute, self._wet, self._gain = self.cells
        self._active: list[ParamCell] = []

    def post(self, cell: int, offset: int, number: float, ramp: float) -> bool:
        """Sets a parameter at frame `offset` of the next block, within `ramp` seconds.

        False when `cells[cell]` has no room for another change in this block.
        """
        target = self.cells[cell]
        if target not in self._active:
            self._active.append(target)
        return target.post(offset, number, ramp)

    def reset(self) -> None:
        """No operation: a level has no state."""

    def resume(self, states: list[tuple[float, float, int, int]]) -> None:
        """Restores the cells from their saved states, in the order of `cells`."""
        for cell, state in zip(self.cells, states, strict=True):
            cell.resume(state)
        self._active = list(self.cells)

    @property
    def rests(self) -> bool:
        """True at unity gain with no parameter change pending."""
        return not self._active and self._gain.target == 0.0 and self._mute.target == 0.0

    def run(self, x: Samples, sample: int, frames: int) -> None:
        """Applies the level to `[channels, frames]` in place, from `sample` on; at 0 dB and at rest it does nothing."""
        if self.rests:
            return
        for cell in self._active:
            cell.render(sample, frames)
        levels_apply(x, self._bypass.full, self._mute.full, self._wet.full, self._gain.full, frames)
        if self._active:
            self._active = [cell for cell in self._active if cell.settle(sample + frames)]


class Levels:
    """Level stages of input and output, unchanged by plan changes. `ends`: both by node number."""

    def __init__(self, spec: StreamSpec) -> None:
        self.ends = {number: MasterLevel(info, spec) for number, info in ENDS.values()}
        self._into, self._out = self.ends[IN_NUMBER], self.ends[OUT_NUMBER]
        self.into, self.out = self.ends[IN_NUMBER].run, self.ends[OUT_NUMBER].run

    @property
    def rests(self) -> bool:
        """True if both stages rest."""
        return self._into.rests and self._out.rests

    def state(self) -> dict[str, Any]:
        """State of each end's cells, by node number as a string."""
        return {str(number): [cell.state() for cell in end.cells] for number, end in self.ends.items()}

    def resume(self, cells: dict[str, Any]) -> None:
        """Restores what `state` returned; an end that is missing in `cells` stays as it is."""
        for number, end in self.ends.items():
            if str(number) in cells:
                end.resume([tuple(held) for held in cells[str(number)]])
