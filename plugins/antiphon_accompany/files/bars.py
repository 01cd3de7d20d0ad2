"""Piece by the bar model of `answer`: a melody with chords and, if requested, bass and drums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import mido

from antiphon.api import SHARP_NAMES, UsageError, Value
from antiphon.api.backends.files import MidiNote, MidiTimes, MidiTrack, open_midi, read_midi, write_midi
from antiphon.api.backends.rendering import run_job
from antiphon_accompany.files.midifiles import read
from antiphon_accompany.harmony.chords import KEYS
from antiphon_accompany.harmony.chordtext import spans_of

MODEL_PARTS = ("bass", "drums")
"""Parts written by the model; the others are the style's, over the model's chords."""
_CHORDS = "chords"
_BASS = 36
_DRUM_CHANNEL = 9


def piece(
    begun: Sequence[MidiNote],
    key: int,
    parts: Sequence[str],
    settings: Mapping[str, Value],
    folder: Path,
    without: Callable[[Path, str, Path], Path],
) -> tuple[Path, str]:
    """Writes a piece as a MIDI file; returns it with its chords as lines of seconds.

    Args:
        begun: The first bar of the melody.
        key: 0 to 23.
        settings: Parameters of `Generate`.
        without: Writes a file without the tracks of one name.

    Raises:
        UsageError: The meter is another than 4, or chords are given.
    """
    if settings["meter"] != 4:
        raise UsageError("the bar model knows bars of 4 beats: leave out meter, or say by=memory")
    tonic, tempo = key % 12, float(str(settings["tempo"]))
    triad = [48 + tonic, 48 + tonic + (3 if key >= 12 else 4), 48 + tonic + 7]
    first = {
        _CHORDS: MidiTrack(_CHORDS, tuple(MidiNote(0.0, 4.0, pitch, 0.5, 2) for pitch in triad)),
        "bass": MidiTrack("bass", (MidiNote(0.0, 2.0, _BASS + (tonic + 8) % 12 - 8, 0.7, 3),), 33),
    }
    tracks = [MidiTrack("melody", tuple(begun), 73)]
    tracks += [track for name, track in first.items() if name in (_CHORDS, *parts)]
    write_midi(folder / "first.mid", tracks, tempo)
    wishes = {name: settings[name] for name in ("seed", "corpus") if settings[name]}
    bars = int(str(settings["bars"])) - 1
    given = {**wishes, "key": KEYS[key], "meter": 4, "bars": bars, "by": "bars"}
    whole = run_job("continue", folder / "first.mid", folder / "whole.mid", given)
    if "drums" in parts:
        file = open_midi(whole)
        empty = mido.MetaMessage("track_name", name="drums"), mido.Message("program_change", channel=_DRUM_CHANNEL)
        file.tracks.append(mido.MidiTrack(empty))
        file.save(folder / "rest.mid")
        filling = {"by": "bars", "fill": "drums", "seed": settings["seed"], "key": KEYS[key]}
        whole = run_job("continue", folder / "rest.mid", folder / "drummed.mid", filling)
    (chords,) = (track for track in read_midi(whole).tracks if track.name == _CHORDS)
    return without(whole, _CHORDS, folder / "melody.mid"), _lines(chords, 60.0 / tempo, 4.0 * (bars + 1))


def fill_part(target: Path, part: str, lines: str, key: str, seed: Value, folder: Path) -> Path:
    """Replaces the notes of bass or drums by those of the bar model; returns a file with an added track of chords.

    `lines`: the chords, as lines of seconds.
    """
    given = read(target)
    midi, ticks = given.file, given.file.ticks_per_beat
    for track in midi.tracks:
        if track.name == part:
            track[:] = [message for message in track if message.type not in ("note_on", "note_off")]
    messages: list[tuple[int, int, int]] = []
    for span in spans_of(lines, 4.0, MidiTimes(tuple(given.tempos)).beat):
        if span.chord is not None:
            minor = (span.chord.root + 3) % 12 in span.chord.tones
            for pitch in (0, 3 if minor else 4, 7):
                number = 48 + span.chord.root + pitch
                messages += [(round(span.start * ticks), 1, number), (round(span.end * ticks), 0, number)]
    chords, at = mido.MidiTrack([mido.MetaMessage("track_name", name=_CHORDS)]), 0
    for when, on, number in sorted(messages):
        chords.append(mido.Message("note_on", note=number, velocity=64 * on, channel=15, time=when - at))
        at = when
    midi.tracks.append(chords)
    midi.save(folder / "chords.mid")
    wishes = {"by": "bars", "fill": part, "key": key, "seed": seed}
    return run_job("continue", folder / "chords.mid", folder / "filled.mid", wishes)


def _lines(chords: MidiTrack, beat: float, end: float) -> str:
    """Chords of three notes as lines of seconds; `beat` is a beat's length, `end` the last beat."""
    struck: dict[float, list[int]] = {}
    for note in chords.notes:
        struck.setdefault(note.start, []).append(note.number)
    edges = [*sorted(struck), end]
    labels = [_label(sorted(struck[start])) for start in edges[:-1]]
    return "\n".join(
        f"{start * beat:.6f} {stop * beat:.6f} {label}"
        for start, stop, label in zip(edges, edges[1:], labels, strict=False)
    )


def _label(pitches: Sequence[int]) -> str:
    minor = (pitches[1] - pitches[0]) % 12 == 3
    return f"{SHARP_NAMES[pitches[0] % 12]}:{'min' if minor else 'maj'}"
