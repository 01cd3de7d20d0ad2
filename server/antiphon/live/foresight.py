"""Look-ahead of tracks' events if nothing changes, for displays."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TypeAlias

from antiphon.live.patterns.chance import stream_of
from antiphon.live.patterns.harmony import note_number
from antiphon.live.stage import LiveTrack

Foreseen: TypeAlias = tuple[float, float, str, str | float]
"""Beat, length, track, and the sound's name or the note's number."""
MAX_FORESEEN = 400


def events_ahead(
    spans: Iterable[tuple[LiveTrack, Fraction, Fraction]], seed: int, enough: Callable[[], bool]
) -> list[Foreseen]:
    """First `MAX_FORESEEN` events of tracks, each between two beats.

    Failing tracks are skipped: the error is reported at playback. `seed`: of the script; `enough`: stops it.
    """
    found: list[Foreseen] = []
    for track, begin, end in spans:
        while begin < end and not track.sets and not enough():
            until = min((begin // track.beats + 1) * track.beats, end)
            try:
                for event in track.pattern.query(
                    begin / track.beats, until / track.beats, seed ^ stream_of(track.name)
                ):
                    if event.begins and event.whole is not None and not {"s", "note"}.isdisjoint(event.value):
                        what = event.value["s"] if "s" in event.value else note_number(event.value["note"])
                        span = event.whole.begin * track.beats, event.whole.end * track.beats
                        found.append((float(span[0]), float(span[1] - span[0]), track.name, what))
            except Exception:
                break
            begin = until
    return found[:MAX_FORESEEN]
