"""Per-voice filters and distortions: kernels, and their parameters of a note.

Order as in SuperDirt: vowel, shape, high-pass, band-pass, crush, coarse, low-pass. They are constant while a voice
sounds: each note has its own. Filters are trapezoidal state-variable ones (A. Simper, "Linear trapezoidal integrated
SVF", 2013).
"""

from __future__ import annotations

import math
from enum import IntEnum

from antiphon.api.kernels import f64, f64p, i64, kernel

LOWEST, HIGHEST = 20.0, 20000.0
"""Frequency range in Hz; a low-pass at the highest, and a high-pass or band-pass at the lowest, is off."""
MAX_Q = 30.0
"""Maximum Q of a resonance; SuperDirt's range reaches 1000, which is 60 dB."""
GRID = 16
"""Interval in frames of the denormal check of a voice's states."""
PI = math.pi
WIDTH_FACTOR = 2.0
"""Bandwidth of a vowel's formants, relative to the table."""
RISE, LATER, SOFT, MOST = 0.01, 8.0, 1e-10, 100.0
"""Constants of a vowel's make-up gain: time in seconds to follow the unfiltered level, and at the end the maximum gain;
the level after five narrow bands varies by 30 dB between sounds."""
FORMANTS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "a": ((650, 0, 80), (1080, -6, 90), (2650, -7, 120), (2900, -8, 130), (3250, -22, 140)),
    "e": ((400, 0, 70), (1700, -14, 80), (2600, -12, 100), (3200, -14, 120), (3580, -20, 120)),
    "i": ((290, 0, 40), (1870, -15, 90), (2800, -18, 100), (3250, -20, 120), (3540, -30, 120)),
    "o": ((400, 0, 40), (800, -10, 80), (2600, -12, 100), (2800, -12, 120), (3000, -26, 120)),
    "u": ((350, 0, 40), (600, -20, 60), (2700, -17, 100), (2900, -14, 120), (3300, -26, 120)),
}
"""Formants of a tenor's vowels: Hz, dB and bandwidth in Hz. Source: Csound's manual, Formant Values."""
VOWELS = ("off", *FORMANTS)
BANDS = 5
STEEPNESS = ("12db", "24db", "ladder")
"""Steepness of the low-pass; 24 dB an octave are two sections, the second without resonance."""
FLAT = 0.7071
"""Q of the second section."""


class On(IntEnum):
    """Flags of the active filters and distortions of a voice."""

    VOWEL = 1
    SHAPE = 2
    HIGH = 4
    BAND = 8
    CRUSH = 16
    COARSE = 32
    LOW = 64
    STEEP = 128


class FilterSection(IntEnum):
    """Indices of one filter's numbers: coefficients, gain, and two states a channel."""

    A1 = 0
    A2 = 1
    A3 = 2
    DAMP = 3
    GAIN = 4
    STATE = 5
    SIZE = 9


class Color(IntEnum):
    """Indices of a voice's numbers."""

    SHAPE = 0
    STEP = 1
    HOLD = 2
    HELD = 3
    LOW = 5
    HIGH = 14
    BAND = 23
    VOWEL = 32
    STEEP = 77
    POWER_IN = 86
    POWER_OUT = 87
    FOLLOW = 88
    POWER_BEFORE = 89
    SIZE = 90


def quality(resonance: float) -> float:
    """Converts a resonance of 0 to 1 to Q as SuperDirt does, 1 to 1000, but at most `MAX_Q`."""
    return min(MAX_Q, math.pow(1000.0, resonance))


@kernel
def sampler_set_coefficients(color: f64p, at: i64, hertz: f64, q: f64, gain: f64, rate: f64) -> None:
    """Sets the coefficients of a filter, keeping its states."""
    w = PI * min(hertz, 0.45 * rate) / rate
    g = math.sin(w) / math.cos(w)
    damp = 1.0 / q
    color[at + FilterSection.A1] = 1.0 / (1.0 + g * (g + damp))
    color[at + FilterSection.A2] = g * color[at + FilterSection.A1]
    color[at + FilterSection.A3] = g * color[at + FilterSection.A2]
    color[at + FilterSection.DAMP] = damp
    color[at + FilterSection.GAIN] = gain


