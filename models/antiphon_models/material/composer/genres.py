"""Genre rules of genres.toml."""

from __future__ import annotations

from typing import Any

from antiphon_models.material.composer.rules import GenreRules, PartRules
from antiphon_models.material.tables import table_beside

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
