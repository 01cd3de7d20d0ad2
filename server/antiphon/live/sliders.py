"""The word `slider`: a number that the page's editor draws as a slider, and moves while the script plays."""

from __future__ import annotations

from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import queries
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.places import of_call
from antiphon.live.stage import stage


def slider(value: float = 0.5, low: float = 0.0, high: float = 1.0) -> Any:
    """A number that the page draws as a slider in the text, as `slider(.5, 0, 1)`: moved, it changes while it plays.

    A signal; in a loop the number itself. In a file, and without a page, it is `value`.

    Raises:
        UsageError: `value` is not within them.
    """
    given = (value, low, high)
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in given) or not low <= value <= high:
        raise UsageError("slider takes a value, the least and the most, as in slider(.5, 0, 1)")
    here = stage()
    values, place = here.script.sliders, of_call()
    if not place:
        return float(value) if here.source else Pattern(queries.signal(lambda time, seed: float(value)))
    key = place[0][:2]
    values.setdefault(key, float(value))
    return values[key] if here.source else Pattern(queries.signal(lambda time, seed: values[key]))
