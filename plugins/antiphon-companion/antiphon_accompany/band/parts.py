"""Notes of the parts in musical time, and the mix: levels in dB, as MIDI volume, by part and General MIDI program."""

from typing import NamedTuple


class BeatNote(NamedTuple):
    """A note in musical time."""

    start: float  # beats (quarter notes) from the beginning
    end: float  # beats from the beginning
    pitch: int  # MIDI number
    velocity: float = 0.7  # above 0 to 1
    part: str = ""  # of the band, or ""


# ---- Mix levels of a style's parts in dB, as MIDI volume, and loudness offsets of General MIDI's programs.
#
# A style's levels are measured: at 0 dB by patch and program its parts sound with drums at -24 LUFS, bass at -25, piano
# at -26, guitar at -27 and pad at -27.5, under a melody at -22 to -24.

CHANNELS = {"piano": 1, "guitar": 2, "bass": 3, "drums": 10, "pad": 4}
"""MIDI channel of each part."""
PART_OF = {channel: part for part, channel in CHANNELS.items()}
VOLUME, FULL = 7, 127
"""MIDI controller of channel volume, and its maximum. Every synth here and General MIDI plays v at 40 log10(v) dB."""
MIX = {"piano": -1.5, "guitar": -3.0, "bass": -2.5, "drums": -2.0, "pad": -2.0}
"""Default level of a part in dB."""
TOUCH = {"piano": 0.72, "guitar": 0.76, "bass": 0.9, "drums": 1.15, "pad": 0.72}
"""Velocity of each part relative to the melody's."""
PROGRAMS = {
    0: -1.6, 2: -5.2, 7: -4.9, 16: -0.4, 17: -6.2, 18: -7.3, 19: -6.2, 24: -5.6, 25: -4.9, 26: -2.9, 27: -2.8,
    28: 1.8, 29: -8.5, 32: -1.9, 33: -3.7, 34: -3.4, 36: -1.2, 38: -3.2, 43: -0.8, 48: -5.2, 49: -8.4, 50: -8.3,
    52: -4.8, 61: -4.6, 90: -5.3,
}  # fmt: skip
"""Loudness offsets in dB of General MIDI programs in a file, measured with FluidR3 in the parts of styles."""
DRUMS, OTHERS = -1.9, -4.0
"""Loudness offsets in dB of channel 10, and of a program that no style has."""


def volume(mix: float) -> float:
    """The value of `VOLUME`, 0 to 1, of a level in dB."""
    return min(1.0, float(10.0 ** (mix / 40.0)))


def midi_volume(mix: float, part: str, program: int) -> int:
    """MIDI volume, 1 to 127, of a part's level in a General MIDI file."""
    trim = DRUMS if part == "drums" else PROGRAMS.get(program, OTHERS)
    return max(1, round(FULL * volume(mix + trim)))
