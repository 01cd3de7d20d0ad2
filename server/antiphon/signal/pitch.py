"""Pitch: MIDI note numbers (69 is a', 440 Hz; fractions allowed) and hertz; names of pitch classes and keys."""

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.signal import SHARP_NAMES, named_note

FLAT_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
"""Names of the pitch classes from C upwards, black keys as flats."""
KEY_NAMES = (
    *(f"{root} major" for root in ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")),
    *(f"{root} minor" for root in ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")),
)
"""Names of the keys as musicians write them, twelve major and twelve minor ones from C upwards."""
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
KEY_PROFILES = np.array([[*mode[-n:], *mode[:-n]] for mode in (_MAJOR, _MINOR) for n in range(12)])
"""Weights of the pitch classes from C upwards in each key of `KEY_NAMES`, `[24, 12]`: the probe-tone profiles of
Krumhansl and Kessler (1982)."""


@overload
def frequency(note: float) -> float: ...
@overload
def frequency(note: NDArray[Any]) -> NDArray[Any]: ...
def frequency(note: float | NDArray[Any]) -> float | NDArray[Any]:
    """Converts MIDI note numbers, 69 for a' = 440 Hz, with fractions, to frequencies in equal temperament."""
    hertz = 440.0 * 2.0 ** ((note - 69.0) / 12.0)
    return float(hertz) if isinstance(hertz, float) else hertz


@overload
def note_number(hertz: float) -> float: ...
@overload
def note_number(hertz: NDArray[Any]) -> NDArray[Any]: ...
def note_number(hertz: float | NDArray[Any]) -> float | NDArray[Any]:
    """Converts frequencies above 0 to MIDI note numbers with fractions; the inverse of `frequency`."""
    note: float | NDArray[Any] = 69.0 + 12.0 * np.log2(hertz / 440.0)
    return float(note) if isinstance(note, float) else note


def key_name(key: str) -> str:
    """The name in `KEY_NAMES` of a key in any spelling: "Bb major" for "A# major"."""
    root, _, mode = key.partition(" ")
    return KEY_NAMES[named_note(root) % 12 + 12 * (mode == "minor")]


def root_name(root: int, key: int) -> str:
    """The name of a chord's root, a pitch class, in a key of `KEY_NAMES`.

    The second, third, sixth and seventh above the tonic may be flat, the fourth sharp: in G minor Bb, Eb and F#.
    """
    tonic = KEY_NAMES[key].partition(" ")[0]
    return (FLAT_NAMES if _fifths(FLAT_NAMES[root]) >= _fifths(tonic) - 5 else SHARP_NAMES)[root]


def _fifths(name: str) -> int:
    """Fifths from C up to a pitch class: -2 for Bb, 6 for F#."""
    return "FCGDAEB".index(name[0]) - 1 + 7 * (name.count("#") - name.count("b"))
