"""Note, chord and scale names to MIDI note numbers; 60 is c4."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.signal import named_note
from antiphon.signal.harmony import CHORDS, SCALES, chord_steps, read_symbol, scale_name

HIGHEST = 127
"""Highest MIDI note number."""
Notes: TypeAlias = str | int | float | Iterable[str | int | float]
"""A note's name or number, or several of them."""


def note_number(name: str | int | float) -> int | float:
    """MIDI number of a note.

    `name`: a letter, sharps (`#` or `s`) or flats (`b` or `f`), and an octave: `c4` is 60, `eb3` 51; the default octave
    is the fourth. A number is returned unchanged. Raises UsageError: there is no such note.
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


def parse_note_name(value: object) -> int | float | None:
    """Returns the number of a note's name; None for any other value."""
    try:
        return note_number(value) if isinstance(value, str) else None
    except UsageError:
        return None


def note_numbers(notes: Notes) -> Iterable[int | float]:
    """The numbers of a note, of several, or of a chord by its name."""
    if isinstance(notes, str) and ("'" in notes or " " in notes.strip()):
        return chord(notes)
    if isinstance(notes, str | int | float):
        return (note_number(notes),)
    return tuple(note_number(one) for one in notes)


def chord(name: str) -> tuple[int | float, ...]:
    """The notes of a chord.

    `name`: a root, and a name in `CHORDS` or the rest of a chord symbol, "c4 minor7" or "c4'm7b5"; a root alone is
    major. After further quotation marks: the number of notes, `i` for each inversion, `o` for open position, `d1` for
    the highest note an octave lower (`d2`: the next one): "c4'maj7'5'ii". Returns MIDI note numbers, from
    the lowest. Raises UsageError: there is no such note or chord.
    """
    root, *rest = re.split(r"['\s]+", name.strip())
    kind, changes = (rest[0], rest[1:]) if rest and rest[0] else ("major", [])
    if (steps := chord_steps(kind)) is None:
        raise UsageError(f"there is no chord {kind[:40]!r}{instead(kind, CHORDS)}")
    first = note_number(root or "c")
    notes = [first + step for step in steps]
    for change in changes:
        if change.isdigit() and 1 <= int(change) <= 16:
            notes = [notes[n % len(notes)] + 12 * (n // len(notes)) for n in range(int(change))]
        elif change and set(change) == {"i"} and len(change) <= 16:
            for _ in change:
                notes = [*notes[1:], notes[0] + 12]
        elif re.fullmatch(r"d[1-9]", change) and int(change[1]) <= len(notes):
            place = len(notes) - int(change[1])
            notes = [notes[place] - 12, *notes[:place], *notes[place + 1 :]]
        elif change == "o" and len(notes) > 2:
            notes = [notes[0] - 12, notes[2] - 12, notes[1], *notes[3:]]
        else:
            raise UsageError(f"a chord takes a number of notes, i, o or d1 after its name, not {change[:40]!r}")
    return tuple(sorted(notes))


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale on a root.

    `root`: MIDI note number of its first degree; `steps`: semitones of its degrees above the root, within an octave.
    """

    root: int | float
    steps: Sequence[int]

    def __getitem__(self, degree: int) -> int | float:
        """The note of a degree: 0 is the root. Degrees beyond the last are in the next octave, negative ones below."""
        if isinstance(degree, slice):
            end = len(self) if degree.stop is None else degree.stop
            raise UsageError(
                f"a scale gives one note a degree, and [{degree.start or ''}:{degree.stop or ''}] is several; "
                f'write [scale("c4 minor")[k] for k in range({degree.start or 0}, {end})]'
            )
        octave, place = divmod(degree, len(self.steps))
        return self.root + 12 * octave + self.steps[place]

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[int | float]:
        """Notes of one octave."""
        return iter([self[degree] for degree in range(len(self.steps))])


def scale_of(name: str) -> Scale:
    """A scale by its root and name, such as "c4 minor", "c4:minor" or "a minPent".

    Raises UsageError: there is no such note or scale.
    """
    root, kind = re.fullmatch(r"([^\s:]*)[\s:]*(.*)", name.strip(), re.DOTALL).groups()  # type: ignore[union-attr]
    if not kind and scale_name(root) in SCALES:
        root, kind = "c", root
    kind = scale_name(kind.strip().replace(":", " ") or "major")
    if kind not in SCALES:
        raise UsageError(f"there is no scale {kind[:40]!r}{instead(kind, SCALES)}")
    return Scale(note_number(root), SCALES[kind])


def note_words(word: str) -> tuple[int | float, ...]:
    """Notes of a mini-notation word: `c4`, `60`, `c'min7`. Raises `UsageError` for another."""
    return chord(word) if "'" in word else (note_number(word),)


@cache
def symbol(text: str) -> tuple[tuple[int | float, ...], int]:
    """Notes of a chord symbol, and its bass.

    `text`: a symbol such as "Am7", "F^7", "Bb7b9" or "C/G", or a name for `chord`. Returns the notes from the root on,
    the root in octave 3, and the pitch class of the bass. Raises UsageError: there is no such chord.
    """
    found = read_symbol(text) if text.strip()[:1].isupper() else None
    if found is not None:
        first = named_note("c3") + found.root
        return tuple(first + step for step in found.steps), found.bass
    if re.match("[A-H]", text.strip()):
        raise UsageError(f"there is no chord {text[:40]!r}{instead(text.strip()[1:].lstrip('b#'), CHORDS)}")
    notes = chord(text)
    return notes, int(notes[0]) % 12
