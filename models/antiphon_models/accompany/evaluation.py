"""`antiphon evaluate accompany`: chords and piano beside baselines and the songs' own pianist."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from antiphon.api import Value
from antiphon.api.files import read_midi
from antiphon_accompany.band.notes import BeatNote
from antiphon_accompany.band.styles import PARTS, STYLES
from antiphon_accompany.files.offline import TICKS
from antiphon_accompany.harmony.chords import label, parse
from antiphon_models.accompany import band, baselines, mma, synthetic
from antiphon_models.accompany.measures import agreement, chords_of, clash, texture, unlike
from antiphon_models.accompany.songs import TEST, AnnotatedSong, songs
from antiphon_models.learning.evaluation import (
    Evaluation,
    EvaluationRequest,
    MetricValue,
    measures_of,
    scored,
    systems_of,
)
from antiphon_models.learning.user_commands import command

EACH_STYLE = 4
"""Songs, at most, on which every style is measured."""
_OURS: Mapping[str, Mapping[str, Value]] = {"live": {"lookahead": 0}, "file": {}}
_STYLES: Mapping[str, Mapping[str, Value]] = {
    f"style={style}": {"style": style, "parts": "all"} for style in STYLES if style != "auto"
}


class Accompanying(Evaluation):
    """POP909's songs whose numbers end in 8 and 9: melody in, bars as annotated."""

    systems = systems_of(
        trivial="held tonic",
        classical="untuned harmoniser",
        peer="mma",
        ours="; ".join((*_OURS, *_STYLES)),
        oracle="pianist",
    )
    measures = measures_of(
        "chords; played; clash ↓; density ↓; polyphony ↓; height [octaves] ↓; spread [octaves] ↓; variety ↓; style ↓; "
        "given; part; shared ↓; parallels [%] ↓; off grid; velocity"
    )
    note: ClassVar[str] = (
        "chords: mir_eval's majmin of the reported chords with the annotated ones. played: the same of the notes. "
        "clash: share of melody time beside a semitone or minor ninth. density to variety: difference from the song's "
        "piano; style: their mean. Bands on the annotated chords: given: share of the beats that have them; part: of "
        "each part by itself, the least; shared: notes in common with the other styles; parallels: of bass and piano, "
        "per 100 changes; off grid: share of onsets 3 to 40 ms off; velocity: standard deviation, of 127."
    )
    folders: ClassVar[tuple[str, ...]] = ("pop909",)
    synthetic_doc: ClassVar[str] = "songs drawn by seed: a chord a bar, and melodies of its tones"
    card: ClassVar[str] = "antiphon_accompany"
    road: ClassVar[str] = (
        "`antiphon run accompany IN.mid OUT.mid --report FILE`, IN the melody in bars as annotated; live with "
        "`-p lookahead=0`"
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Figures of all systems on all songs, then of each style on some of them."""
        if ask.synthetic:
            material = list(synthetic.songs(ask.seed, ask.limit or synthetic.COUNT))
        else:
            material = list(songs(ask.data, TEST, ask.limit or 0))
        for song in material:
            for name, row in _rows(song, ask, pianist=not ask.synthetic):
                yield from scored(name, song.name, row)
        some = material[:: max(1, len(material) // EACH_STYLE)][:EACH_STYLE]
        for song in some:
            group = f"each style on the annotated chords, {len(some)} of the songs"
            asked = {name: settings for name, settings in _STYLES.items() if ask.wants(name)}
            bands = {name: _band(song, settings) for name, settings in asked.items()}
            if ask.wants("mma"):
                others = list(mma.bands(song))
                rows = [_of_band(song, notes, others) for notes in others]
                if rows:
                    mean = {name: float(np.mean([r[name] for r in rows if name in r])) for name in rows[0]}
                    yield from scored("mma", song.name, mean, group)
            for name, notes in bands.items():
                yield from scored(name, song.name, _of_band(song, notes, list(bands.values())), group)


def play(
    song: AnnotatedSong, settings: Mapping[str, Value], *, given: bool = False
) -> tuple[list[BeatNote], list[int]]:
    """What `antiphon run accompany` adds to a file of a song's melody, its bars as annotated.

    Args:
        song: The song.
        settings: Parameters of the node.
        given: Whether it is given the annotated chords.

    Returns:
        The notes, and each beat's chord (-1: none).
    """
    start = song.meter * -(-song.first // song.meter) - song.first
    with tempfile.TemporaryDirectory() as folder:
        source, target, report = (Path(folder) / name for name in ("in.mid", "out.mid", "chords.json"))
        write_melody(source, song, start)
        options = [word for name, value in settings.items() for word in ("-p", f"{name}={value}")]
        if given:
            lines = (Path(folder) / "chords.txt", "\n".join(_lines(song, start)))
            lines[0].write_text(lines[1])
            options += ["--chords", str(lines[0])]
        command("run", "accompany", source, target, "--report", report, *options)
        tracks = [track for track in read_midi(target).tracks if track.name in PARTS]
        chords = {round(beat): parse(text) for beat, text in json.loads(report.read_text())["chords"]}
    notes = [
        BeatNote(n.start - start, n.end - start, n.number, n.velocity, track.name)
        for track in tracks
        for n in track.notes
    ]
    return sorted(notes), [chords.get(beat + start, -1) for beat in range(len(song.beats))]


def _lines(song: AnnotatedSong, start: int) -> Iterator[str]:
    """The annotated chord of each beat as a line, at the tempo of `write_melody`."""
    # as mido rounds it into the file
    beat = round(6e7 / song.tempo) * 1e-6
    for n, chord in enumerate(song.chords):
        yield f"{(n + start) * beat:.6f} {(n + start + 1) * beat:.6f} {label(int(chord)) if chord >= 0 else 'N'}"


def _band(song: AnnotatedSong, settings: Mapping[str, Value]) -> list[BeatNote]:
    return play(song, settings, given=True)[0]


def _of_band(song: AnnotatedSong, notes: list[BeatNote], others: list[list[BeatNote]]) -> dict[str, float]:
    """Figures of a band that was given the annotated chords."""
    # the file ends with its melody
    chords = [int(c) for c in song.chords[: int(max(n.end for n in song.melody))]]
    tuned = [n for n in notes if n.part != "drums"]
    known = [n for n, chord in enumerate(chords) if chord >= 0]
    played = chords_of(tuned, len(chords))
    parts = sorted({n.part for n in tuned})
    row = {
        "given": float(np.mean([played[n] == chords[n] for n in known])),
        "part": min(band.fitting([n for n in tuned if n.part == part], chords) for part in parts),
        "clash": clash(song.melody, tuned),
        "shared": float(
            np.mean([band.shared_notes(notes, other) for other in others if other is not notes] or [np.nan])
        ),
        "parallels": band.parallel_share([n for n in notes if n.part in ("bass", "piano")], chords),
        "off grid": band.off_grid(notes, song.tempo),
        "velocity": band.velocity_deviation(notes),
    }
    return {name: value for name, value in row.items() if math.isfinite(value)}


def write_melody(path: Path, song: AnnotatedSong, start: int) -> None:
    """Writes a song's melody as a MIDI file in whole bars, its first annotated beat on beat `start`."""
    import mido

    changes = [(note.end, 0, note) for note in song.melody] + [(note.start, 1, note) for note in song.melody]
    track, at = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(song.tempo))]), 0
    track.append(mido.MetaMessage("time_signature", numerator=song.meter, denominator=4))
    for beat, begins, note in sorted(changes, key=lambda change: change[:2]):
        tick, loud = max(0, round((beat + start) * TICKS)), max(1, round(127 * note.velocity))
        kind = "note_on" if begins else "note_off"
        track.append(mido.Message(kind, note=note.pitch, velocity=loud * begins, time=tick - at))
        at = tick
    mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track]).save(path)


def _rows(song: AnnotatedSong, ask: EvaluationRequest, *, pianist: bool) -> Iterator[tuple[str, dict[str, float]]]:
    """Figures on one song. pianist: its piano track is a pianist's, and textures are compared with it."""
    count = len(song.beats)
    if ask.wants("held tonic"):
        yield "held tonic", {"chords": agreement(song, baselines.tonic(song.melody, count))}
    if ask.wants("untuned harmoniser"):
        chords = baselines.harmoniser(song.melody, count, song.first, song.meter)
        yield "untuned harmoniser", {"chords": agreement(song, chords)}
    for name, settings in _OURS.items():
        if not ask.wants(name):
            continue
        notes, chords = play(song, settings)
        row = {"chords": agreement(song, chords), "played": agreement(song, chords_of(notes, count))}
        row["clash"] = clash(song.melody, notes)
        if pianist:
            human = texture(song.piano, song.first, song.meter)
            distance = unlike(texture(notes, song.first, song.meter), human)
            row |= {**distance, "style": float(np.mean(list(distance.values())))}
        yield name, row
    if ask.wants("pianist"):
        yield (
            "pianist",
            {"played": agreement(song, chords_of(song.piano, count)), "clash": clash(song.melody, song.piano)},
        )
