"""Per-voice envelopes and modulations: decay, sweep of the low-pass, pitch envelope, vibrato, frequency modulation.

Each is a function of the voice's age, so that the result is independent of block boundaries.
"""

from __future__ import annotations

import math
from enum import IntEnum

from antiphon.api.kernels import f64, f64p, i64, kernel
from antiphon_sampler.coloring import FLAT, GRID, HIGHEST, LOWEST, Color, sampler_tune

TURN = 2.0 * math.pi


class Moves(IntEnum):
    """Flags of a voice's active envelopes and modulations."""

    DECAY = 1
    SWEEP = 2
    PITCH = 4
    FM = 8


class Motion(IntEnum):
    """Indices of a voice's numbers; times in frames, angles in radians a frame."""

    ATTACK = 0
    DECAY = 1
    LEVEL = 2
    HERTZ = 3
    OCTAVES = 4
    SWEEP_ATTACK = 5
    SWEEP_DECAY = 6
    SWEEP_LEVEL = 7
    QUALITY = 8
    SEMITONES = 9
    PITCH_ATTACK = 10
    PITCH_DECAY = 11
    VIBRATO = 12
    DEPTH = 13
    INDEX = 14
    CARRIER = 15
    FM_DECAY = 16
    RATE = 17
    SWEEP_RELEASE = 18
    FM_ATTACK = 19
    FM_LEVEL = 20
    SIZE = 21


@kernel
def sampler_rise(age: f64, attack: f64, decay: f64, level: f64) -> f64:
    """Envelope of lines: 0 to 1 over `attack`, and to `level` over `decay`, in frames."""
    if age < attack:
        return age / attack
    if age - attack < decay:
        return 1.0 - (1.0 - level) * (age - attack) / decay
    return level


@kernel
def sampler_level(motion: f64p, m: i64, age: i64) -> f64:
    """Factor of the level from the end of the attack on."""
    late = f64(age) - motion[m + Motion.ATTACK]
    if late <= 0.0:
        return 1.0
    return sampler_rise(late, 0.0, motion[m + Motion.DECAY], motion[m + Motion.LEVEL])


@kernel
def sampler_sweep(motion: f64p, m: i64, color: f64p, c: i64, age: i64, ended: f64) -> None:
    """Tunes a voice's low-pass to its envelope, every `GRID` frames; `ended`: frames since the note's end."""
    if age % GRID == 0:
        share = sampler_rise(
            f64(age), motion[m + Motion.SWEEP_ATTACK], motion[m + Motion.SWEEP_DECAY], motion[m + Motion.SWEEP_LEVEL]
        )
        if motion[m + Motion.SWEEP_RELEASE] > 0.0:
            share = share * max(0.0, 1.0 - ended / motion[m + Motion.SWEEP_RELEASE])
        hertz = motion[m + Motion.HERTZ] * math.exp2(motion[m + Motion.OCTAVES] * share)
        hertz = min(max(hertz, LOWEST), HIGHEST)
        sampler_tune(color, c + Color.LOW, hertz, motion[m + Motion.QUALITY], 1.0, motion[m + Motion.RATE])
        sampler_tune(color, c + Color.STEEP, hertz, FLAT, 1.0, motion[m + Motion.RATE])


@kernel
def sampler_pace(motion: f64p, m: i64, on: i64, age: i64) -> f64:
    """Factor of the speed: pitch envelope and vibrato, and frequency modulation, with which it may be below 0."""
    factor = f64(1.0)
    at = f64(age)
    if (on & Moves.PITCH) > 0:
        share = sampler_rise(at, motion[m + Motion.PITCH_ATTACK], motion[m + Motion.PITCH_DECAY], 0.0)
        semitones = motion[m + Motion.SEMITONES] * share
        semitones = semitones + motion[m + Motion.DEPTH] * math.sin(motion[m + Motion.VIBRATO] * at)
        factor = math.exp2(semitones / 12.0)
    if (on & Moves.FM) > 0:
        index = motion[m + Motion.INDEX] * sampler_rise(
            at, motion[m + Motion.FM_ATTACK], motion[m + Motion.FM_DECAY], motion[m + Motion.FM_LEVEL]
        )
        factor = factor * (1.0 + index * math.cos(motion[m + Motion.CARRIER] * at))
    return factor
