"""Pitch: MIDI note numbers (69 is a', 440 Hz; fractions allowed), hertz, and the names of the 12 pitch classes."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

SHARP_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
FLAT_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")


@overload
def frequency(note: float) -> float: ...
@overload
def frequency(note: NDArray[Any]) -> NDArray[Any]: ...
def frequency(note: float | NDArray[Any]) -> float | NDArray[Any]:
    """Hertz of a note number."""
    made = 440.0 * 2.0 ** ((note - 69.0) / 12.0)
    return float(made) if isinstance(made, float) else made


@overload
def note_number(hertz: float) -> float: ...
@overload
def note_number(hertz: NDArray[Any]) -> NDArray[Any]: ...
def note_number(hertz: float | NDArray[Any]) -> float | NDArray[Any]:
    """The note number of a frequency above 0."""
    made: float | NDArray[Any] = 69.0 + 12.0 * np.log2(hertz / 440.0)
    return float(made) if isinstance(made, float) else made
