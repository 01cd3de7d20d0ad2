"""The analysis of one loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from antiphon.api import SHARP_NAMES

FAMILIES = ("drums", "bass", "harmonic")
ROLES = ("drums", "bass", "chords", "melody")
MOODS: dict[str, tuple[float, float]] = {
    # valence and arousal wanted, 0 to 1 (Russell's circumplex, 1980)
    "any": (0.5, 0.5),
    "dark": (0.1, 0.45),
    "bright": (0.9, 0.55),
    "calm": (0.6, 0.1),
    "energetic": (0.6, 0.95),
    "happy": (0.9, 0.75),
    "sad": (0.1, 0.15),
    "tense": (0.15, 0.85),
    "relaxed": (0.75, 0.2),
}
"""Roles of a loop in an arrangement; chords and melody are the two kinds of the role harmonic."""

_SEPARATE_FIELDS = ("fit", "labels")
"""Fields that other analyses store in separate rows."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Analysis results of one loop in a library.

    `tempo_sure`: confidence, 0 to 1, from the distance to the second best tempo; 0 without a beat, 1 if the tempo was
    given. `tempo_from`: "sound", "name", "number" (a bare one in the name), "file" (a chunk of it) or "user".
    `confidence`: probability of a loop with a beat, 0 to 1; 0 if an older version did not state it. `fit`: quantities
    of the analysis `fit`, in separate rows of the catalogue; none if it is missing.
    """

    file: str
    rate: int  # frames per second of the file
    start: float  # second of the file at which the loop begins
    seconds: float
    bpm: float  # beats a minute when it holds `bars` bars of four
    bars: int  # number of bars
    tempo_sure: float
    tempo_from: str
    other_bpm: float  # the second best tempo; `bpm` where there is no other
    key: str | None  # "A minor"; None without one
    key_sure: float  # confidence, 0 to 1, from the distance to the second best key
    instrument: str  # one of `FAMILIES`
    role: str  # one of `ROLES`
    lufs: float
    peak: float  # dB, of 4x oversampled samples
    pitch: float | None  # median MIDI number of the lead note, None without one
    contour: tuple[float | None, ...]  # semitones from that in each 16th part of the loop, None where nothing sounds
    chroma: tuple[float, ...]  # share of each pitch class from C on, of sum 1; empty for drums
    pattern: tuple[float, ...]  # onset strength in the 16ths of a bar, at most 1
    straight: float  # 1 where all onsets lie on 16ths, 0 where they are evenly spread, less where between them
    levels: tuple[float, ...]  # dB of each bar, the loudest 0
    danceability: float  # 0 to 1, by rule
    valence: float  # 0 to 1, by rule
    arousal: float  # 0 to 1, by rule
    mood: str
    style: str
    mfcc: tuple[float, ...]  # means of 13 coefficients
    confidence: float = 0.0
    fit: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    labels: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Fields except `fit` and `labels` as JSON values."""
        values = asdict(replace(self, fit={}, labels={}))
        return {name: value for name, value in values.items() if name not in _SEPARATE_FIELDS}

    def answers(self, style: str) -> float:
        """Fit of a style, 0 to 1: 1 for its groove's or one in its file's name, else the label's probability."""
        wanted = plain_words(style)
        named = plain_words(self.style) == wanted or f" {wanted} " in f" {plain_words(self.file)} "
        return (
            1.0 if named else max((p for label, p in self.labels.items() if plain_words(label) == wanted), default=0.0)
        )

    @staticmethod
    def from_json(values: dict[str, Any]) -> Loop:
        """Loop of `to_json`'s values.

        Raises TypeError: a field has another form, as written by another version. Raises KeyError: a field is missing.
        """
        known = {"confidence": 0.0, **{name: {} for name in _SEPARATE_FIELDS}, **values}
        known = {f.name: known[f.name] for f in fields(Loop)}
        for name in ("contour", "chroma", "pattern", "levels", "mfcc"):
            known[name] = tuple(known[name])
        return Loop(**known)


def plain_words(text: str) -> str:
    """Lower-case words separated by single spaces: "Hip-Hop/Kick_1" gives "hip hop kick 1"."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def tonic(key: str) -> tuple[int, str]:
    """Tonic and mode of a key: "A minor" gives (9, "minor")."""
    name, mode = key.split()
    return SHARP_NAMES.index(name), mode


def scale_of(key: str) -> int:
    """Major scale with the notes of a key, 0 (C) to 11: C major and A minor give 0."""
    place, mode = tonic(key)
    return (place + 3) % 12 if mode == "minor" else place
