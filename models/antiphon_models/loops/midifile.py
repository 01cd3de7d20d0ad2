"""Rendering of timed notes by a soundfont: the ground truth of `corpus`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon_models.learning import needs
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings
from antiphon_models.material.midi_bytes import midi_bytes, note_off, note_on, program_change

TICKS = 9600
"""Ticks per second: finer than a sample at 9.6 kHz, to keep timing deviations of some ms."""
FITTING_FONTS = {"fluidr3": FLUID, "timgm6mb": TIM}
"""Soundfonts for fitting the tables of the analysis."""
EVALUATION_FONTS = {"opl3": FLUID.with_name("OPL-3_FM_128M.sf2"), "csound": FLUID.with_name("sf_GMbank.sf2")}
"""Soundfonts for evaluation only; csound's bank is a relative of TimGM6mb."""
DRUMS = 9


@dataclass(frozen=True, slots=True)
class TimedMidiNote:
    """A note. start, length: seconds.  pitch: 0 to 127.  velocity: 1 to 127.  channel: 0 to 15."""

    start: float
    length: float
    pitch: int
    velocity: int
    channel: int


@dataclass(frozen=True, slots=True)
class Program:
    """Program change at `start` seconds of `channel` to General MIDI program 0 to 127 (on channel 9, a drum kit)."""

    start: float
    channel: int
    program: int


def midi(notes: Sequence[TimedMidiNote], programs: Sequence[Program] = ()) -> bytes:
    """A one-track MIDI file; at equal times note-offs come first and note-ons last."""
    events = [(p.start, 1, program_change(p.channel, p.program)) for p in programs]
    for note in notes:
        events.append((note.start, 2, note_on(note.channel, note.pitch, note.velocity)))
        events.append((note.start + note.length, 0, note_off(note.channel, note.pitch)))
    ordered = sorted(events, key=lambda e: (round(e[0] * TICKS), e[1]))
    return midi_bytes([(round(seconds * TICKS), data) for seconds, _, data in ordered], TICKS)


def why_not() -> str:
    """Reason why rendering is impossible here; "" if it is possible."""
    missing = fluidsynth.missing((*FITTING_FONTS.values(), *EVALUATION_FONTS.values()))
    if not missing:
        return ""
    return f"{missing[0]} is not installed"


def check_fonts() -> None:
    """Checks that loops can be rendered here. Raises `UsageError`: FluidSynth or a soundfont is missing."""
    if missing := why_not():
        packages = f"{needs.PACKAGES['fluidsynth']} opl3-soundfont csound-soundfont"
        raise UsageError(f"loops are rendered by FluidSynth: {missing}; sudo apt-get install {packages}")


def play(data: bytes, soundfont: str, rate: int, reverb: bool = True) -> NDArray[np.float32]:
    """FluidSynth's rendering of a MIDI file, float32 `[2, frames]`."""
    settings = FluidSettings(gain=0.5, reverb=reverb, chorus=reverb)
    return np.ascontiguousarray(fluidsynth.play(data, (FITTING_FONTS | EVALUATION_FONTS)[soundfont], rate, settings).T)
