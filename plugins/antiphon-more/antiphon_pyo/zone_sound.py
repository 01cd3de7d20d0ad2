"""Sound of a key range as plain arrays; pyo is not imported."""

from dataclasses import dataclass

from antiphon.api import Samples

STEPS = (0.1, 0.3, 0.5, 0.7, 0.85, 1.0)
"""Velocities of `ZoneSound.cutoffs`."""


@dataclass(frozen=True, slots=True)
class ZoneSound:
    """A zone without pyo objects. `left`, `right`: float32 `[frames]`, the same array for a mono sound.

    root: key of its recorded pitch.  low, high: key range.  rate: frames per second. cutoffs: Hz of the low-pass at the
    root, at each of `STEPS`. `loop`: endless and seamless; else it ends.
    """

    left: Samples
    right: Samples
    root: float
    low: int
    high: int
    rate: float
    cutoffs: tuple[float, ...]
    loop: bool = False
