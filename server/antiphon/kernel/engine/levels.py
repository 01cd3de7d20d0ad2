"""Bypass, mute, wet and gain of master input and output, which belong to no patch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.kernel.graph.io_nodes import ENDS, IN_NUMBER, OUT_NUMBER, SILENCE
from antiphon.kernel.graph.node_host import cell_of
from antiphon.kernel.native import Audio, dsp, f32p, f64, i64, kernel

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


RISE = 0.010
"""Seconds of the fade-in."""
FALL = 0.020
"""Seconds of the fade-out before the device is closed."""


class Edges:
    """Fade-in at an engine's first plan, after missed blocks and a panic; fade-out once, at the end.

    The input fades in at once, so that its first frame makes no step in an echo either. The output fades in `wait`
    frames later, after the plan's latency: a source without an input behind a delay line begins only then. `wait`:
    frames of silence before the output's fade-in.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self._rise, self._fall = max(1, round(RISE * spec.rate)), max(1, round(FALL * spec.rate))
        self._lead = -self._fall % spec.block
        self._steps = np.arange(1, spec.block + 1, dtype=np.float32)
        self._curve, self._cube = np.zeros((2, spec.block), np.float32)
        self.rising = self.wait = 0  # frames until the output has its full level; 0 when no fade-in is under way
        self._falling = -1

    def rise(self, wait: int = 0) -> None:
        """Starts a fade-in with the next block. `wait` is the plan's latency in frames."""
        self.rising, self.wait = wait + self._rise, wait

    def fall(self) -> None:
        """Starts the fade-out with the next block; it reaches silence with the last frame of a block."""
        if self._falling < 0:
            self._falling = self._lead + self._fall

    @property
    def over(self) -> bool:
        """True once the fade-out has ended; the output is silent from here."""
        return self._falling == 0

    @property
    def rests(self) -> bool:
        """True while no fade is active."""
        return not self.rising and self._falling < 0

    def into(self, x: Samples, frames: int) -> None:
        """Applies the fade-in to a block of input `[channels, frames]`, in place."""
        elapsed = self.wait + self._rise - self.rising
        if self.rising and elapsed < self._rise:
            self._apply_rise(x, elapsed, frames)

    def out(self, x: Samples, frames: int) -> None:
        """Applies both fades to a block of output `[channels, frames]`, in place; once a block, after `into`."""
        if self.rising:
            self._apply_rise(x, self._rise - self.rising, frames)
            self.rising = max(0, self.rising - frames)
        if self._falling >= 0:
            curve = np.subtract(self._falling, self._steps[:frames], out=self._curve[:frames])
            self._scale(x, np.divide(curve, self._fall, out=curve))
            self._falling = max(0, self._falling - frames)

    def _apply_rise(self, x: Samples, elapsed: int, frames: int) -> None:
        """Scales `x` by the fade-in. `elapsed` is frames since its start; negative before it."""
        curve = np.add(self._steps[:frames], elapsed, out=self._curve[:frames])
        self._scale(x, np.divide(curve, self._rise, out=curve))

    def _scale(self, x: Samples, line: Samples) -> None:
        """Scales by 3c² - 2c³ of a line c from 0 to 1: a fade with a corner at either end is heard as a tick."""
        np.minimum(np.maximum(line, 0.0, out=line), 1.0, out=line)
        square = np.multiply(line, line, out=self._cube[: line.size])
        np.subtract(3.0, np.multiply(line, 2.0, out=line), out=line)
        dsp.scale(x, np.multiply(square, line, out=line), line.size)
