"""Parameter cells across two rates: those of an inner processor follow the outer stream's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from antiphon.kernel.contract.parameter_cell import ParamCell, stepped_number
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.native.resample import hold, push

MAX_WAITING = 4096
"""Most queued changes of one parameter, or events, for later inner blocks; more are merged or dropped."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Two clocks that begin at 0, with rates of inner / outer = `up` / `down` in lowest terms."""

    up: int = 1
    down: int = 1

    @staticmethod
    def of(outer: int, inner: int) -> Clocks:
        """The clocks of two rates in Hz."""
        common = math.gcd(outer, inner)
        return Clocks(inner // common, outer // common)

    def inner(self, frame: int) -> int:
        """The first inner sample at or after an outer frame."""
        return -(-frame * self.up // self.down)

    def outer(self, sample: int) -> int:
        """The first outer frame at or after an inner sample."""
        return -(-sample * self.down // self.up)


class ParameterFollower(ParamCell):
    """Parameter cell at the inner rate: at each inner sample it has the value of the outer cell at that time."""

    __slots__ = (
        "_changes",
        "_clocks",
        "_current",
        "_flat",
        "_moved",
        "_moving",
        "_ring",
        "_seen",
        "_span",
        "_triggers",
    )

    def __init__(self, param: Param, rate: int, block: int, value: Value, clocks: Clocks, span: int) -> None:
        """Follower at rest: inner `rate` in Hz and `block`, most outer frames pending `span`."""
        super().__init__(param, rate, block, None if param.kind == "trigger" else value)
        self._clocks, self._span = clocks, span
        self._ring = np.zeros(2 * span, np.float32)
        self._changes: list[tuple[int, float]] = []
        self._triggers: list[int] = []
        self._seen = self._current = self.steps[0][1]
        self._moving, self._flat, self._moved = False, True, 0

    def restart(self) -> None:
        """Sets both clocks to 0; the value stays."""
        self._changes.clear()
        self._triggers.clear()
        self._current = self._seen
        self._moving, self._flat, self._moved = False, False, 0

    def follow(self, cell: ParamCell, base: int, frames: int, first: int) -> None:
        """Reads the outer cell. `base`: frame of its block to begin at. `first`: the outer clock's frame at `base`."""
        kind = self.param.kind
        if kind in ("text", "file"):
            self.text = cell.text
            return
        if kind == "trigger":
            for offset in cell.fired:
                if base <= offset < base + frames and len(self._triggers) < MAX_WAITING:
                    self._triggers.append(self._clocks.inner(first + offset - base))
            return
        full, seen = cell.full, np.float32(self._seen)
        resting = len(cell.steps) == 1 and bool(full[base] == seen and full[base + frames - 1] == seen)
        if resting and not self._moving:
            return
        if resting and first - self._moved >= self._span:
            self._moving = self._flat = False
            return
        if not self._moving:
            self._ring.fill(seen)
            self._moving = True
        part = full[base : base + frames]
        push(part, 0, 1, self._ring, self._span, first, 1, frames)
        if resting:
            return
        self._moved = first + frames
        begins = cell.number_at(base)
        if kind != "float" and begins != self._seen:
            self._change(first, begins)
        for offset, number in cell.steps[1:]:
            if base <= offset < base + frames:
                self._change(first + offset - base, number)
        self._seen = cell.number_at(base + frames - 1)

    def render_from(self, first: int, count: int) -> None:
        """Renders `count` inner samples from sample `first` on."""
        if self.param.kind == "trigger":
            self.fired.clear()
            while self._triggers and self._triggers[0] < first + count:
                self.fired.append(self._triggers.pop(0) - first)
            return
        if self.param.kind in ("text", "file"):
            return
        if self._moving:
            hold(self._ring, self._span, self.full, self._clocks.up, self._clocks.down, first, count)
        elif not self._flat:
            self.full.fill(self._seen)
            self._flat, self._current = True, self._seen
        self.steps.clear()
        self.steps.append((0, self._current))
        while self._changes and self._changes[0][0] < first + count:
            sample, self._current = self._changes.pop(0)
            if sample <= first:
                self.steps[0] = (0, self._current)
            else:
                self.steps.append((sample - first, self._current))

    def number_at(self, offset: int) -> float:
        if self.param.kind == "float" and self._moving:
            return float(self.full[offset])
        return stepped_number(self.steps, offset)

    def _change(self, frame: int, number: float) -> None:
        change = (self._clocks.inner(frame), number)
        if len(self._changes) < MAX_WAITING:
            self._changes.append(change)
        else:
            self._changes[-1] = change
