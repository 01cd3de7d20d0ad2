"""One parameter of one node, computed sample by sample: smoothing, ramps and scheduled changes."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.params import Param, Value
from antiphon.native.compiling import kernel
from antiphon.native.dsp import ramp
from antiphon.native.intrinsics import bits_f64, f64_bits
from antiphon.native.kernel import Step, f32p, f64, i64, i64p

MAX_CHANGES = 4096
"""Most changes of one parameter within one block; more are dropped and counted by the plan."""


class LineWord(IntEnum):
    """Indices of the 64-bit words of a `CellLine`."""

    BEGIN, END, START, LENGTH, MOVES, SMOOTH = range(6)


class LineUse(IntEnum):
    """Who renders a cell: the interpreter, or machine code, until the line has ended."""

    NOT, RENDERED, ENDED = range(3)


class CellLine(ctypes.Structure):
    """The line of a cell, as machine code reads it: from `begin` to `end` in `length` frames from sample `start` on."""

    _fields_ = (
        ("begin", ctypes.c_double),
        ("end", ctypes.c_double),
        ("start", ctypes.c_int64),
        ("length", ctypes.c_int64),
        ("moves", ctypes.c_int64),  # `LineUse`
        ("smooth", ctypes.c_int64),  # frames
    )


@kernel
def render_line(full: f32p, first: i64, last: i64, time: i64, line: i64p) -> None:
    """full[first:last] ← the line of a cell. `time`: sample time of full[0]."""
    begin = f64_bits(line[LineWord.BEGIN])
    ramp(full, first, last, time, line[LineWord.START], line[LineWord.LENGTH], begin, f64_bits(line[LineWord.END]))


@kernel
def set_line(line: i64p, time: i64, number: i64, ramp: f64) -> None:
    """Begins a line to a number, in bits, at sample `time`, as `ParamCell.post` and `render` do; `ramp`: frames."""
    length = i64(math.floor(ramp))
    over = ramp - math.floor(ramp)
    length = length + 1 if over > 0.5 or (over == 0.5 and length % 2 == 1) else length  # as `round`
    begin = f64_bits(line[LineWord.BEGIN])
    end = f64_bits(line[LineWord.END])
    elapsed = time - line[LineWord.START]
    if elapsed < line[LineWord.LENGTH]:
        end = begin + (end - begin) * (f64(elapsed) / f64(line[LineWord.LENGTH]))
    line[LineWord.BEGIN] = bits_f64(end)
    line[LineWord.END] = number
    line[LineWord.START] = time
    line[LineWord.LENGTH] = max(length, line[LineWord.SMOOTH])
    line[LineWord.MOVES] = i64(LineUse.RENDERED)


def value_after_steps(steps: Sequence[tuple[int, float]], offset: int) -> float:
    """Value at a frame of a parameter that changes in `steps`, of frame and new value."""
    number = steps[0][1]
    for place, stepped in steps:
        if place > offset:
            break
        number = stepped
    return number


class ParamCell:
    """A parameter's value over the current block.

    For each block: `post` schedules changes, `render` computes the values, `settle` ends the block. Values are
    closed-form in the sample number, so that any split of a block gives the same samples. `full`: float32 `[block]`,
    the value at each frame after `render`. `steps`: frame and new value of each change in the block, the value at frame
    0 first. `smooth`: frames of the parameter's own smoothing.
    """

    __slots__ = (
        "_pending",
        "_rate",
        "fired",
        "full",
        "line",
        "moved",
        "param",
        "smooth",
        "steps",
        "text",
    )

    def __init__(self, param: Param, rate: int, block: int, value: Value | None = None) -> None:
        self.param = param
        self._rate = rate
        start = param.default if value is None else value
        self.text = str(start) if param.kind in ("text", "file") else ""
        number = 0.0 if param.kind in ("text", "file") else param.encode(start)
        self.smooth = round(param.smooth * rate) if param.kind == "float" else 0
        self.line = CellLine(number, number, 0, 0, LineUse.NOT, self.smooth)
        self.full: NDArray[np.float32] = np.full(block, number, np.float32)
        self.steps: list[tuple[int, float]] = [(0, number)]
        self.fired: list[int] = []  # frames at which a trigger was sent, after `render`
        self.moved = False  # a control wire modulates `full` after `render`, which is then needed in every block
        self._pending: list[tuple[int, float, int]] = []

    @property
    def target(self) -> float:
        """Target value of the newest change."""
        return float(self.line.end)

    @property
    def coming(self) -> float:
        """Target value of the newest change, including those scheduled in the coming block."""
        return self._pending[-1][1] if self._pending else self.target

    @property
    def waits(self) -> bool:
        """True if a change is scheduled in the coming block."""
        return bool(self._pending)

    def post(self, offset: int, number: float, ramp_seconds: float = 0.0) -> bool:
        """Schedules a change in the coming block.

        `number`: the target value, as `Param.encode` returns it. Returns False where the block has `MAX_CHANGES`
        already, and the change is dropped.
        """
        if len(self._pending) >= MAX_CHANGES:
            return False
        length = max(self.smooth, round(ramp_seconds * self._rate)) if self.param.kind == "float" else 0
        self._pending.append((offset, number, length))
        return True

    def render(self, time: int, frames: int) -> None:
        """Computes the block's values. Scheduled changes are in order of offset.

        `time`: sample time of the first frame.
        """
        if self.param.kind == "trigger":
            self.fired.clear()
            for offset, number, _ in self._pending:
                if number:
                    self.fired.append(offset)
            self._pending.clear()
            return
        self.steps.clear()
        self.steps.append((0, self._at(time - 1)))
        place = 0
        for offset, number, length in self._pending:
            self._line(time, place, offset)
            place = offset
            line = self.line
            line.begin = self._at(time + offset - 1)
            line.end, line.start, line.length = number, time + offset, length
            self.steps.append((offset, number))
        self._pending.clear()
        self._line(time, place, frames)

    def settle(self, time: int) -> bool:
        """Ends a block.

        `time`: sample time of the frame after the block. Returns False when the value no longer changes, so that
        `render` may be left out until the next `post`.
        """
        if self.param.kind == "trigger":
            if self._pending:
                return True
            self.fired.clear()
            return False
        if self.moved:
            return True
        if time < self.line.start + self.line.length or self._pending:
            return True
        if self.full[0] == np.float32(self.target) and len(self.steps) == 1:
            # after a block shorter than the array, older values follow the block's
            self.rest()
            return False
        return True

    def steady(self, time: int) -> bool:
        """True if the performer's value is constant from `time` on; a control wire may still modulate it."""
        ended = time >= self.line.start + self.line.length
        return not self._pending and ended and self.steps[-1][1] == self.steps[0][1]

    def rest(self) -> None:
        """Fills the block with the target."""
        self.full.fill(self.target)
        self.steps[:] = [(0, self.target)]

    def line_step(self, frames: int, time: int) -> Step:
        """Renders the value where nothing is scheduled. `time`: sample time of the first frame."""
        return render_line.step(self.full, 0, frames, time, ctypes.addressof(self.line))

    def set_without_ramp(self, number: float) -> None:
        """Sets the value at once, without a ramp."""
        self.line.begin = self.line.end = number
        self.line.length = 0
        self.rest()

    def state(self) -> tuple[float, float, int, int]:
        """The ramp for `resume`: its first and last value, the sample at which it began, and its frames."""
        return self.line.begin, self.line.end, self.line.start, self.line.length

    def resume(self, state: tuple[float, float, int, int]) -> None:
        """Continues another cell's ramp; `render` has to be called from there on."""
        self.line.begin, self.line.end, self.line.start, self.line.length = state
        self.rest()

    def number_at(self, offset: int) -> float:
        """Reads the value at one frame, ramps included."""
        if self.smooth or self.line.length:
            return float(self.full[offset])
        return value_after_steps(self.steps, offset)

    def _at(self, sample: int) -> float:
        line = self.line
        elapsed = sample - line.start + 1
        if elapsed >= line.length:
            return self.target
        return float(line.begin + (line.end - line.begin) * (elapsed / line.length))

    def _line(self, time: int, first: int, last: int) -> None:
        if last > first:
            render_line(self.full, first, last, time, ctypes.addressof(self.line))


class ParamCells(dict[str, ParamCell]):
    """Parameter cells by name. A steady cell is not recomputed until its next change, as in a plan."""

    def __init__(self) -> None:
        super().__init__()
        self._resting: set[str] = set()

    def change(self, name: str, value: Value, offset: int = 0) -> None:
        """Schedules a change in the coming block. Raises ParamError: the parameter does not take the value."""
        cell = self[name]
        cell.post(offset, cell.param.encode(cell.param.check(value)))

    def render(self, time: int, frames: int) -> None:
        """Computes the block's values."""
        for name, cell in self.items():
            if cell.waits:
                self._resting.discard(name)
            if name not in self._resting:
                cell.render(time, frames)

    def settle(self, time: int) -> None:
        """Ends a block."""
        self._resting.update(name for name, cell in self.items() if name not in self._resting and not cell.settle(time))
