"""Genre rules of genres.toml."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from antiphon_models.material import table_beside

Range: TypeAlias = tuple[float, float]
Row: TypeAlias = str
"""A character for each step of one or more bars. Drums: x always, o mostly, . seldom, - never.
Bass: r root, f fifth, t third, s sixth or seventh, o octave, w an approach note to the next root, - none.
Chords: x the whole chord, u its upper notes, b its lowest note, 1 to 4 a single note, - none.
Lead: x and o as for drums. A note lasts until the next onset, times the part's articulation."""
Groove: TypeAlias = Mapping[int, Row]
"""Drum rows by General MIDI number of the drum."""


@dataclass(frozen=True, slots=True)
class PartRules:
    """Rules of one part.

    `programs`: General MIDI programs, 0 to 127, one of which is used in a song. `rows`: rhythms, one or two of which
    are used in a song. `articulation`: lengths of notes as a share of the time to the next onset. `register`: the
    lowest and the highest MIDI note.
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
        beats: Beats per bar.
        swing: Position of the offbeat between two beats: 0.5 is straight, 0.667 a triplet's last third.
        swung: The unit that swing divides, in beats: 1 for swung eighths, 0.5 for swung sixteenths.
        progressions: By mode, the chords of successive bars, such as "I vi IV V7" (see `harmony`).
        colours: By quality of a plain chord, "" or "m", the kinds that replace it.
        chord_bars: Bars per chord, one of which is used in a song.
        kits: General MIDI drum kits.
        scale: Scale of the lead: "mode", "pentatonic" or "blues".
        energy: 0 to 1; determines loudness and the probability of optional onsets.
        timing: Standard deviations of onsets in seconds, one of which is used in a song.
        rubato: Maximum relative drift of the tempo.
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
