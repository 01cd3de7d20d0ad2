"""What is known of a loop once it has been analysed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from antiphon.api import SHARP_NAMES

FAMILIES = ("drums", "bass", "harmonic")
ROLES = ("drums", "bass", "chords", "melody")
"""What a loop can be in a stack; chords and melody are the two kinds of harmonic."""


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop of a library.

    file: its name within the library, with / between folders.  rate, seconds: the file's.  bpm: beats a minute
    when it holds `bars` bars of four.  tempo_sure, key_sure: 0 to 1, of how far the second best lay behind.
    key: "A minor", None for what has none.  instrument: one of `FAMILIES`.  role: one of `ROLES`.  lufs:
    integrated loudness.  peak: dB, of 4x oversampled samples.  pitch: median MIDI number of the lead note, None
    without one.  contour: semitones from that in each 16th part of the loop, None where nothing sounds.
    chroma: how much each pitch class from C on sounds, the sum 1; none of drums.
    pattern: onset strength in the 16ths of a bar, at most 1.  straight: 1 where all onsets lie on 16ths, 0 where
    they lie anywhere, less where between them.  levels: dB of each bar, the loudest 0.
    danceability, valence, arousal: 0 to 1, by rule.  mood, style: words for them.  mfcc: 13 means.
    """

    file: str
    rate: int
    seconds: float
    bpm: float
    bars: int
    tempo_sure: float
    key: str | None
    key_sure: float
    instrument: str
    role: str
    lufs: float
    peak: float
    pitch: float | None
    contour: tuple[float | None, ...]
    chroma: tuple[float, ...]
    pattern: tuple[float, ...]
    straight: float
    levels: tuple[float, ...]
    danceability: float
    valence: float
    arousal: float
    mood: str
    style: str
    mfcc: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(said: dict[str, Any]) -> Loop:
        """Raises TypeError or KeyError for what another version wrote."""
        known = {f.name: said[f.name] for f in fields(Loop)}
        for name in ("contour", "chroma", "pattern", "levels", "mfcc"):
            known[name] = tuple(known[name])
        return Loop(**known)


def tonic(key: str) -> tuple[int, str]:
    """ "A minor" as (9, "minor")."""
    name, mode = key.split()
    return SHARP_NAMES.index(name), mode


def scale_of(key: str) -> int:
    """The major scale a key shares its notes with, 0 (C) to 11: C major and A minor give 0."""
    place, mode = tonic(key)
    return (place + 3) % 12 if mode == "minor" else place
