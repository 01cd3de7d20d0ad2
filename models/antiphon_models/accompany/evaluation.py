"""`antiphon evaluate accompany`: chords and piano beside baselines and the songs' own pianist."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from antiphon.api import Value
from antiphon.api.files import read_midi
from antiphon_accompany.chords import parse
from antiphon_accompany.files import TICKS
from antiphon_accompany.notes import BeatNote
from antiphon_accompany.styles import STYLES
from antiphon_models.accompany import baselines, synthetic
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

EACH_STYLE = 24
"""Songs, at most, on which every style is measured."""
_OURS: Mapping[str, Mapping[str, Value]] = {"live": {"lookahead": 0}, "file": {}}
_STYLES = {f"style={style}": {"style": style} for style in STYLES if style != "auto"}


class Accompanying(Evaluation):
    """POP909's songs whose numbers end in 8 and 9: melody in, bars as annotated."""

    systems = systems_of(
        trivial="held tonic", classical="untuned harmoniser", ours="; ".join((*_OURS, *_STYLES)), oracle="pianist"
    )
    measures = measures_of(
        "chords; played; clash ↓; density ↓; polyphony ↓; height [octaves] ↓; spread [octaves] ↓; variety ↓"
    )
    note: ClassVar[str] = (
        "chords: mir_eval's majmin of the reported chords with the annotated ones. played: the same of the notes. "
        "clash: share of melody time beside a semitone or minor ninth. The rest: difference from the song's piano."
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
            yield from _values(song, ask, _OURS, "", pianist=not ask.synthetic)
        some = material[:: max(1, len(material) // EACH_STYLE)][:EACH_STYLE]
        for song in some:
            yield from _values(
                song, ask, {"file": {}, **_STYLES}, f"each style, {len(some)} of the songs", pianist=not ask.synthetic
            )


def play(song: AnnotatedSong, **settings: Value | Path) -> tuple[list[BeatNote], list[int]]:
    """What `antiphon run accompany` adds to a file of a song's melody, its bars as annotated.

    Args:
        song: The song.
        settings: Parameters of the node.

    Returns:
        The notes, and each beat's chord (-1: none).
    """
    start = song.meter * -(-song.first // song.meter) - song.first
    with tempfile.TemporaryDirectory() as folder:
        source, target, report = (Path(folder) / name for name in ("in.mid", "out.mid", "chords.json"))
        write_melody(source, song, start)
        options = (word for name, value in settings.items() for word in ("-p", f"{name}={value}"))
        command("run", "accompany", source, target, "--report", report, *options)
        track = read_midi(target).tracks[-1]
        chords = {round(beat): parse(label) for beat, label in json.loads(report.read_text())["chords"]}
    notes = [BeatNote(n.start - start, n.end - start, n.number, n.velocity) for n in track.notes]
    return notes, [chords.get(beat + start, -1) for beat in range(len(song.beats))]


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


def _values(
    song: AnnotatedSong, ask: EvaluationRequest, ours: Mapping[str, Mapping[str, Value]], group: str, *, pianist: bool
) -> Iterator[MetricValue]:
    """Figures on one song. pianist: its piano track is a pianist's, and textures are compared with it."""
    for name, row in _rows(song, ask, ours, baselines_too=not group, pianist=pianist):
        yield from scored(name, song.name, row, group)


def _rows(
    song: AnnotatedSong,
    ask: EvaluationRequest,
    ours: Mapping[str, Mapping[str, Value]],
    *,
    baselines_too: bool,
    pianist: bool,
) -> Iterator[tuple[str, dict[str, float]]]:
    count = len(song.beats)
    if baselines_too and ask.wants("held tonic"):
        yield "held tonic", {"chords": agreement(song, baselines.tonic(song.melody, count))}
    if baselines_too and ask.wants("untuned harmoniser"):
        chords = baselines.harmoniser(song.melody, count, song.first, song.meter)
        yield "untuned harmoniser", {"chords": agreement(song, chords)}
    for name, settings in ours.items():
        if not ask.wants(name):
            continue
        notes, chords = play(song, **settings)
        row = {"chords": agreement(song, chords), "played": agreement(song, chords_of(notes, count))}
        row["clash"] = clash(song.melody, notes)
        if pianist:
            human = texture(song.piano, song.first, song.meter)
            row |= unlike(texture(notes, song.first, song.meter), human)
        yield name, row
    if baselines_too and ask.wants("pianist"):
        yield (
            "pianist",
            {"played": agreement(song, chords_of(song.piano, count)), "clash": clash(song.melody, song.piano)},
        )
