"""Words of chance of a live script: the same script and seed draw the same."""

from collections.abc import Sequence
from typing import Any, TypeVar, overload

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.words.making import as_pattern
from antiphon.live.patterns.words.picking import pick_from
from antiphon.live.stage import stage

T = TypeVar("T")


@overload
def pick(values: Sequence[T]) -> T: ...
@overload
def pick(values: Any, numbers: Any) -> Pattern[Any]: ...
def pick(values: Any, numbers: Any = None) -> Any:
    """One of several values by chance; the same script and seed pick the same."""
    if isinstance(values, Pattern):  # the pattern may come first
        values, numbers = numbers, values
    if numbers is not None:
        return pick_from(as_pattern(numbers), values)
    given = list(values)
    if not given:
        raise UsageError("pick takes one or more values, as in pick(['c4', 'e4'])")
    return given[int(stage().random() * len(given))]


def maybe(share: float = 0.5) -> bool:
    """True by chance, in so large a share of cases, 0 to 1."""
    return stage().random() < share


def between(low: float, high: float) -> float:
    """A number by chance, from `low` to below `high`."""
    return low + (high - low) * stage().random()
