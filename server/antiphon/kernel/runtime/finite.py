"""Numbers from outside: JSON and TOML also have those that are infinite, or longer than any float."""

from __future__ import annotations

import math
from typing import TypeGuard


def is_finite_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number that a float can hold: finite, and neither true nor false."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of more than 1024 bits
        return False
