"""Chords by degree and kind, their tones in a register, and scales."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from antiphon_models.material.tables import table_beside

KINDS: dict[str, tuple[int, ...]] = table_beside(__file__)
"""Semitones above the root by chord type."""
DEGREES = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}
SCALES = {
    ("mode", False): (0, 2, 4, 5, 7, 9, 11),
    ("mode", True): (0, 2, 3, 5, 7, 8, 10),
    ("pentatonic", False): (0, 2, 4, 7, 9),
    ("pentatonic", True): (0, 3, 5, 7, 10),
    ("blues", False): (0, 2, 3, 4, 7, 9),
    ("blues", True): (0, 3, 5, 6, 7, 10),
}
"""Semitones above the tonic by scale, and whether the key is minor."""
_CHORD = re.compile(r"(b?)(VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)(.*)")


@dataclass(frozen=True, slots=True)
class ScaleChord:
    """A chord of a key. `root`: semitones above the tonic, 0 to 11; `kind`: one of `KINDS`."""

    root: int
    kind: str

    @property
    def tones(self) -> tuple[int, ...]:
        """Semitones above the tonic."""
        return tuple(self.root + tone for tone in KINDS[self.kind])


def parse(text: str) -> ScaleChord:
    """Chord of a Roman numeral: "I", "vi", "bVII", "V7", "iim7b5"; small letters are minor.

    Raises `ValueError`: it is no such chord.
    """
    match = _CHORD.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no chord of a scale")
    flat, degree, kind = match.groups()
    if degree.islower() and kind in ("", "6", "7", "9"):
        kind = f"m{kind}"
    if kind not in KINDS:
        raise ValueError(f"{text!r} has an unknown kind of chord")
    return ScaleChord((DEGREES[degree.upper()] - bool(flat)) % 12, kind)


def voice_chord(tones: Sequence[int], low: int, high: int, near: float) -> list[int]:
    """Tones of a chord as MIDI notes within a register, in the inversion with mean nearest to `near`.

    The register is an octave at least.
    """
    classes = sorted({tone % 12 for tone in tones})
    found = []
    for turn in range(len(classes)):
        notes = [low + (classes[turn] - low) % 12]
        for tone in classes[turn + 1 :] + classes[:turn]:
            notes.append(notes[-1] + ((tone - notes[-1]) % 12 or 12))
        for octave in range(0, 96, 12):
            if notes[-1] + octave <= high:
                found.append([note + octave for note in notes])
    if not found:
        return [low + (tone - low) % 12 for tone in classes]
    return min(found, key=lambda notes: abs(sum(notes) / len(notes) - near))
