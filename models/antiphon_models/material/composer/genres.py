"""Genre rules of genres.toml."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from antiphon_models.material import table_beside

Range: TypeAlias = tuple[float, float]
Row: TypeAlias = str
"""A character for each step of one bar or more. Of drums: x always, o mostly, . seldom, - never.
Of the bass: r root, f fifth, t third, s sixth or seventh, o octave, w a step towards the next root, - none.
Of chords: x the whole chord, u its upper tones, b its lowest tone, 1 to 4 one tone, - none.
Of a lead: x and o as drums. Notes last until the next onset, times the part's articulation."""
Groove: TypeAlias = Mapping[int, Row]
"""Drum rows by General MIDI number of the drum."""


@dataclass(frozen=True, slots=True)
class PartRules:
    """Rules of one part.

    `programs`: General MIDI programs, 0 to 127, of which a song has one. `rows`: rhythms, of which a song has one or
    two. `articulation`: lengths of notes as a share of the time to the next onset. `register`: the lowest and the
    highest MIDI note.
    """

    programs: tuple[int, ...]
    rows: tuple[Row, ...]
    articulation: Range
    chance: float
    register: tuple[int, int]


@dataclass(frozen=True, slots=True)
class GenreRules:
    """Rules of one genre.

    Attributes:
        tempo: Beats a minute.
        beats: Beats of a bar.
        swing: Where the offbeat lies between two beats: 0.5 is straight, 0.667 a triplet's last third.
        swung: The unit that swing divides, in beats: 1 for swung eighths, 0.5 for swung sixteenths.
        progressions: By mode the chords of successive bars, as "I vi IV V7" (see `harmony`).
        colours: By quality of a plain chord, "" or "m", kinds that take its place.
        chord_bars: Bars of a chord, of which a song has one.
        kits: General MIDI drum kits.
        scale: Of the lead: "mode", "pentatonic" or "blues".
        energy: 0 to 1, of which loudness and the chance of optional onsets follow.
        timing: Standard deviations of onsets in seconds, of which a song has one.
        rubato: Greatest share by which the tempo drifts.
    """

    name: str
    tempo: Range
    swing: Range
    swung: float
    minor: float
    progressions: Mapping[Literal["major", "minor"], tuple[str, ...]]
    colours: Mapping[Literal["", "m"], tuple[str, ...]]
    chord_bars: tuple[float, ...]
    grooves: tuple[Groove, ...]
    kits: tuple[int, ...]
    drums: float
    bass: PartRules
    chords: PartRules
    lead: PartRules
    pad: PartRules
    scale: Literal["mode", "pentatonic", "blues"]
    energy: Range
    timing: Range
    rubato: float = 0.0
    beats: int = 4


_RECORDS = table_beside(__file__)
DRUM_NOTES: dict[str, int] = _RECORDS["drums"]
"""General MIDI numbers of the drums in grooves."""
NONE = PartRules((0,), ("-" * 16,), (1.0, 1.0), 0.0, (48, 72))
"""A silent part."""


def _genre(record: dict[str, Any]) -> GenreRules:
    grooves = tuple({DRUM_NOTES[drum]: row for drum, row in groove.items()} for groove in record.pop("grooves"))
    parts: dict[str, Any] = {
        part: PartRules(**record.pop(part)) if part in record else NONE for part in ("bass", "chords", "lead", "pad")
    }
    return GenreRules(**record, grooves=grooves, **parts)


GENRES = tuple(map(_genre, _RECORDS["genre"]))
BY_NAME = {genre.name: genre for genre in GENRES}
