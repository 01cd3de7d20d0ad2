"""What `antiphon run` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.kernel.contract.params import Value

BLOCK = 1024
"""Frames of a block unless asked for: files have no latency to keep short, and longer blocks cost less."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The options of `antiphon run`.

    Attributes:
        values: Values of parameters, by `-p`.
        fires: Pairs of trigger parameter and the time in seconds at which it fires.
        block: Frames.
        tail: Seconds after the end of IN; None for the default.
        fade: Seconds at the end of OUT; None for the default.
        rate: Hz of OUT; 0 for IN's, or the nearest that OUT's format holds.
    """

    values: dict[str, Value]
    fires: tuple[tuple[str, float], ...]
    block: int = BLOCK
    tail: float | None = None
    fade: float | None = None
    rate: int = 0
