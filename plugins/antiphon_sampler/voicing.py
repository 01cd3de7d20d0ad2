"""A note's values written into the numbers of its voice, for the kernels of `coloring` and `motion`."""

from __future__ import annotations

import math

from antiphon.api.kernels import f64p
from antiphon_sampler.coloring import (
    FLAT,
    FORMANTS,
    HIGHEST,
    LIFT,
    LOWEST,
    WIDER,
    Color,
    FilterSection,
    On,
    quality,
    sampler_section,
)
from antiphon_sampler.motion import TURN, Motion, Moves
from antiphon_sampler.values import NoteValues


def put_color(values: NoteValues, color: f64p, at: int, rate: float) -> int:
    """Writes a voice's filters and distortions from index `at` on; returns flags, see `On`. On the block path."""
    on = 0
    if values.lpf < HIGHEST:
        on |= On.LOW
        sampler_section(color, at + Color.LOW, values.lpf, quality(values.resonance), 1.0, rate)
        if values.ftype != "12db":
            on |= On.STEEP
            sampler_section(color, at + Color.STEEP, values.lpf, FLAT, 1.0, rate)
    if values.hpf > LOWEST:
        on |= On.HIGH
        sampler_section(color, at + Color.HIGH, values.hpf, quality(values.hresonance), 1.0, rate)
    if values.bandf > LOWEST:
        on |= On.BAND
        sampler_section(color, at + Color.BAND, values.bandf, values.bandq, 1.0, rate)
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
        for n, (hertz, level, width) in enumerate(FORMANTS[values.vowel]):
            gain = LIFT * 10.0 ** (level / 20.0) * WIDER * width / hertz
            where = at + Color.VOWEL + n * FilterSection.SIZE
            sampler_section(color, where, hertz, hertz / (WIDER * width), gain, rate)
    return on


def put_motion(values: NoteValues, number: int, motion: f64p, at: int, rate: float) -> int:
    """Writes a voice's envelopes and modulations from index `at` on; returns their flags, see `Moves`.

    `number`: the note's. For the block path.
    """
    on = 0
    if values.decay > 0.0:
        on |= Moves.DECAY
        motion[at + Motion.ATTACK] = values.attack * rate
        motion[at + Motion.DECAY] = max(1.0, values.decay * rate)
        motion[at + Motion.LEVEL] = values.sustainlevel
    if values.lpenv != 0.0 and values.lpf < HIGHEST:
        on |= Moves.SWEEP
        motion[at + Motion.HERTZ] = values.lpf
        motion[at + Motion.OCTAVES] = values.lpenv
        motion[at + Motion.SWEEP_ATTACK] = values.lpattack * rate
        motion[at + Motion.SWEEP_DECAY] = values.lpdecay * rate
        motion[at + Motion.SWEEP_LEVEL] = values.lpsustain
        motion[at + Motion.SWEEP_RELEASE] = values.lprelease * rate
        motion[at + Motion.QUALITY] = quality(values.resonance)
        motion[at + Motion.RATE] = rate
    if values.penv != 0.0 or (values.vib > 0.0 and values.vibmod > 0.0):
        on |= Moves.PITCH
        motion[at + Motion.SEMITONES] = values.penv
        motion[at + Motion.PITCH_ATTACK] = values.pattack * rate
        motion[at + Motion.PITCH_DECAY] = values.pdecay * rate
        motion[at + Motion.VIBRATO] = TURN * values.vib / rate
        motion[at + Motion.DEPTH] = values.vibmod
    if values.fm > 0.0:
        on |= Moves.FM
        motion[at + Motion.INDEX] = values.fm * values.fmh
        motion[at + Motion.CARRIER] = TURN * 440.0 * 2.0 ** ((number - 69) / 12.0) * values.fmh / rate
        motion[at + Motion.FM_ATTACK] = values.fmattack * rate
        motion[at + Motion.FM_DECAY] = values.fmdecay * rate
        motion[at + Motion.FM_LEVEL] = values.fmsustain if values.fmdecay > 0.0 else 1.0
    return on
