"""The file job `antiphon run generate OUT.mid`: writes a piece for a band, or adds one part to a file that lacks it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np

from antiphon.api import FileUse, Param, UsageError, Value
from antiphon.api.backends.files import (
    MidiNote,
    MidiTimes,
    MidiTrack,
    open_midi,
    printable_path,
    temporary_folder,
    write_midi,
)
from antiphon.api.backends.rendering import run_job
from antiphon.api.jobs import FileJob, Written, is_midi, spell, spell_parameter
from antiphon.kernel.contract.file_use import NOTHING
from antiphon.kernel.runtime.terms import spell_call
from antiphon_accompany.band.styles import PARTS
from antiphon_accompany.files.file_chords import key_of
from antiphon_accompany.files.jobs import check_texts, run as accompany
from antiphon_accompany.harmony.chords import KEYS
from antiphon_accompany.harmony.chordtext import spans_of, text_of
from antiphon_accompany.processor import PARAMS, Accompany

PHRASE = 4
"""Bars of the first phrase, the motif of the rest of the melody."""
MAX_BARS = 256
LOWEST_TONIC = 64
"""Lowest tonic a melody begins on, above the band."""
_FIRST_INTERVALS = ((0, 4), (0, 7), (7, 4), (4, 0), (0, 2), (7, 9))
"""Semitones above the tonic of a melody's first two notes; in a minor key the third is one less."""
_NOTE_DISTANCES = (0.5, 1.0, 1.0, 1.5, 2.0)
"""Beats from the first note to the second."""
_REPLACED = {
    "parts": Param("parts", "text", "piano,bass,drums", doc=f"Parts beside the melody: {', '.join(PARTS)}."),
    "fill": Param("fill", "choice", "none", choices=("none", *PARTS), doc="In files: the one part that IN lacks."),
}


