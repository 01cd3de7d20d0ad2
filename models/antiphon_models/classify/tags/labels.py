"""The tags, and what each states."""

from __future__ import annotations

from collections.abc import Mapping

FAMILIES: Mapping[str, tuple[int, ...]] = {
    "piano": (0, 1, 2, 4, 5),
    "organ": (16, 17, 18, 19),
    "guitar": (24, 25, 26, 27, 28, 29, 30),
    "bass": (32, 33, 34, 35, 36, 38, 39),
    "strings": (40, 41, 42, 44, 45, 48, 49, 50),
    "choir": (52, 53, 54),
    "brass": (56, 57, 58, 60, 61),
    "woodwind": (64, 65, 66, 68, 71, 73, 74, 75),
    "synth": (80, 81, 84, 87, 88, 89, 90, 95),
}
"""Tags of instruments, and the General MIDI programs that have them."""
DISTORTED_PROGRAMS = (29, 30)
"""Overdriven and distorted guitar."""
SOUNDS: Mapping[str, tuple[str, ...]] = {
    "animal": ("dog_bark", "rooster"),
    "engine": ("chainsaw", "helicopter"),
    "fire": ("fire_crackling",),
    "rain": ("rain",),
    "sea": ("sea_waves",),
}
"""Tags of sounds around us, and the classes of ESC-10 that have them."""
FAST, SLOW = (116.0, 126.0), (80.0, 88.0)
"""bpm: above the second of `FAST` is fast, below the first of `SLOW` is slow; between each pair it is unknown."""
LABELS = (
    *FAMILIES, "drums", "solo", "fast", "slow", "distorted", "reverberant", "lo-fi", "noise",
    "speech", "female voice", "male voice", *SOUNDS,
)  # fmt: skip
MUSICAL = (*FAMILIES, "drums", "solo", "fast", "slow")
"""What a piece of music is tagged by."""
