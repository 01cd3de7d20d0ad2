"""`accompany` beside the held tonic and an untuned harmoniser, on POP909's songs held out for the test."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from antiphon_accompany.files import Section, accompany_file
from antiphon_accompany.notes import BeatNote
from antiphon_accompany.styles import STYLES
from antiphon_models.accompany import baselines
from antiphon_models.accompany.measures import agreement, chords_of, clash, texture, unlike
from antiphon_models.accompany.songs import TEST, AnnotatedSong, songs
from antiphon_models.learning import needs

Row = dict[str, float]
SYSTEMS = ("trivial", "classical", "live", "ours", "human")
EACH_STYLE = 36
"""Songs, at most, that every style is tried on."""


def play(song: AnnotatedSong, **settings: Any) -> tuple[list[BeatNote], list[int]]:
    """The accompaniment of a song's melody, and the chord of each of its beats; its bars as annotated."""
    named_chords: list[tuple[float, int]] = []
    start = song.first - song.meter * -(-song.first // song.meter)
    count = len(song.beats)
    notes = accompany_file(song.melody, settings, song.tempo, [Section(start, song.meter)], count, named_chords)
    named = dict(named_chords)
    return notes, [named.get(float(beat), -1) for beat in range(count)]


def systems(song: AnnotatedSong, wanted: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Each system's figures on a song."""
    count = len(song.beats)
    human = texture(song.piano, song.first, song.meter)
    if "trivial" in wanted:
        yield "trivial: held tonic", {"majmin": agreement(song, baselines.tonic(song.melody, count))}
    if "classical" in wanted:
        chords = baselines.harmoniser(song.melody, count, song.first, song.meter)
        yield "classical: untuned harmoniser", {"majmin": agreement(song, chords)}
    for name in wanted:
        settings: dict[str, Any] = {}
        if name == "live":
            settings = {"lookahead": 0}
        elif name in STYLES:
            settings = {"style": name}
        elif name != "ours":
            continue
        notes, chords = play(song, **settings)
        row = {"majmin": agreement(song, chords), "played": agreement(song, chords_of(notes, count))}
        row["clash"] = clash(song.melody, notes)
        row |= unlike(texture(notes, song.first, song.meter), human)
        yield f"ours, {name}" if name != "ours" else "ours", row
    if "human" in wanted:
        row = {"played": agreement(song, chords_of(song.piano, count)), "clash": clash(song.melody, song.piano)}
        yield "human", row


def evaluate(data: Path, digits: str = TEST, limit: int = 0, wanted: Sequence[str] = SYSTEMS) -> dict[str, Any]:
    """Means and standard errors over songs, by system. data: a folder that holds pop909/."""
    needs.folders(data, ("pop909",))
    rows: dict[str, list[Row]] = defaultdict(list)
    for song in songs(data / "pop909", digits, limit):
        for name, row in systems(song, wanted):
            rows[name].append(row)
    made: dict[str, Any] = {"songs": digits, "systems": {}}
    for name, many in rows.items():
        said: dict[str, Any] = {"n": len(many)}
        for measure in many[0]:
            values = np.array([row[measure] for row in many])
            said[measure] = round(float(values.mean()), 4)
            said[f"{measure}_se"] = round(float(values.std(ddof=1) / len(values) ** 0.5), 4) if len(values) > 1 else 0.0
        made["systems"][name] = said
    return made


def show(result: dict[str, Any]) -> str:
    """The table, and the result as one JSON line."""
    heads = ("majmin", "played", "clash", "density", "polyphony", "height", "spread", "variety")
    lines = [f"{'system':30}{'n':>5}" + "".join(f"{head:>16}" for head in heads)]
    for name, row in result["systems"].items():
        cells = "".join(f"{row[h]:>9.3f} ±{row[h + '_se']:.3f}" if h in row else f"{'':16}" for h in heads)
        lines.append(f"{name:30}{row['n']:>5}" + cells)
    return "\n".join(lines) + "\n" + json.dumps(result)


def main(data: Path, limit: int = 0, digits: str = TEST) -> dict[str, Any]:
    """Measures, prints and returns. limit: songs at most, 0 for all; of each style's `EACH_STYLE` at most.

    Raises `UsageError` where there are no songs.
    """
    result = evaluate(data, digits, limit)
    each = evaluate(data, digits, min(limit, EACH_STYLE) or EACH_STYLE, STYLES[1:])
    result["systems"] |= each["systems"]
    print(show(result))
    return result
