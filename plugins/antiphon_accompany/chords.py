"""Chords and keys as numbers: 0 to 11 major on C to B, 12 to 23 minor; a chord may be relative to a tonic."""

from __future__ import annotations

from antiphon.api import FLAT_NAMES

KEYS = FLAT_NAMES + tuple(f"{name}m" for name in FLAT_NAMES)
"""The 24 keys, and the 24 chords, by number."""
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MAJOR = ("", "maj", "maj7", "7", "maj6", "maj9", "9")
_MINOR = ("min", "min7", "min6", "minmaj7", "min9")


def tones(chord: int) -> tuple[int, int, int]:
    """Root, third, fifth as pitch classes."""
    root, minor = chord % 12, chord >= 12
    return root, (root + (3 if minor else 4)) % 12, (root + 7) % 12


def relative(chord: int, tonic: int) -> int:
    """The chord as seen from `tonic`: its root counted in semitones above it."""
    return chord // 12 * 12 + (chord - tonic) % 12


def absolute(chord: int, tonic: int) -> int:
    """Inverse of `relative`."""
    return chord // 12 * 12 + (chord % 12 + tonic) % 12


def label(chord: int) -> str:
    """Name of a chord in the notation of annotations: "C:maj", "A:min"."""
    return f"{FLAT_NAMES[chord % 12]}:{'min' if chord >= 12 else 'maj'}"


def parse(text: str) -> int:
    """A chord label, or a key's, to its number; -1 for one neither major nor minor, -2 for none ("N")."""
    if text == "N":
        return -2
    name, _, quality = text.partition(":")
    quality = quality.partition("/")[0]
    root = _STEPS[name[0]] + name.count("#") - name[1:].count("b")
    if quality in _MAJOR:
        return root % 12
    return 12 + root % 12 if quality in _MINOR else -1
