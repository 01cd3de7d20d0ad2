"""Per-voice envelopes and modulations, and writing of a note's values into its voice's numbers.

Each is a function of the voice's age, so that the result is independent of block boundaries.
"""

from __future__ import annotations

import math
from enum import IntEnum

from antiphon.api.kernels import f64, f64p, i64, kernel
from antiphon_sampler.coloring import (
    FLAT,
    FORMANTS,
    GRID,
    HIGHEST,
    LOWEST,
    RISE,
    WIDTH_FACTOR,
    Color,
    FilterSection,
    On,
    quality,
    sampler_initialise_filter,
    sampler_set_coefficients,
)
from antiphon_sampler.values import NoteValues

TURN = 2.0 * math.pi


class MotionFlag(IntEnum):
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
def sampler_linear_envelope(age: f64, attack: f64, decay: f64, level: f64) -> f64:
    """Envelope of lines: 0 to 1 over `attack`, and to `level` over `decay`, in frames."""
    if age < attack:
        return age / attack
    if age - attack < decay:
        return 1.0 - (1.0 - level) * (age - attack) / decay
    return level


@kernel
def sampler_level(motion: f64p, m: i64, age: i64) -> f64:
    """Level factor after the end of the attack."""
    late = f64(age) - motion[m + Motion.ATTACK]
    if late <= 0.0:
        return 1.0
    return sampler_linear_envelope(late, 0.0, motion[m + Motion.DECAY], motion[m + Motion.LEVEL])


@kernel
def sampler_sweep(motion: f64p, m: i64, color: f64p, c: i64, age: i64, ended: f64) -> None:
    """Tunes a voice's low-pass to its envelope, every `GRID` frames; `ended`: frames since the note's end."""
    if age % GRID == 0:
        share = sampler_linear_envelope(
            f64(age), motion[m + Motion.SWEEP_ATTACK], motion[m + Motion.SWEEP_DECAY], motion[m + Motion.SWEEP_LEVEL]
        )
        if motion[m + Motion.SWEEP_RELEASE] > 0.0:
            share = share * max(0.0, 1.0 - ended / motion[m + Motion.SWEEP_RELEASE])
        hertz = motion[m + Motion.HERTZ] * math.exp2(motion[m + Motion.OCTAVES] * share)
        hertz = min(max(hertz, LOWEST), HIGHEST)
        sampler_set_coefficients(color, c + Color.LOW, hertz, motion[m + Motion.QUALITY], 1.0, motion[m + Motion.RATE])
        sampler_set_coefficients(color, c + Color.STEEP, hertz, FLAT, 1.0, motion[m + Motion.RATE])


@kernel
def sampler_speed_factor(motion: f64p, m: i64, on: i64, age: i64) -> f64:
    """Speed factor of pitch envelope, vibrato and frequency modulation; the last may make it negative."""
    factor = f64(1.0)
    at = f64(age)
    if (on & MotionFlag.PITCH) > 0:
        share = sampler_linear_envelope(at, motion[m + Motion.PITCH_ATTACK], motion[m + Motion.PITCH_DECAY], 0.0)
        semitones = motion[m + Motion.SEMITONES] * share
        semitones = semitones + motion[m + Motion.DEPTH] * math.sin(motion[m + Motion.VIBRATO] * at)
        factor = math.exp2(semitones / 12.0)
    if (on & MotionFlag.FM) > 0:
        index = motion[m + Motion.INDEX] * sampler_linear_envelope(
            at, motion[m + Motion.FM_ATTACK], motion[m + Motion.FM_DECAY], motion[m + Motion.FM_LEVEL]
        )
        factor = factor * (1.0 + index * math.cos(motion[m + Motion.CARRIER] * at))
    return factor


