"""`antiphon evaluate accompany`: chords and piano beside baselines and the songs' own pianist."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from antiphon.api import Value
from antiphon.api.backends.files import read_midi
from antiphon_accompany.band.notes import BeatNote
from antiphon_accompany.band.styles import PARTS
from antiphon_accompany.files.offline import TICKS
from antiphon_accompany.harmony.chords import parse
from antiphon_models.accompany import baselines, synthetic
from antiphon_models.accompany.measures import agreement, chords_of, clash, texture, texture_distance
from antiphon_models.accompany.songs import TEST, AnnotatedSong, songs
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.learning.user_commands import command

_OURS: Mapping[str, Mapping[str, Value]] = {"live": {"lookahead": 0}, "file": {}}


class AccompanyEvaluation(Evaluation):
    """POP909's songs whose numbers end in 8 and 9: melody in, bars as annotated."""

    trivial = "held tonic"
    classical = "untuned harmoniser"
    ours = "; ".join(_OURS)
    oracle = "pianist"
    columns = (
        "chords; played; clash ↓; density ↓; polyphony ↓; height [octaves] ↓; spread [octaves] ↓; variety ↓; style ↓"
    )
    note: ClassVar[str] = (
        "chords: mir_eval's majmin of the reported chords with the annotated ones. played: the same of the notes. "
        "clash: share of melody time beside a semitone or minor ninth. density to variety: difference from the song's "
        "piano; style: their mean."
    )
    folders: ClassVar[tuple[str, ...]] = ("pop909",)
    synthetic_doc: ClassVar[str] = "songs drawn by seed: a chord a bar, and melodies of its tones"
    road: ClassVar[str] = (
        "`antiphon run accompany IN.mid OUT.mid --report FILE`, IN the melody in bars as annotated; live with "
        "`-p lookahead=0`"
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Scores of all systems on all songs."""
        if ask.synthetic:
            material = list(synthetic.songs(ask.seed, ask.limit or synthetic.COUNT))
        else:
            material = list(songs(ask.data, TEST, ask.limit or 0))
        for song in material:
            for name, row in _rows(song, ask, pianist=not ask.synthetic):
                yield from scored(name, song.name, row)


def play(song: AnnotatedSong, settings: Mapping[str, Value]) -> tuple[list[BeatNote], list[int]]:
    """Output of `antiphon run accompany` on a file of a song's melody: the notes, and each beat's chord (-1: none)."""
    start = song.meter * -(-song.first // song.meter) - song.first
    with tempfile.TemporaryDirectory() as folder:
        source, target, report = (Path(folder) / name for name in ("in.mid", "out.mid", "chords.json"))
        write_melody(source, song, start)
        options = [word for name, value in settings.items() for word in ("-p", f"{name}={value}")]
        command("run", "accompany", source, target, "--report", report, *options)
        tracks = [track for track in read_midi(target).tracks if track.name in PARTS]
        chords = {round(beat): parse(text) for beat, text in json.loads(report.read_text())["chords"]}
    notes = [
        BeatNote(n.start - start, n.end - start, n.number, n.velocity, track.name)
        for track in tracks
        for n in track.notes
    ]
    return sorted(notes), [chords.get(beat + start, -1) for beat in range(len(song.beats))]


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
            distance = texture_distance(texture(notes, song.first, song.meter), human)
            row |= {**distance, "style": float(np.mean(list(distance.values())))}
        yield name, row
    if ask.wants("pianist"):
        yield (
            "pianist",
            {"played": agreement(song, chords_of(song.piano, count)), "clash": clash(song.melody, song.piano)},
        )
