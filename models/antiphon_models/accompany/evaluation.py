"""`antiphon evaluate accompany`: chords and piano beside baselines and the songs' own pianist."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from antiphon.api import Value
from antiphon.api.backends.files import read_midi
from antiphon_accompany.band.notes import BeatNote
from antiphon_accompany.band.styles import NAMES, PARTS
from antiphon_accompany.files.offline import TICKS
from antiphon_accompany.harmony.chords import parse
from antiphon_accompany.harmony.chordtext import timed_labels
from antiphon_models.accompany import baselines, given, synthetic
from antiphon_models.accompany.measures import agreement, chords_of, clash, texture, texture_distance
from antiphon_models.accompany.songs import TEST, AnnotatedSong, songs
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.learning.user_commands import command

EACH_STYLE = 4
"""Songs, at most, on whose chords every style is measured, beside as many of `given.PROGRESSIONS`."""
_OURS: Mapping[str, Mapping[str, Value]] = {"live": {"lookahead": 0}, "file": {}}
_STYLES: Mapping[str, Mapping[str, Value]] = {f"style={name}": {"style": name, "parts": "all"} for name in NAMES}


class AccompanyEvaluation(Evaluation):
    """POP909's songs whose numbers end in 8 and 9: melody in, bars as annotated."""

    trivial = "held tonic"
    classical = "untuned harmoniser"
    ours = "; ".join((*_OURS, *_STYLES))
    oracle = "pianist"
    columns = (
        "chords; played; clash ↓; density ↓; polyphony ↓; height [octaves] ↓; spread [octaves] ↓; variety ↓; style ↓; "
        "sounded; tones; bass; parallels [%] ↓"
    )
    note: ClassVar[str] = (
        "chords: mir_eval's majmin of the reported chords with the annotated ones. played: the same of the notes. "
        "clash: share of melody time beside a semitone or minor ninth. density to variety: difference from the song's "
        "piano; style: their mean. Bands on given chords: sounded: share of beats on triads whose triad is the given "
        "one. tones: share of chords whose root, third and seventh sound, with at most a tenth of the time outside. "
        "bass: share whose bass begins with the chord's. parallels: changes in a hundred with parallel fifths or "
        "octaves of bass and piano."
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
        styles = ask.wanted(_STYLES)
        some = material[:: max(1, len(material) // EACH_STYLE)][:EACH_STYLE] if styles else []
        written = list(given.written_songs(ask.seed, len(some)))
        for group, chosen in (("the annotated chords", some), ("written progressions", written)):
            for song in chosen:
                for name, settings in styles.items():
                    yield from scored(name, song.name, _given_row(song, settings), f"on {group}, {len(chosen)} songs")


def play(song: AnnotatedSong, settings: Mapping[str, Value], chords_text: str = "") -> tuple[list[BeatNote], list[int]]:
    """Output of `antiphon run accompany` on a file of a song's melody: the notes, and each beat's chord (-1: none).

    `chords_text`: lines of seconds after the song's first annotated beat, for `--chords`.
    """
    start = song.meter * -(-song.first // song.meter) - song.first
    with tempfile.TemporaryDirectory() as folder:
        source, target, report = (Path(folder) / name for name in ("in.mid", "out.mid", "chords.json"))
        write_melody(source, song, start)
        options = [word for name, value in settings.items() for word in ("-p", f"{name}={value}")]
        if chords_text:
            (Path(folder) / "given.txt").write_text(chords_text)
            options += ["--chords", str(Path(folder) / "given.txt")]
        command("run", "accompany", source, target, "--report", report, *options)
        tracks = [track for track in read_midi(target).tracks if track.name in PARTS]
        chords = {round(beat): parse(text) for beat, text in json.loads(report.read_text())["chords"]}
    notes = [
        BeatNote(n.start - start, n.end - start, n.number, n.velocity, track.name)
        for track in tracks
        for n in track.notes
    ]
    return sorted(notes), [chords.get(beat + start, -1) for beat in range(len(song.beats))]


def _given_row(song: AnnotatedSong, settings: Mapping[str, Value]) -> dict[str, float]:
    """Figures of a style on the chords of a song, in whole half beats up to the end of its melody."""
    spans = given.spans_of_song(song)
    start, beat = song.meter * -(-song.first // song.meter) - song.first, round(6e7 / song.tempo) * 1e-6
    labels = timed_labels(spans, lambda at: (at + start) * beat)
    notes, _ = play(song, settings, "".join(f"{a:.6f} {b:.6f} {label}\n" for a, b, label in labels))
    tuned = [note for note in notes if note.part != "drums"]
    return {**given.band_figures(notes, spans), "clash": clash(song.melody, tuned)}


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
