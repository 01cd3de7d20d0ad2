"""A block of a processor as calls of kernels, which a plan runs as machine code without the interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray


class PackedKernel(Protocol):
    """What a `Step` needs of a compiled kernel: the types of its arguments, a call, its address."""

    types: dict[str, str]

    def __call__(self, *args: Any) -> Any:
        """Runs it."""

    @property
    def packed(self) -> int:
        """The address of the machine code that takes its arguments from words."""

    @property
    def size(self) -> int:
        """Number of these words."""

    def pack(self, args: Sequence[Any], words: memoryview, at: int) -> None:
        """Writes arguments into words from `at` on."""


Call: TypeAlias = tuple[PackedKernel, tuple[Any, ...]]
"""A kernel and its arguments."""


@dataclass(frozen=True, slots=True)
class Step:
    """Calls of kernels in order, as `Kernel.step` makes them.

    Attributes:
        calls: Each kernel with its arguments.
        conditions: Kernels that are called before a block; where one returns 0, the block is that of `process`.
        reports: Readonly parameters by name: an array and the place in it where the kernels leave the value.
    """

    calls: tuple[Call, ...]
    reports: Mapping[str, tuple[NDArray[Any], int]] = field(default_factory=dict)
    conditions: tuple[Call, ...] = ()

    def then(self, after: Step) -> Step:
        """Joins two steps.

        Args:
            after: What runs after this one.

        Returns:
            Both as one.
        """
        conditions = *self.conditions, *after.conditions
        return Step((*self.calls, *after.calls), {**self.reports, **after.reports}, conditions)

    def provided(self, condition: Step) -> Step:
        """Leaves to `process` the blocks before which a kernel finds that something is to be done.

        Args:
            condition: The call of a kernel that changes nothing, and returns 0 for such a block.

        Returns:
            The step with this condition.
        """
        return replace(self, conditions=(*self.conditions, *condition.calls))

    def reporting(self, **values: tuple[NDArray[Any], int]) -> Step:
        """Publishes numbers that the kernels leave in arrays as values of `readonly` parameters.

        Args:
            **values: By parameter, the array and the place in it; clipped to the parameter's range.

        Returns:
            The step with these reports.
        """
        return replace(self, reports={**self.reports, **values})

    def run(self) -> None:
        """Calls the kernels one by one."""
        for kernel, args in self.calls:
            kernel(*args)