@kernel
def sampler_initialise_filter(color: f64p, at: i64, hertz: f64, q: f64, gain: f64, rate: f64) -> None:
    """Initialises a filter: coefficients, and zero states."""
    sampler_set_coefficients(color, at, hertz, q, gain, rate)
    for n in range(4):
        color[at + FilterSection.STATE + n] = 0.0


@kernel
def sampler_filter(color: f64p, at: i64, channel: i64, x: f64, low: f64, band: f64, high: f64) -> f64:
    """Filters one frame; returns the weighted sum of the low-pass, band-pass and high-pass outputs."""
    state = at + FilterSection.STATE + 2 * channel
    one = color[state]
    two = color[state + 1]
    rest = x - two
    v1 = color[at + FilterSection.A1] * one + color[at + FilterSection.A2] * rest
    v2 = two + color[at + FilterSection.A2] * one + color[at + FilterSection.A3] * rest
    color[state] = 2.0 * v1 - one
    color[state + 1] = 2.0 * v2 - two
    return f64(low * v2 + band * v1 + high * (x - color[at + FilterSection.DAMP] * v1 - v2))


@kernel
def sampler_process_frame(color: f64p, c: i64, channel: i64, on: i64, age: i64, x: f64) -> f64:
    """Processes one frame `x` of a voice's channel, `age` frames after its start, with its active stages."""
    if (on & On.VOWEL) > 0:
        total = f64(0.0)
        for n in range(BANDS):
            at = c + Color.VOWEL + n * FilterSection.SIZE
            total = total + color[at + FilterSection.GAIN] * sampler_filter(color, at, channel, x, 0.0, 1.0, 0.0)
        # both channels of a voice by one gain
        follow = color[c + Color.FOLLOW]
        power_in = color[c + Color.POWER_IN]
        power_out = color[c + Color.POWER_OUT]
        # later than what comes of the formants, which ring up: no attack is made louder
        power_before = color[c + Color.POWER_BEFORE] + LATER * follow * (x * x - color[c + Color.POWER_BEFORE])
        power_in = power_in + follow * (power_before - power_in)
        color[c + Color.POWER_BEFORE] = power_before
        power_out = power_out + follow * (total * total - power_out)
        color[c + Color.POWER_IN] = power_in
        color[c + Color.POWER_OUT] = power_out
        x = total * min(MOST, math.sqrt((power_in + SOFT) / (power_out + SOFT)))
    if (on & On.SHAPE) > 0:
        x = (1.0 + color[c + Color.SHAPE]) * x / (1.0 + color[c + Color.SHAPE] * abs(x))
    if (on & On.HIGH) > 0:
        x = sampler_filter(color, c + Color.HIGH, channel, x, 0.0, 0.0, 1.0)
    if (on & On.BAND) > 0:
        x = sampler_filter(color, c + Color.BAND, channel, x, 0.0, 1.0, 0.0)
    if (on & On.CRUSH) > 0:
        x = math.floor(x / color[c + Color.STEP] + 0.5) * color[c + Color.STEP]
    if (on & On.COARSE) > 0:
        if age % i64(color[c + Color.HOLD]) == 0:
            color[c + Color.HELD + channel] = x
        x = color[c + Color.HELD + channel]
    if (on & On.LOW) > 0:
        x = sampler_filter(color, c + Color.LOW, channel, x, 1.0, 0.0, 0.0)
    if (on & On.STEEP) > 0:
        x = sampler_filter(color, c + Color.STEEP, channel, x, 1.0, 0.0, 0.0)
    if age % GRID == 0 and channel == 0:
        for n in range(Color.LOW, Color.SIZE):
            v = color[c + n]
            color[c + n] = 0.0 if abs(v) < 1e-25 else v
    return x
