"""Loudness of a General MIDI soundfont's programs, beside that of FluidR3, by which levels of a band are set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from antiphon.api.backends.analysis import LoudnessMeter
from antiphon_soundfont.library import DRUMS, SoundfontSynth

REFERENCE = "FluidR3_GM.sf2"
LOUDNESS = (
    -32.7, -33.2, -29.3, -32.7, -29.1, -32.5, -28.9, -30.4, -29.3, -28.7, -30.3, -34.5, -29.9, -39.6, -26.2, -36.2,
    -35.0, -28.0, -30.4, -29.0, -31.6, -32.3, -31.5, -31.5, -31.1, -30.3, -28.9, -30.1, -35.3, -28.1, -25.6, -25.5,
    -30.0, -30.4, -31.6, -30.1, -32.3, -32.5, -30.5, -25.2, -32.4, -34.0, -34.4, -35.0, -30.8, -28.1, -28.4, -40.8,
    -32.4, -31.7, -29.3, -29.3, -34.0, -28.7, -31.5, -29.1, -31.9, -27.3, -26.2, -31.5, -30.9, -32.6, -30.7, -31.3,
    -29.8, -27.8, -30.0, -30.3, -31.2, -34.5, -30.7, -27.4, -33.0, -30.4, -29.6, -32.2, -28.1, -26.3, -27.3, -28.3,
    -28.9, -33.0, -33.7, -33.6, -29.6, -28.0, -37.6, -31.3, -31.4, -43.6, -30.1, -28.6, -27.0, -32.9, -30.1, -31.1,
    -29.9, -33.0, -30.8, -26.6, -29.9, -46.2, -31.4, -28.2, -30.8, -31.9, -36.6, -32.6, -34.2, -30.0, -33.0, -30.5,
    -31.3, -36.3, -30.1, -39.2, -30.8, -31.6, -27.4, -48.9, -29.0, -28.8, -37.1, -27.7, -30.2, -54.7, -37.0, -26.6,
    -37.6,
)  # fmt: skip
"""LUFS of FluidR3's programs 0 to 127 and, last, of its drums, as `loudness` measures them."""
DRUM_KIT = 128
"""Number of the drums among the programs."""
MAX_GAIN = 12.0
"""Greatest gain of a program in dB, either way."""
_RATE, _HELD, _FRAMES = 22050, 4410, 11025
_BASSES = (*range(32, 40), 43)
_KIT, _LOW, _MIDDLE, _VELOCITY = (36, 38, 42, 46, 51), (31, 36, 43), (52, 60, 67, 76), 65
_SILENT = -60.0


def loudness(font: Path, gain: float) -> list[float]:
    """LUFS of programs 0 to 127, and of the drums: of short notes in a part's register."""
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
                synth.write(sound, n * _FRAMES, n * _FRAMES + _HELD)
                synth.call("noteoff", channel, key)
                synth.write(sound, n * _FRAMES + _HELD, (n + 1) * _FRAMES)
            synth.call("all_sounds_off", channel)
            found.append(LoudnessMeter.of(sound, _RATE))
    finally:
        synth.close()
    return found


def trims(font: Path, gain: float) -> list[float]:
    """Gains in dB, of programs 0 to 127 and of the drums, that make a soundfont as loud as FluidR3."""
    if font.name == REFERENCE:
        return [0.0] * len(LOUDNESS)
    pairs = zip(LOUDNESS, loudness(font, gain), strict=True)
    return [float(np.clip(ours - its, -MAX_GAIN, MAX_GAIN)) if its > _SILENT else 0.0 for ours, its in pairs]
