"""Names of notes, chords and scales, as MIDI note numbers; 60 is c4."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from antiphon.errors import UsageError
from antiphon.runtime.suggestion import instead
from antiphon.signal.pitch import named_note

HIGHEST = 127
"""Of MIDI's note numbers."""
CHORDS = {
    "major": (0, 4, 7), "maj": (0, 4, 7), "M": (0, 4, 7), "minor": (0, 3, 7), "min": (0, 3, 7), "m": (0, 3, 7),
    "aug": (0, 4, 8), "dim": (0, 3, 6), "sus2": (0, 2, 7), "sus4": (0, 5, 7), "five": (0, 7), "one": (0,),
    "six": (0, 4, 7, 9), "6": (0, 4, 7, 9), "m6": (0, 3, 7, 9), "dom7": (0, 4, 7, 10), "7": (0, 4, 7, 10),
    "major7": (0, 4, 7, 11), "maj7": (0, 4, 7, 11), "minor7": (0, 3, 7, 10), "min7": (0, 3, 7, 10),
    "m7": (0, 3, 7, 10), "mmaj7": (0, 3, 7, 11), "dim7": (0, 3, 6, 9), "m7flat5": (0, 3, 6, 10),
    "7sus4": (0, 5, 7, 10), "add9": (0, 4, 7, 14), "madd9": (0, 3, 7, 14), "nine": (0, 4, 7, 10, 14),
    "9": (0, 4, 7, 10, 14), "major9": (0, 4, 7, 11, 14), "maj9": (0, 4, 7, 11, 14), "minor9": (0, 3, 7, 10, 14),
    "min9": (0, 3, 7, 10, 14), "m9": (0, 3, 7, 10, 14), "eleven": (0, 4, 7, 10, 14, 17),
    "minor11": (0, 3, 7, 10, 14, 17), "thirteen": (0, 4, 7, 10, 14, 17, 21),
}  # fmt: skip
"""Semitones above the root, by name."""
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10), "ionian": (0, 2, 4, 5, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10), "phrygian": (0, 1, 3, 5, 7, 8, 10), "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10), "aeolian": (0, 2, 3, 5, 7, 8, 10), "locrian": (0, 1, 3, 5, 6, 8, 10),
    "harmonicMinor": (0, 2, 3, 5, 7, 8, 11), "melodicMinor": (0, 2, 3, 5, 7, 9, 11),
    "majPent": (0, 2, 4, 7, 9), "minPent": (0, 3, 5, 7, 10), "blues": (0, 3, 5, 6, 7, 10),
    "whole": (0, 2, 4, 6, 8, 10), "chromatic": tuple(range(12)), "octatonic": (0, 2, 3, 5, 6, 8, 9, 11),
    "hungarianMinor": (0, 2, 3, 6, 7, 8, 11), "insen": (0, 1, 5, 7, 10), "hirajoshi": (0, 2, 3, 7, 8),
}  # fmt: skip
"""Semitones above the root, by name."""


def note_number(name: str | int | float) -> int | float:
    """The number of a note.

    Args:
        name: A letter, sharps (`#` or `s`) or flats (`b` or `f`), and an octave: `c4` is 60, `eb3` 51; without an
            octave the fourth. A number stays as it is.

    Returns:
        The MIDI note number.

    Raises:
        UsageError: There is no such note.
    """
    if isinstance(name, int | float) and not isinstance(name, bool):
        return name
    text = str(name).strip()
    try:
        number = float(text)
        return int(number) if number.is_integer() else number
    except (ValueError, OverflowError):
        pass
    return named_note(text)


def chord(name: str) -> tuple[int | float, ...]:
    """The notes of a chord.

    Args:
        name: A root and a name of `CHORDS`, "c4 minor7" or "c4'minor7"; a root alone is major. After further
            quotation marks: a number for how many notes, `i` for each inversion, `o` for open position:
            "c4'maj7'5'ii".

    Returns:
        MIDI note numbers, from the lowest.

    Raises:
        UsageError: There is no such note or chord.
    """
    root, *rest = re.split(r"['\s]+", name.strip())
    kind, changes = (rest[0], rest[1:]) if rest and rest[0] else ("major", [])
    if kind not in CHORDS:
        raise UsageError(f"there is no chord {kind[:40]!r}{instead(kind, CHORDS)}")
    first = note_number(root or "c")
    notes = [first + step for step in CHORDS[kind]]
    for change in changes:
        if change.isdigit() and 1 <= int(change) <= 16:
            notes = [notes[n % len(notes)] + 12 * (n // len(notes)) for n in range(int(change))]
        elif change and set(change) == {"i"} and len(change) <= 16:
            for _ in change:
                notes = [*notes[1:], notes[0] + 12]
        elif change == "o" and len(notes) > 2:
            notes = [notes[0] - 12, notes[2] - 12, notes[1], *notes[3:]]
        else:
            raise UsageError(f"a chord takes a number of notes, i or o after its name, not {change[:40]!r}")
    return tuple(sorted(notes))


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale on a root.

    `root`: MIDI note number of its first degree; `steps`: semitones of its degrees above the root, within an octave.
    """

    root: int | float
    steps: Sequence[int]

    def __getitem__(self, degree: int) -> int | float:
        """The note of a degree: 0 is the root, those beyond the last go on in the next octave, below 0 lower."""
        octave, place = divmod(degree, len(self.steps))
        return self.root + 12 * octave + self.steps[place]

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[int | float]:
        """The notes of one octave."""
        return iter([self[degree] for degree in range(len(self.steps))])


def scale_of(name: str) -> Scale:
    """A scale by its root and name, as "c4 minor" or "a minPent".

    Raises:
        UsageError: There is no such note or scale.
    """
    root, _, kind = name.strip().partition(" ")
    if not kind and root in SCALES:
        root, kind = "c", root
    kind = kind.strip() or "major"
    if kind not in SCALES:
        raise UsageError(f"there is no scale {kind[:40]!r}{instead(kind, SCALES)}")
    return Scale(note_number(root), SCALES[kind])


def note_words(word: str) -> tuple[int | float, ...]:
    """The notes that a word of mini-notation is: `c4`, `60`, `c'min7`. Raises `UsageError` where it is none."""
    return chord(word) if "'" in word else (note_number(word),)
