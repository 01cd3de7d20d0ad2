"""What the operations of the library take and answer."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from antiphon.api.backends.http import Asked, Name, list_of, maybe, record

TRACK: Any = str | int
TRACKS: Any = str | int | list[str | int]
PLACE: Any = {"x": float, "y": float}
MapTrack = record("MapTrack", id=int, path=str, title=str, artist=str, genre=str, **PLACE)
MapArtist = record("MapArtist", name=str, genre=str, **PLACE, tracks=int, nearest=list[str])
MapGenre = record("MapGenre", name=str, **PLACE, tracks=int)
KNOWN: Any = {"tracks": list_of(MapTrack), "artists": list_of(MapArtist), "genres": list_of(MapGenre)}
Map = record("Map", **KNOWN, unplaced=int, placed=bool, placing=bool)
Placing = record("Placing", placing=bool)
Next = record(
    "Next",
    Asked,
    count=maybe(Annotated[int, Meta(ge=1, le=500)]),
    after=maybe(TRACK),
    like=maybe(TRACKS),
    skip=maybe(TRACKS),
    dislike=maybe(TRACKS),
)
NAMES: Any = dict.fromkeys(("title", "artist", "album", "genre"), str | None)
Track = record("Track", id=int, path=str, duration=float | None, score=float, **NAMES)
Matches = record("Matches", matches=list_of(Track))
Fits = record("Fits", Asked, file=maybe(TRACK), node=maybe(Name), count=maybe(Annotated[int, Meta(ge=1, le=500)]))
FitTrack = record("FitTrack", id=maybe(int), path=str, duration=float | None, score=float, why=list[str], **NAMES)
FitMatches = record("FitMatches", matches=list_of(FitTrack))