class Generate(Accompany):
    """The processor `accompany` as a file job without a melody: `antiphon run generate OUT.mid -p bars=32`."""

    on_files = FileUse(
        "antiphon_accompany.files.generation:run",
        default_source=NOTHING,
        beside=("report", "chords-out", "roll"),
        chords=True,
        changes=("length", "time"),
        fires=("break", "ending"),
    )
    params = (
        Param("bars", "int", 32, PHRASE, MAX_BARS, doc="In files: the length."),
        Param("tempo", default=100.0, low=40.0, high=240.0, unit="bpm", doc="In files: the tempo."),
        Param(
            "corpus",
            "file",
            "",
            holds="a folder of MIDI files",
            doc="In files: a folder of MIDI files whose melodies it has learnt.",
        ),
        *(_REPLACED.get(param.name, param) for param in PARAMS),
    )


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes a generated melody with a band, or a file with one more part.

    `job`: `source` is `NOTHING`, or with `fill` the MIDI file that lacks a part; its track of that name is left out.
    Raises UsageError: the files or parameters do not go together. Raises FileError: a file cannot be read or written.
    """
    if not is_midi(job.target, written=True):
        raise UsageError(f"generate writes MIDI: {spell('target')} must end in .mid or .midi")
    settings = {
        param.name: job.settings.get(param.name, param.default) for param in Generate.params if not param.readonly
    }
    own, fill = str(job.source) == NOTHING, str(settings["fill"])
    if own and fill != "none":
        call = spell_call("run", "generate", "IN.mid", "OUT.mid", fill="bass")
        raise UsageError(f"fill= is for a file that lacks the part; name it: {call}")
    if not own and fill == "none":
        given, part = spell("source"), spell_parameter("fill", "bass")
        hint = f"say which part {given} lacks, as {part}, or leave {given} out"
        raise UsageError(f"generate makes a piece from no file; {hint}")
    left = ("bars", "tempo", "corpus", "fill")
    band = {name: value for name, value in job.settings.items() if name not in left}
    band["parts"] = settings["parts"] if own else fill
    chords = job.given.get("chords", "") or str(settings["chords"])
    check_texts(str(band["parts"]), text_of(chords) if chords else "")
    with temporary_folder() as folder:
        if own:
            source = melody(settings, folder, text_of(chords) if chords else "")
        else:
            source = write_without_track(job.source, fill, folder / job.source.name)
        made = accompany(replace(job, source=source, settings=band))
    told = f"seed {settings['seed']}" if own else printable_path(job.source)
    had = () if own else _existing_part_warning(job.source, fill)
    return tuple(
        replace(written, source=told, found=(*written.found, *had)) if written.path == job.target else written
        for written in made
    )


def _existing_part_warning(source: Path, part: str) -> tuple[str, ...]:
    """Warning about a file that has the requested part: a track of its name, or one that resembles it."""
    for track in open_midi(source).tracks:
        name = track.name.lower()
        played = [message for message in track if message.type == "note_on"]
        programs = {message.program for message in track if message.type == "program_change"}
        if played and name == part:
            return (f"in place of the {part} that {spell('source')} has",)
        alike = part in name or (part == "bass" and any(32 <= program < 40 for program in programs))
        if played and (alike or (part == "drums" and {message.channel for message in played} == {9})):
            return (f"beside {spell('source')}'s own {part}, the track {track.name!r}",)
    return ()


def melody(settings: Mapping[str, Value], folder: Path, chords: str = "") -> Path:
    """Writes a melody as a MIDI file: two notes chosen by the seed, a phrase built on them, and its continuation.

    `settings`: parameters of `Generate`. `chords`: text of the chords; the key is taken from it where none is set.
    """
    bars, meter = (int(str(settings[name])) for name in ("bars", "meter"))
    notes, number = opening_notes(settings, chords)
    first = folder / "first.mid"
    write_midi(first, [MidiTrack("melody", notes, 73)], float(str(settings["tempo"])))
    file = mido.MidiFile(first)
    file.tracks[0].insert(0, mido.MetaMessage("time_signature", numerator=meter, denominator=4))
    file.save(first)
    wishes: dict[str, Value] = {name: settings[name] for name in ("seed", "corpus") if settings[name]}
    wishes |= {"key": KEYS[number], "meter": meter}
    phrase = run_job("continue", first, folder / "phrase.mid", {**wishes, "bars": PHRASE - 1})
    return (
        run_job("continue", phrase, folder / "melody.mid", {**wishes, "bars": bars - PHRASE})
        if bars > PHRASE
        else phrase
    )


def opening_notes(settings: Mapping[str, Value], chords: str = "") -> tuple[tuple[MidiNote, MidiNote], int]:
    """Two notes of the first bar, and the key, 0 to 23, by the seed; see `melody`."""
    seed, meter = (int(str(settings[name])) for name in ("seed", "meter"))
    random = np.random.default_rng(seed)
    key, number = str(settings["key"]), int(random.integers(24))
    if key != "auto":
        number = KEYS.index(key)
    elif chords:
        number = key_of(spans_of(chords, meter, MidiTimes(((0.0, float(str(settings["tempo"]))),)).beat))
    tonic, minor = number % 12, number >= 12
    low = LOWEST_TONIC + (tonic - LOWEST_TONIC) % 12
    two = _FIRST_INTERVALS[int(random.integers(len(_FIRST_INTERVALS)))]
    pitches = [low + step - (minor and step in (4, 9)) for step in two]
    second = float(random.choice(_NOTE_DISTANCES))
    return (MidiNote(0.0, second, pitches[0], 0.8), MidiNote(second, meter - second, pitches[1], 0.75)), number


def write_without_track(source: Path, part: str, target: Path) -> Path:
    """Writes a MIDI file without the tracks of one name."""
    file = open_midi(source)
    file.tracks[:] = [track for track in file.tracks if track.name.lower() != part]
    file.save(target)
    return target
