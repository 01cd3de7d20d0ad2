"""Parameters moved by control wires: what an LFO or an envelope adds to where the performer's knob stands."""

from __future__ import annotations

import math

import numpy as np

from antiphon.contract.block import Samples
from antiphon.contract.parameter_cell import ParamCell
from antiphon.native import dsp

FADE = 0.010
"""Seconds in which a wire that comes or goes takes hold or lets go."""


class Modulation:
    """A control signal on one parameter's cell; made with the plan.

    source: float32 `[1, frames]`, in parts of the parameter's range as faders know it (`Param.to_norm`).
    """

    def __init__(self, cell: ParamCell, source: Samples, rate: int) -> None:
        self.cell = cell
        self._source, self._stride = source[0], 1
        self._held = np.zeros(1, np.float32)
        self._weight = 0.0
        self._step = 1.0 / max(1, round(FADE * rate))
        param = cell.param
        self._log = int(param.warp == "log")
        self._low, self._high = param.low, param.high
        self._span = math.log(param.high / param.low) if self._log else param.high - param.low

    def hear(self, source: Samples) -> None:
        """Takes the signal from here on from `source`, float32 `[1, block]`."""
        if self._stride:
            self._source = source[0]

    @property
    def over(self) -> bool:
        """It has let go."""
        return self._step < 0.0 and self._weight <= 0.0

    def begin(self, before: Modulation | None) -> None:
        """Takes hold from where another wire on this parameter was."""
        self._weight = 0.0 if before is None else before._weight
        self.cell.moved = True

    def whole(self) -> None:
        """Holds from the first frame: the node has not sounded yet."""
        self._weight = 1.0
        self.cell.moved = True

    def end(self) -> None:
        """Lets go, from the signal's last value."""
        self._source, self._stride = self._held, 0
        self._step = -abs(self._step)

    def run(self, frames: int) -> None:
        """After the cell was rendered: `frames` of its block are moved."""
        dsp.move(
            self.cell.full, self._source, self._stride, self._low, self._high, self._span, self._log, self._weight,
            self._step, frames,
        )  # fmt: skip
        self._weight = min(max(self._weight + self._step * frames, 0.0), 1.0)
        if self._stride:
            self._held[0] = self._source[frames - 1]


class Modulations:
    """What moves the parameters of one node, from plan to plan."""

    def __init__(self) -> None:
        self.wired: tuple[Modulation, ...] = ()
        self._leaving: list[Modulation] = []
        self._sounded = False

    def rewire(self, wired: tuple[Modulation, ...]) -> list[ParamCell]:
        """Other wires from this block on; returns the cells that are moved now."""
        before = {move.cell: move for move in (*self._leaving, *self.wired)}
        for move in wired:
            if self._sounded:
                move.begin(before.get(move.cell))
            else:
                move.whole()
        taken = {move.cell for move in wired}
        self._leaving = [move for cell, move in before.items() if cell not in taken]
        for move in self._leaving:
            move.end()
        self.wired = wired
        return list(taken)

    def run(self, frames: int) -> None:
        self._sounded = True
        for move in self.wired:
            move.run(frames)
        if self._leaving:
            for move in self._leaving:
                move.run(frames)
                move.cell.moved = not move.over
            self._leaving = [move for move in self._leaving if not move.over]
