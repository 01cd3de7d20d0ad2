"""Scales and chords by name, as semitones above the root: `scales.txt` and `chords.txt` beside this module."""

import re
from pathlib import Path


def _rows(file: str) -> dict[str, tuple[int, ...]]:
    """Rows of a file: semitones separated by spaces, then names."""
    found: dict[str, tuple[int, ...]] = {}
    for line in Path(__file__).with_name(file).read_text().splitlines():
        steps, names = line.split(":", 1)
        found |= dict.fromkeys(names.split(), tuple(int(step) for step in steps.split()))
    return found


CHORDS = _rows("chords.txt")
"""Chords by name, Tidal's, and the suffixes of chord symbols."""
SCALES = _rows("scales.txt")
"""Scales by name, Tidal's first."""


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


_SCALES = {_folded(name): name for name in SCALES}


def scale_name(name: str) -> str:
    """The spelling in `SCALES` of a name written with spaces or underscores, as "harmonic minor"."""
    return name if name in SCALES else _SCALES.get(_folded(name), name)
