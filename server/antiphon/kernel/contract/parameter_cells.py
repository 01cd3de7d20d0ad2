"""All parameter cells of one processor, for hosts without a plan: tests, analyses, jobs on notes."""

from __future__ import annotations

from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.kernel.contract.params import Value


class ParamCells(dict[str, ParamCell]):
    """Parameter cells by name.

    A steady cell is not recomputed until its next change, as in a plan.
    """

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