def put_color(values: NoteValues, color: f64p, at: int, rate: float) -> int:
    """Writes a voice's filters and distortions from index `at` on; returns flags, see `On`. On the block path."""
    on = 0
    if values.lpf < HIGHEST:
        on |= On.LOW
        sampler_initialise_filter(color, at + Color.LOW, values.lpf, quality(values.resonance), 1.0, rate)
        if values.ftype != "12db":
            on |= On.STEEP
            sampler_initialise_filter(color, at + Color.STEEP, values.lpf, FLAT, 1.0, rate)
    if values.hpf > LOWEST:
        on |= On.HIGH
        sampler_initialise_filter(color, at + Color.HIGH, values.hpf, quality(values.hresonance), 1.0, rate)
    if values.bandf > LOWEST:
        on |= On.BAND
        sampler_initialise_filter(color, at + Color.BAND, values.bandf, values.bandq, 1.0, rate)
    if values.shape > 0.0:
        on |= On.SHAPE
        share = min(values.shape, 0.99)
        color[at + Color.SHAPE] = 2.0 * share / (1.0 - share)
    if values.crush > 0.0:
        on |= On.CRUSH
        color[at + Color.STEP] = 0.5 ** (values.crush - 1.0)
    if values.coarse >= 2.0:
        on |= On.COARSE
        color[at + Color.HOLD] = math.floor(values.coarse)
    if values.vowel != "off":
        on |= On.VOWEL
        color[at + Color.POWER_BEFORE] = color[at + Color.POWER_IN] = color[at + Color.POWER_OUT] = 0.0
        color[at + Color.FOLLOW] = 1.0 - math.exp(-1.0 / (RISE * rate))
        for n, (hertz, level, width) in enumerate(FORMANTS[values.vowel]):
            gain = 10.0 ** (level / 20.0) * WIDTH_FACTOR * width / hertz
            where = at + Color.VOWEL + n * FilterSection.SIZE
            sampler_initialise_filter(color, where, hertz, hertz / (WIDTH_FACTOR * width), gain, rate)
    return on


def put_motion(values: NoteValues, number: int, motion: f64p, at: int, rate: float) -> int:
    """Writes a voice's envelopes and modulations from index `at` on; returns their flags, see `MotionFlag`.

    `number`: the note's. For the block path.
    """
    on = 0
    if values.decay > 0.0:
        on |= MotionFlag.DECAY
        motion[at + Motion.ATTACK] = values.attack * rate
        motion[at + Motion.DECAY] = max(1.0, values.decay * rate)
        motion[at + Motion.LEVEL] = values.sustainlevel
    if values.lpenv != 0.0 and values.lpf < HIGHEST:
        on |= MotionFlag.SWEEP
        motion[at + Motion.HERTZ] = values.lpf
        motion[at + Motion.OCTAVES] = values.lpenv
        motion[at + Motion.SWEEP_ATTACK] = values.lpattack * rate
        motion[at + Motion.SWEEP_DECAY] = values.lpdecay * rate
        motion[at + Motion.SWEEP_LEVEL] = values.lpsustain
        motion[at + Motion.SWEEP_RELEASE] = values.lprelease * rate
        motion[at + Motion.QUALITY] = quality(values.resonance)
        motion[at + Motion.RATE] = rate
    if values.penv != 0.0 or (values.vib > 0.0 and values.vibmod > 0.0):
        on |= MotionFlag.PITCH
        motion[at + Motion.SEMITONES] = values.penv
        motion[at + Motion.PITCH_ATTACK] = values.pattack * rate
        motion[at + Motion.PITCH_DECAY] = values.pdecay * rate
        motion[at + Motion.VIBRATO] = TURN * values.vib / rate
        motion[at + Motion.DEPTH] = values.vibmod
    if values.fm > 0.0:
        on |= MotionFlag.FM
        motion[at + Motion.INDEX] = values.fm * values.fmh
        motion[at + Motion.CARRIER] = TURN * 440.0 * 2.0 ** ((number - 69) / 12.0) * values.fmh / rate
        motion[at + Motion.FM_ATTACK] = values.fmattack * rate
        motion[at + Motion.FM_DECAY] = values.fmdecay * rate
        motion[at + Motion.FM_LEVEL] = values.fmsustain if values.fmdecay > 0.0 else 1.0
    return on
