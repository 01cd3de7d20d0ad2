"""The mix: levels of a style's parts in dB, as MIDI volume, and the loudness of the voices that play them."""

from __future__ import annotations

VOLUME = 7
"""MIDI controller of a channel's volume; every synth here and General MIDI plays v as 40 log10(v) dB."""
MIX = {"piano": -4.0, "guitar": -4.0, "bass": -4.0, "drums": -4.0, "pad": -4.0}
"""dB of a part whose style gives none."""
TOUCH = {"piano": 0.72, "guitar": 0.76, "bass": 0.9, "drums": 1.15, "pad": 0.72}
"""Velocity of each part relative to the melody's."""
PROGRAMS = {
    0: -28.6, 2: -24.4, 4: -19.4, 7: -25.2, 16: -24.1, 17: -19.6, 18: -21.3, 19: -20.3, 24: -25.6, 25: -26.7,
    26: -25.4, 27: -25.2, 28: -30.2, 29: -18.4, 32: -29.8, 33: -28.2, 34: -28.4, 36: -31.9, 38: -28.0, 43: -27.8,
    48: -22.0, 49: -19.1, 50: -19.7, 51: -19.4, 52: -22.0, 61: -21.5, 89: -24.4,
}  # fmt: skip
"""LUFS of General MIDI programs by FluidR3 at velocity 0.5: chords, of basses single notes, in the middle of their
range."""
DRUMS = -35.7
"""The same of channel 10, of a beat of kick, snare and hat."""
_ALIKE = {"piano": 0, "guitar": 25, "bass": 33, "pad": 48}
_MIDI = {"piano": -28.0, "guitar": -28.0, "bass": -28.0, "drums": -35.7, "pad": -28.0}
"""LUFS at the same velocity of a part at 0 dB, in a MIDI file."""


def volume(mix: float, limit: float = 1.0) -> float:
    """The value of `VOLUME`, 0 to 1, of a level in dB."""
    return min(limit, float(10.0 ** (mix / 40.0)))


def midi_volume(mix: float, part: str, program: int) -> int:
    """The same of a part in a General MIDI file, 1 to 127, where programs are not as loud as one another."""
    loudness = DRUMS if part == "drums" else PROGRAMS.get(program, PROGRAMS[_ALIKE[part]])
    return max(1, round(127 * volume(mix + _MIDI[part] - loudness)))
