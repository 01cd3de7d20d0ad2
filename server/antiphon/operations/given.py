"""Converts sound and notes from Python programs (arrays, paths, MIDI objects) to files for the operations."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.files.audiowrite import AudioWriter
from antiphon.files.decode import MAX_SAMPLE
from antiphon.files.scores.midi_song import MidiNote, MidiTrack
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.runtime.sound_formats import MAX_RATE, MIN_RATE
from antiphon.kernel.runtime.terms import path_text
from antiphon.offline.note_file import MAX_SECONDS

MAX_CHANNELS = 64
"""Most channels of a sound."""
MAX_NOTES = 700_000
"""Maximum notes accepted at once."""
_BEATS_A_SECOND = 2.0
"""Beats per second of the tempo for notes given in seconds: 120 bpm, the default of MIDI files."""
_TICKS = 24000
"""Ticks per beat for these notes: 48,000 a second."""


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """A note in seconds from the beginning.

    Attributes:
        start, end: Seconds; `end` after `start`.
        pitch: MIDI number, 0 to 127.
        velocity: Above 0, at most 1.
        channel: 1 to 16.
    """

    start: float
    end: float
    pitch: int
    velocity: float = 0.8
    channel: int = 1


def split_words(given: object) -> tuple[str, ...]:
    """Returns several names. Raises UsageError: they are no text with commas, and no sequence of texts."""
    words: list[Any] = (
        given.split(",") if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [0]
    )
    if not all(isinstance(word, str) for word in words):
        raise UsageError(f"names are a text with commas, or a list of texts, not {short_repr(given)}")
    return tuple(word.strip() for word in words if word.strip())


def is_path(given: object) -> bool:
    """Whether an argument names a file or a folder."""
    return isinstance(given, str | os.PathLike)


def path_of(given: str | os.PathLike[str]) -> str:
    """Returns a path for the operations. Raises UsageError for the name of a standard stream, or a folder."""
    if not is_path(given) or "\0" in os.fspath(given):
        raise UsageError(f"a file is named by a text or a pathlib.Path, not by {short_repr(given)}")
    path = os.fspath(given)
    if path == "-":
        raise UsageError("- is a pipe on the command line alone; give the sound as an array, or name a file")
    if os.path.isdir(path):
        raise UsageError(f"{path_text(path)} is a folder; name a file in it")
    return path


def check_no_rate(given: object, rate: object) -> None:
    """Raises UsageError for a rate given with a file, a result or notes, since these have their own rate, or none."""
    own = getattr(given, "rate", None)
    if rate is None or (isinstance(rate, int | float | np.number) and rate == own):
        return
    if is_path(given) or is_notes(given) or own is not None:
        raise UsageError(
            f"a rate is given with an array, and files, notes and results have their own; leave {short_repr(rate)} out"
        )


def copy_samples(given: Any) -> Samples:
    """Copies a sound as float32 `[channels, frames]`.

    `given`: `[frames]` or `[channels, frames]`; floats with 1 as full scale, or integers, which are scaled by their
    type. Raises UsageError: it is not a sound; the message says which axis was taken for channels.
    """
    try:
        array = np.asarray(given)
    except (ValueError, TypeError):
        raise UsageError(f"a sound is an array [frames] or [channels, frames], not {short_repr(given)}") from None
    if array.dtype.kind not in "fiu":
        if not array.ndim and hasattr(given, "read"):
            raise UsageError(
                "a sound is an array or a path, and this is an open file: soundfile.read(file) gives an array"
            )
        kind = "complex numbers" if array.dtype.kind == "c" else f"{array.dtype} values"
        raise UsageError(f"a sound holds real numbers, and this array holds {kind}")
    if array.ndim not in (1, 2):
        raise UsageError(
            f"a sound is an array [frames] or [channels, frames], and this one has the shape {array.shape}"
        )
    if not array.size:
        if isinstance(given, list | tuple):
            raise UsageError("there are no notes: an empty sequence was given")
        raise UsageError(f"the sound holds no frames: its shape is {array.shape}")
    if array.ndim == 2 and array.shape[0] > MAX_CHANNELS:
        advice = "; give it transposed, sound.T" if array.shape[1] <= MAX_CHANNELS else ""
        raise UsageError(
            f"the first axis of a sound is its channels, and this one has the shape {array.shape}: "
            f"{array.shape[0]} channels, where {MAX_CHANNELS} is the most{advice}"
        )
    if array.dtype.kind in "iu":
        # whole numbers as floats with 1 as full scale, by their type; unsigned ones are centred
        bounds = np.iinfo(array.dtype)
        half = (int(bounds.max) - int(bounds.min) + 1) / 2
        array = (array.astype(np.float64) - (half if bounds.min == 0 else 0.0)) / half
    sound = np.array(array, np.float32, order="C", ndmin=2)
    wrong = ~(np.abs(sound) <= MAX_SAMPLE)
    if wrong.any():
        channel, frame = np.argwhere(wrong)[0]
        value = sound[channel, frame]
        what = (
            f"{value:.3g}, and {MAX_SAMPLE:.3g} is the most" if np.isfinite(value) else "not a number (NaN or infinite)"
        )
        raise UsageError(f"sample {frame} of channel {channel + 1} is {what}; mend the array, as by numpy.nan_to_num")
    return sound


def rate_of(rate: object, needed_by: str) -> int:
    """Returns a sample rate in whole Hz. Raises UsageError: it is missing, or not allowed."""
    if rate is None:
        raise UsageError(f"a sound as an array needs its rate in Hz as the next argument: {needed_by}")
    number = isinstance(rate, int | float | np.integer | np.floating) and not isinstance(rate, bool)
    if not number or not MIN_RATE <= rate <= MAX_RATE or rate != round(rate):  # type: ignore[operator, call-overload]
        raise UsageError(f"a rate is a whole number of Hz, {MIN_RATE} to {MAX_RATE}, not {short_repr(rate)}")
    return int(rate)  # type: ignore[call-overload, no-any-return]


def write_sound(path: Path, sound: Samples, rate: int) -> Path:
    """Writes float32 `[channels, frames]` as a file that has exactly these samples."""
    with AudioWriter(path, rate, len(sound), "FLOAT") as writer:
        writer.write(sound)
    return path


def is_notes(given: object) -> bool:
    """Whether an argument is notes: `Note`s, or an object of mido or pretty_midi."""
    if hasattr(given, "instruments") or hasattr(given, "ticks_per_beat"):
        return True
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        return False
    return bool(given) and all(isinstance(note, Note) or hasattr(note, "pitch") for note in given)


def write_notes(path: Path, given: Any) -> Path:
    """Writes notes as a MIDI file: `Note`s, a `mido.MidiFile`, or a `pretty_midi.PrettyMIDI`.

    Raises UsageError: the argument is not notes.
    """
    if hasattr(given, "ticks_per_beat") and hasattr(given, "save"):
        given.save(path)
        return path
    if hasattr(given, "instruments") and hasattr(given, "write"):
        given.write(os.fspath(path))
        return path
    from antiphon.files.scores import midifile

    midifile.write(path, _tracks(given), 60.0 * _BEATS_A_SECOND, _TICKS)
    return path


def _tracks(given: Iterable[Any]) -> list[MidiTrack]:
    if not isinstance(given, Iterable):
        raise UsageError(f"notes are a sequence of antiphon.Note, not {short_repr(given)}")
    notes = list(given)
    if len(notes) > MAX_NOTES:
        raise UsageError(f"{len(notes)} notes are more than the {MAX_NOTES} that are taken at once; give fewer")
    if not notes:
        raise UsageError("there are no notes in the sequence that was given")
    channels: dict[int, list[MidiNote]] = {}
    for place, note in enumerate(notes):
        taken = _convert_to_midi_note(note, place)
        channels.setdefault(taken.channel, []).append(taken)
    return [MidiTrack("", tuple(sorted(each, key=lambda note: note.start))) for _, each in sorted(channels.items())]


def _convert_to_midi_note(note: Any, place: int) -> MidiNote:
    try:
        start, end = float(note.start), float(note.end)
        pitch, velocity = index(note.pitch), float(note.velocity)
        channel = index(getattr(note, "channel", 1))
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise UsageError(
            f"note {place} is {short_repr(note)}; a note has start and end in seconds, pitch 0 to 127, velocity 0 to 1 "
            "and channel 1 to 16, as antiphon.Note"
        ) from None
    if velocity > 1.0 or (velocity == 1.0 and isinstance(note.velocity, int) and not isinstance(note, Note)):
        velocity /= 127.0  # as MIDI and pretty_midi count it
    if not (np.isfinite([start, end]).all() and 0.0 <= start < end <= MAX_SECONDS):
        raise UsageError(
            f"note {place} sounds from {start:g} to {end:g} s; a note begins at 0 or later and ends later, within 6 h"
        )
    if not (0 <= pitch <= 127 and 0.0 < velocity <= 1.0 and 1 <= channel <= 16):
        raise UsageError(
            f"note {place} has pitch {pitch}, velocity {velocity:g}, channel {channel}; allowed are 0 to 127, above 0 "
            "to 1 (or 1 to 127), and 1 to 16"
        )
    return MidiNote(start * _BEATS_A_SECOND, (end - start) * _BEATS_A_SECOND, pitch, velocity, channel)
