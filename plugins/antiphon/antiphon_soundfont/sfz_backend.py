"""`Sfizz`, the synth backend that plays an SFZ instrument with the library sfizz, as packaged by pysfizz."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from pysfizz._sfizz import Synth

from antiphon.api import Event, Samples
from antiphon.api.backends.files import printable_path, temporary_folder
from antiphon.api.backends.synths import SynthSettings, parse_controls
from antiphon_soundfont.library import SoundfontError
from antiphon_soundfont.sfz import read_sfz

GRID = 64
"""Block size of sfizz in frames if the hop is a multiple; a fixed one keeps the sound independent of the hop."""
QUALITY = 2
"""sfizz's default quality for live sound, also used offline."""
VOICES = 128
RESUME_VELOCITY = 0.5
WHEEL = 8191
"""Value of a full bend."""
RESET = 121
MAX_IN_MEMORY = 1 << 30
"""Bytes of decoded sounds up to which all of an instrument is held in memory."""


class Sfizz:
    """Backend of one stream. Needs a fresh process, because sfizz has one random number sequence per process.

    rate, hop: of the stream.  slots: 1.  instrument: path of the SFZ file.  use: the stream's number.
    """

    name = "sfz"
    rehearses = False

    def __init__(self, rate: int, hop: int, slots: int, instrument: str, use: int = 0) -> None:
        self._hop, self._grid = hop, hop if hop % GRID else GRID
        self._synth: Any = Synth(rate, self._grid)
        self._synth.set_num_voices(VOICES)
        self._synth.enable_freewheeling()  # waits for sounds that are not in memory
        self._synth.set_sample_quality(QUALITY)
        self._load(Path(instrument))
        self._events: Sequence[Event] = ()

    def _load(self, path: Path) -> None:
        made = read_sfz(path)
        # from the disk sfizz reads beside the notes, and no two times the same samples
        hint = "hint_ram_based=1 " if _decoded_bytes(made.sounds) <= MAX_IN_MEMORY else ""
        with temporary_folder() as folder, open(os.devnull, "wb") as nowhere:
            whole = folder / "whole.sfz"
            whole.write_text(made.text.replace("<control> ", f"<control> {hint}", 1), "utf-8")
            # what sfizz prints of opcodes that it does not know is for those who write instruments
            kept = os.dup(2)
            os.dup2(nowhere.fileno(), 2)
            try:
                loaded = self._synth.load_sfz_file(str(whole))
            finally:
                os.dup2(kept, 2)
                os.close(kept)
        if not loaded or not self._synth.get_num_regions():
            raise SoundfontError(f"sfizz cannot play {printable_path(path.name)}: it finds no sound that it can read")

    def open(self, slot: int, settings: SynthSettings) -> None:
        voices = int(dict(parse_controls(settings.controls).fixed).get("polyphony", VOICES))
        if voices != self._synth.get_num_voices():
            self._synth.set_num_voices(voices)
        self._synth.all_sound_off()
        self._synth.cc(0, RESET, 0)
        self._synth.pitch_wheel(0, 0)
        self._events = ()

    def close(self, slot: int) -> None:
        self._events = ()

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        self._events = events

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        if not active[0]:
            return
        waiting = list(self._events)
        self._events = ()
        for at in range(0, self._hop, self._grid):
            while waiting and (waiting[0].offset < at + self._grid or at + self._grid >= self._hop):
                event = waiting.pop(0)
                self._event(event, min(max(event.offset - at, 0), self._grid - 1))
            left, right = self._synth.render_block()
            out[0, 0, at : at + self._grid], out[0, 1, at : at + self._grid] = left, right

    def _event(self, event: Event, delay: int) -> None:
        note = min(max(event.number, 0), 127)
        match event.kind:
            case "on":
                velocity = event.value * (RESUME_VELOCITY if event.age else 1.0)
                self._synth.note_on(delay, note, max(1, _seven_bits(velocity)))
            case "off":
                self._synth.note_off(delay, note, _seven_bits(event.value))
            case "control" if event.number < 128:
                self._synth.cc(delay, note, _seven_bits(event.value))
            case "bend":
                self._synth.pitch_wheel(delay, round(min(max(event.value, -1.0), 1.0) * WHEEL))


def _decoded_bytes(sounds: Sequence[Path]) -> int:
    total = 0
    for path in sounds:
        with contextlib.suppress(RuntimeError, OSError):  # sfizz leaves it out too
            info = soundfile.info(path)
            total += 4 * info.frames * info.channels
    return total


def _seven_bits(value: float) -> int:
    return min(127, max(0, round(value * 127)))
