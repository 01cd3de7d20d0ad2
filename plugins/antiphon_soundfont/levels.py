"""Loudness of a General MIDI soundfont's programs, beside that of FluidR3, by which levels of a band are set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from antiphon.api.backends.analysis import LoudnessMeter
from antiphon_soundfont.library import DRUMS, SoundfontSynth

REFERENCE = "FluidR3_GM.sf2"
LOUDNESS = (
    -26.5, -26.9, -23.5, -27.4, -22.5, -26.7, -24.5, -25.6, -25.2, -24.1, -24.8, -28.3, -26.2, -35.4, -22.7, -30.5,
    -27.3, -21.6, -23.0, -23.6, -24.3, -26.3, -24.9, -25.4, -24.3, -24.7, -23.7, -23.8, -30.9, -20.4, -17.6, -17.9,
    -25.0, -23.2, -24.3, -23.9, -26.5, -27.5, -26.0, -19.0, -23.6, -24.1, -24.4, -33.0, -23.5, -24.2, -24.2, -36.0,
    -24.3, -21.8, -23.6, -23.2, -25.9, -23.1, -24.2, -24.8, -25.3, -19.9, -18.9, -23.8, -22.1, -23.8, -24.5, -24.9,
    -22.2, -21.2, -22.2, -22.8, -21.8, -26.2, -22.9, -19.2, -23.7, -23.0, -22.4, -22.8, -20.6, -19.3, -18.6, -21.2,
    -21.9, -25.0, -26.8, -26.7, -23.4, -21.4, -30.3, -25.0, -27.3, -28.8, -24.7, -23.4, -21.6, -21.3, -25.0, -24.3,
    -25.0, -27.4, -28.4, -21.7, -24.9, -29.8, -25.8, -23.4, -25.5, -29.0, -31.9, -28.5, -32.4, -22.5, -23.6, -23.9,
    -28.1, -32.6, -26.4, -35.6, -27.1, -27.8, -23.0, -34.4, -25.1, -24.6, -26.7, -20.2, -21.1, -41.9, -24.9, -22.7,
    -34.0,
)  # fmt: skip
"""LUFS of FluidR3's programs 0 to 127 and, last, of its drums, as `loudness` measures them."""
DRUM_KIT = 128
"""Number of the drums among the programs."""
MAX_GAIN = 12.0
"""Greatest gain of a program in dB, either way."""
_RATE, _FRAMES = 22050, 11025
_BASSES = range(32, 40)
_KIT, _LOW, _MIDDLE, _VELOCITY = (36, 38, 42, 46, 51), (31, 36, 43), (52, 62, 72), 80
_SILENT = -60.0


def loudness(font: Path, gain: float) -> list[float]:
    """LUFS of programs 0 to 127, and of the drums: of notes of half a second in a part's register."""
    synth = SoundfontSynth(_RATE, font, gain)
    found = []
    try:
        for name in ("set_reverb_on", "set_chorus_on"):
            synth.call(name, 0)
        for program in range(DRUM_KIT + 1):
            channel = DRUMS if program == DRUM_KIT else 0
            keys = _KIT if program == DRUM_KIT else _LOW if program in _BASSES else _MIDDLE
            if program < DRUM_KIT:
                synth.call("program_change", channel, program)
            sound = np.zeros((2, len(keys) * _FRAMES), np.float32)
            for n, key in enumerate(keys):
                synth.call("noteon", channel, key, _VELOCITY)
                synth.write(sound, n * _FRAMES, (n + 1) * _FRAMES)
                synth.call("noteoff", channel, key)
            synth.call("all_sounds_off", channel)
            meter = LoudnessMeter(_RATE, 2)
            meter.feed(sound)
            found.append(meter.integrated())
    finally:
        synth.close()
    return found


def trims(font: Path, gain: float) -> list[float]:
    """Gains in dB, of programs 0 to 127 and of the drums, that make a soundfont as loud as FluidR3."""
    if font.name == REFERENCE:
        return [0.0] * len(LOUDNESS)
    pairs = zip(LOUDNESS, loudness(font, gain), strict=True)
    return [float(np.clip(ours - its, -MAX_GAIN, MAX_GAIN)) if its > _SILENT else 0.0 for ours, its in pairs]
