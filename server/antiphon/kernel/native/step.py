"""A processor's block as kernel calls, which a plan runs as machine code without the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

if TYPE_CHECKING:
    from antiphon.kernel.native.kernel import Kernel


Call: TypeAlias = "tuple[Kernel[..., Any], tuple[Any, ...]]"
"""A kernel and its arguments."""


@dataclass(frozen=True, slots=True)
class Step:
    """Kernel calls in order, as made by `Kernel.step`.

    Attributes:
        conditions: Kernels that are called before a block; where one returns 0, `process` computes the block.
        reports: Readonly parameters by name: an array, and the index in it at which the kernels store the value.
    """

    calls: tuple[Call, ...]
    reports: Mapping[str, tuple[NDArray[Any], int]] = field(default_factory=dict)
    conditions: tuple[Call, ...] = ()

    def then(self, after: Step) -> Step:
        """Joins two steps."""
        conditions = *self.conditions, *after.conditions
        return Step((*self.calls, *after.calls), {**self.reports, **after.reports}, conditions)

    def provided(self, condition: Step) -> Step:
        """Adds a condition: a kernel without side effects; blocks for which it returns 0 go to `process`."""
        return replace(self, conditions=(*self.conditions, *condition.calls))

    def reporting(self, **values: tuple[NDArray[Any], int]) -> Step:
        """Publishes array elements written by the kernels as values of `readonly` parameters."""
        return replace(self, reports={**self.reports, **values})

    def bound(self) -> Callable[[], bool]:
        """Returns a function that runs the step unless a condition is 0, and tells if it ran. Off the block path."""
        asks, calls = ([item.bind(*args) for item, args in part] for part in (self.conditions, self.calls))

        def run() -> bool:
            for ask in asks:
                if not ask():
                    return False
            for call in calls:
                call()
            return True

        return run

    def run(self) -> None:
        """Calls the kernels one by one."""
        for kernel, args in self.calls:
            kernel(*args)
