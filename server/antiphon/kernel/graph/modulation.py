"""Modulation of parameters by control wires: a signal is added to the value that the performer has set."""

from __future__ import annotations

import math

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.native import dsp
from antiphon.native.kernel import Step

FADE = 0.010
"""Fade time in seconds of a new or removed modulation."""


class Modulation:
    """One control signal added to one parameter, with a weight that fades from 0 to 1 and back."""

    def __init__(self, cell: ParamCell, source: Samples, rate: int) -> None:
        """Begins at weight 0. `source`: float32 `[1, frames]`, in which 1 is the range of a fader; `rate` in Hz."""
        self.cell = cell
        self._source, self._stride = source[0], 1
        self._held = np.zeros(1, np.float32)
        self._weight = 0.0
        self._step = 1.0 / max(1, round(FADE * rate))
        param = cell.param
        log = param.warp == "log"
        span = math.log(param.high / param.low) if log else param.high - param.low
        self._range = dsp.ParamRange(param.low, param.high, span, int(log))

    def set_source(self, source: Samples) -> None:
        """Switches to another source buffer, float32 `[1, block]`; not after `end`."""
        if self._stride:
            self._source = source[0]

    @property
    def has_ended(self) -> bool:
        """True once the fade-out after `end` is complete."""
        return self._step < 0.0 and self._weight <= 0.0

    def begin(self, before: Modulation | None) -> None:
        """Fades in from the weight of the previous modulation of this parameter (None: from 0)."""
        self._weight = 0.0 if before is None else before._weight
        self.cell.moved = True

    def set_full_weight(self) -> None:
        """Sets the weight to 1 at once, for a node that has not run yet."""
        self._weight = 1.0
        self.cell.moved = True

    def end(self) -> None:
        """Fades out, holding the signal's last value."""
        self._source, self._stride = self._held, 0
        self._step = -abs(self._step)

    @property
    def is_steady(self) -> bool:
        """True unless it is fading in or out."""
        return self._weight >= 1.0 and self._step > 0.0

    def step(self, frames: int, time: int) -> Step:
        """Renders a parameter plus the signal of a steady modulation. `time`: sample time of the first frame."""
        keep = dsp.sample_at.step(self._source, frames - 1, self._held)
        return self.cell.line_step(frames, time).then(self._move(frames)).then(keep)

    def _move(self, frames: int) -> Step:
        return dsp.modulate.step(
            self.cell.full, self._source, self._stride, self._range, self._weight, self._step, frames
        )

    def run(self, frames: int) -> None:
        """Adds the signal to the first `frames` of the cell's rendered block."""
        self._move(frames).run()
        self._weight = min(max(self._weight + self._step * frames, 0.0), 1.0)
        if self._stride:
            self._held[0] = self._source[frames - 1]


class Modulations:
    """All modulations of one node; they persist across plan changes."""

    def __init__(self) -> None:
        self.wired: tuple[Modulation, ...] = ()
        self._leaving: list[Modulation] = []
        self.sounded = False  # the node has run, by machine code alone maybe: what is wired to it fades in

    def are_steady(self, wired: tuple[Modulation, ...]) -> bool:
        """True if `wired` are the active modulations and none is fading."""
        return self.wired is wired and not self._leaving and all(move.is_steady for move in wired)

    def rewire(self, wired: tuple[Modulation, ...]) -> list[ParamCell]:
        """Replaces the modulations from this block on; those that are missing in `wired` fade out."""
        before = {move.cell: move for move in (*self._leaving, *self.wired)}
        for move in wired:
            if self.sounded:
                move.begin(before.get(move.cell))
            else:
                move.set_full_weight()
        modulated = {move.cell for move in wired}
        self._leaving = [move for cell, move in before.items() if cell not in modulated]
        for move in self._leaving:
            move.end()
        self.wired = wired
        return list(modulated)

    def run(self, frames: int) -> None:
        """Adds all signals to the first `frames` of the cells' blocks."""
        self.sounded = True
        for move in self.wired:
            move.run(frames)
        if self._leaving:
            for move in self._leaving:
                move.run(frames)
                move.cell.moved = not move.has_ended
            self._leaving = [move for move in self._leaving if not move.has_ended]
