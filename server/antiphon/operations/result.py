"""Results for Python programs: samples, notes, parts, closing line, warnings."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from antiphon.files.scores import midifile
from antiphon.files.sound_picture import levels_picture, piano_roll, spectrogram, waveform
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime.terms import path_text
from antiphon.operations.given import Note
from antiphon.operations.wording import word_refusals

if TYPE_CHECKING:
    from numpy.typing import NDArray

# ---- How results show themselves in a notebook: players, pictures, strips and tables, as HTML without scripts

MAX_SECONDS = 300.0
"""Maximum length of sound embedded in a page; a longer sound has only its picture."""
_BOX = "display:inline-block;border:1px solid #888;border-radius:4px;padding:2px 8px"
_STRIP = "position:absolute;top:0;height:100%;overflow:hidden;white-space:nowrap;border-left:1px solid #888"


def sound_html(sound: Samples, rate: int, notes: Sequence[Note] = (), name: str = "") -> str:
    """A player with waveform and spectrogram, and a piano roll of notes below."""
    whole = np.atleast_2d(sound)
    if not whole.shape[1]:
        return "<em>no sound</em>"
    seconds = whole.shape[1] / rate
    drawn = [waveform(whole), spectrogram(whole, rate), *([_draw_piano_roll(notes, seconds)] if notes else [])]
    player = (
        f'<audio controls src="data:audio/flac;base64,{_encode_flac(whole, rate)}"></audio>'
        if seconds <= MAX_SECONDS
        else f"<em>{seconds:.0f} s, too long to be played here: save it</em>"
    )
    return f"<div>{escape(name)}{_png_image_html(levels_picture(*drawn), 'waveform and spectrogram')}<br>{player}</div>"


def notes_html(notes: Sequence[Note]) -> str:
    """HTML of a piano roll."""
    if not notes:
        return "<em>no notes</em>"
    return _png_image_html(
        levels_picture(_draw_piano_roll(notes, max(note.end for note in notes))), f"piano roll, {len(notes)} notes"
    )


def row_html(boxes: Iterable[tuple[str, str]]) -> str:
    """HTML of nodes in series: for each its name, and a description."""
    shown = (f'<span style="{_BOX}" title="{escape(doc)}">{escape(name)}</span>' for name, doc in boxes)
    return " → ".join(["in", *shown, "out"])


def strip_html(spans: Sequence[tuple[float, float, str]], seconds: float) -> str:
    """HTML of labelled time spans, such as chords or sections, along the length of the sound."""
    shown = (
        f'<span style="{_STRIP};left:{100.0 * start / seconds:.2f}%;width:{100.0 * (end - start) / seconds:.2f}%" '
        f'title="{start:.2f} to {end:.2f} s">{escape(str(label))}</span>'
        for start, end, label in spans
    )
    return f'<div style="position:relative;height:1.6em;width:100%">{"".join(shown)}</div>'


def table_html(rows: Mapping[str, Any]) -> str:
    """HTML table of names and values."""
    shown = (f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<table>{''.join(shown)}</table>"


def _draw_piano_roll(notes: Sequence[Note], seconds: float) -> Any:
    return piano_roll([(note.start, note.end - note.start, note.pitch, note.velocity) for note in notes], seconds)


def _png_image_html(png: bytes, alt: str) -> str:
    return f'<br><img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _encode_flac(sound: Samples, rate: int) -> str:
    """Encodes flac of 16 bits, which browsers play, with at most the first two channels."""
    import soundfile

    held = io.BytesIO()
    soundfile.write(held, np.clip(sound[:2], -1.0, 1.0).T, rate, format="FLAC", subtype="PCM_16")
    return base64.b64encode(held.getvalue()).decode()


# ---- Result of work on sound for a Python program: samples, notes, parts, closing line, warnings


def _nothing() -> tuple[NDArray[np.float32], int]:
    raise UsageError("this result holds no sound")


@dataclass(slots=True, repr=False)
class Result:
    """Sound, notes and parts from a processor, a patch or a script.

    Attributes:
        rate: Sample rate in Hz of the sound and the parts; 0 without sound.
        notes: Notes, sorted by start; empty if there is only sound.
        said: Text of the command's closing line, without the file's name.
        warnings: Sentences that the command would have written to standard error.
        report: Values that the processor chose, as data; empty if it reports none.
        path: The written file; None without `out`.
    """

    rate: int = 0
    notes: list[Note] = field(default_factory=list)
    said: str = ""
    warnings: tuple[str, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    _sound: NDArray[np.float32] | None = None
    _midi: bytes = b""
    _flat: bool = False
    _play: Callable[[], tuple[NDArray[np.float32], int]] = _nothing
    _parts: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    _take_apart: Callable[[], Mapping[str, NDArray[np.float32]]] | None = None

    @property
    def parts(self) -> Mapping[str, NDArray[np.float32]]:
        """Sounds of the parts by name, each in the shape of `sound`.

        The tracks of a live script are rendered on access.
        """
        if self._take_apart is not None:
            self._parts, self._take_apart = self._take_apart(), None
        return self._parts

    @property
    def sound(self) -> NDArray[np.float32]:
        """Float32 in the shape of the input, `[frames]` or `[channels, frames]`.

        Notes are rendered as the command writes them into a sound file. Raises AntiphonError: there is no sound, or no
        soundfont on this machine.
        """
        if self._sound is None and self.path is not None and self.path.suffix.lower() not in midifile.WRITABLE_SUFFIXES:
            samples, self.rate = read_sound(self.path)
            self._sound = shape_sound(samples, flat=self._flat)
        if self._sound is None and self._midi:
            self._sound, self.rate = self._play()
        if self._sound is None:
            raise UsageError("this result holds no sound")
        return self._sound

    def midi(self) -> Any:
        """The notes as a `mido.MidiFile`, with tempo, tracks and instruments as the command writes them.

        Raises UsageError: there are no notes.
        """
        import io

        import mido

        if not self._midi:
            raise UsageError("this result holds no notes")
        return mido.MidiFile(file=io.BytesIO(self._midi), charset="utf-8")

    @word_refusals
    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the sound, or the notes for the suffixes .mid and .midi; an existing file is replaced.

        Raises AntiphonError: the result does not have it, or the file cannot be written.
        """
        from antiphon.files.audiowrite import AudioWriter
        from antiphon.kernel.runtime.paths import write_atomic
        from antiphon.kernel.runtime.sound_formats import format_of

        target = Path(path)
        if target.suffix.lower() in midifile.WRITABLE_SUFFIXES:
            if not self._midi:
                raise UsageError(f"{target.name} would be a MIDI file, and this result holds no notes")
            if not target.parent.is_dir():
                raise FileError(f"cannot write {path_text(target)}: its folder does not exist; make it first")
            write_atomic(target, self._midi)
            return target
        format_of(target)
        sound = np.atleast_2d(self.sound)
        with AudioWriter(target, self.rate, len(sound), "FLOAT") as writer:
            writer.write(sound)
        return target

    def _repr_html_(self) -> str:
        """Players for a notebook, of the sound and of its parts, the notes, and the closing line."""

        shown = []
        if self._sound is not None:
            shown.append(sound_html(self._sound, self.rate, self.notes))
        elif self.notes:
            shown.append(notes_html(self.notes))
        shown += [sound_html(sound, self.rate, name=name) for name, sound in self._parts.items()]
        return "".join([*shown, f"<div>{escape(repr(self))}</div>"])

    def __repr__(self) -> str:
        held = [] if self.path is None else [self.path.name]
        held += [] if self._sound is None else [f"sound {'x'.join(map(str, self._sound.shape))} at {self.rate} Hz"]
        held += [f"{len(self.notes)} notes"] if self._midi else []
        held += [f"parts {', '.join(self._parts)}"] if self._parts else []
        return f"<{', '.join(held) or 'nothing'}{self.said and f': {self.said}'}>"


def shape_sound(sound: NDArray[np.float32], *, flat: bool) -> NDArray[np.float32]:
    """Returns a sound `[channels, frames]`; as `[frames]` if it has one channel and `flat` is set."""
    return sound[0] if flat and len(sound) == 1 else sound


def read_sound(path: Path) -> tuple[Samples, int]:
    """Reads a whole file: samples, float32 `[channels, frames]`, and rate. Raises FileError: it cannot be read."""
    from antiphon.files import audiofile

    held = audiofile.read(path, max_samples=1 << 31)
    return held.samples, held.rate


def read_notes(path: Path) -> tuple[list[Note], bytes]:
    """Reads a MIDI file: notes in seconds, in order, and its bytes. Raises FileError: it cannot be read."""
    song = midifile.read(path)
    notes = [
        Note(song.seconds(note.start), song.seconds(note.end), note.number, note.velocity, note.channel)
        for track in song.tracks
        for note in track.notes
    ]
    try:
        return sorted(notes), path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
