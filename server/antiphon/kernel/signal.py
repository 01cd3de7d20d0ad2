"""Names of notes: c4 is the MIDI note number 60."""

import re

from antiphon.kernel.errors import UsageError

SHARP_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
"""Names of the pitch classes from C upwards, black keys as sharps. A note's pitch class is its number modulo 12."""
_NOTE = re.compile(r"([a-g])(#{1,2}|s{1,2}|f{1,2}|b{1,2})?(-?\d{1,2})?", re.IGNORECASE)
_OCTAVE, _OCTAVES = 4, range(-1, 10)


def named_note(name: str) -> int:
    """The MIDI note number of a name.

    `name`: a letter, sharps (`#` or `s`) or flats (`b` or `f`), and an octave: `c4` is 60, `eb3` 51; without an octave,
    octave 4.
    """
    found = _NOTE.fullmatch(name)
    if found is None:
        raise UsageError(f"there is no note {name[:40]!r}; write a letter and an octave as in c4, eb3 or f#5")
    letter, accidental, octave = found.groups()
    if octave and int(octave) not in _OCTAVES:
        raise UsageError(f"there is no note {name!r}: octaves are {_OCTAVES[0]} to {_OCTAVES[-1]}, c4 is 60")
    shift = {"#": 1, "s": 1, "b": -1, "f": -1}[accidental[0].lower()] * len(accidental) if accidental else 0
    return 12 * (int(octave or _OCTAVE) + 1) + SHARP_NAMES.index(letter.upper()) + shift
