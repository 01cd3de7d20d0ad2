"""How results show themselves in a notebook: players, pictures, strips and tables, as HTML without scripts."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from antiphon.files.sound_picture import levels_picture, piano_roll, spectrogram, waveform
from antiphon.kernel.contract.block import Samples
from antiphon.operations.given import Note

MAX_SECONDS = 300.0
"""Longest sound that is put into a page; of a longer one there is the picture."""
_BOX = "display:inline-block;border:1px solid #888;border-radius:4px;padding:2px 8px"
_STRIP = "position:absolute;top:0;height:100%;overflow:hidden;white-space:nowrap;border-left:1px solid #888"


def sound_html(sound: Samples, rate: int, notes: Sequence[Note] = (), name: str = "") -> str:
    """A player with waveform and spectrogram, and a piano roll of notes below."""
    whole = np.atleast_2d(sound)
    if not whole.shape[1]:
        return "<em>no sound</em>"
    seconds = whole.shape[1] / rate
    drawn = [waveform(whole), spectrogram(whole, rate), *([_roll(notes, seconds)] if notes else [])]
    player = (
        f'<audio controls src="data:audio/flac;base64,{_flac(whole, rate)}"></audio>'
        if seconds <= MAX_SECONDS
        else f"<em>{seconds:.0f} s, too long to be played here: save it</em>"
    )
    return f"<div>{escape(name)}{_picture(levels_picture(*drawn), 'waveform and spectrogram')}<br>{player}</div>"


def notes_html(notes: Sequence[Note]) -> str:
    """A piano roll."""
    if not notes:
        return "<em>no notes</em>"
    return _picture(levels_picture(_roll(notes, max(note.end for note in notes))), f"piano roll, {len(notes)} notes")


def row_html(boxes: Iterable[tuple[str, str]]) -> str:
    """Nodes in a row: a name each, and what it says of itself."""
    shown = (f'<span style="{_BOX}" title="{escape(doc)}">{escape(name)}</span>' for name, doc in boxes)
    return " → ".join(["in", *shown, "out"])


def strip_html(spans: Sequence[tuple[float, float, str]], seconds: float) -> str:
    """Labelled spans of time, as chords or sections, on a line as long as the sound."""
    shown = (
        f'<span style="{_STRIP};left:{100.0 * start / seconds:.2f}%;width:{100.0 * (end - start) / seconds:.2f}%" '
        f'title="{start:.2f} to {end:.2f} s">{escape(str(label))}</span>'
        for start, end, label in spans
    )
    return f'<div style="position:relative;height:1.6em;width:100%">{"".join(shown)}</div>'


def table_html(rows: Mapping[str, Any]) -> str:
    """Names and values."""
    shown = (f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<table>{''.join(shown)}</table>"


def _roll(notes: Sequence[Note], seconds: float) -> Any:
    return piano_roll([(note.start, note.end - note.start, note.pitch, note.velocity) for note in notes], seconds)


def _picture(png: bytes, alt: str) -> str:
    return f'<br><img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _flac(sound: Samples, rate: int) -> str:
    """Flac of 16 bits, which browsers play; of more than two channels the first two."""
    import soundfile

    held = io.BytesIO()
    soundfile.write(held, np.clip(sound[:2], -1.0, 1.0).T, rate, format="FLAC", subtype="PCM_16")
    return base64.b64encode(held.getvalue()).decode()
