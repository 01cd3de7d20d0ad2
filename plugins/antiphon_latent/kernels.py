"""The kernel that plays a voice: partials by Clenshaw's recurrence, noise from loops of bands."""

from __future__ import annotations

import math
from enum import IntEnum

from antiphon.api.kernels import Audio, f32p, f64, f64p, i64, kernel
from antiphon_latent.partials import BANDS, PARTIALS, ROW

LOOP = 65536
"""Samples of the loops of noise."""


class LatentVoice(IntEnum):
    """Numbers of a voice."""

    PHASE = 0  # turns of the fundamental
    PACE = 1  # turns in a sample
    PACE_STEP = 2  # change of it in a sample
    GAIN = 3  # of its beginning and end, 0 to 1
    GAIN_STEP = 4  # change of it in a sample
    NOISE = 5  # sample of the loops


NUMBERS = 6


@kernel
def latent_voice(
    out: f32p, count: i64, real: f64p, now: f64p, step: f64p, turned: f64p, noise: f32p, partials: i64
) -> None:
    """Adds `count` samples of a voice, mono, with the numbers `real` of `LatentVoice`.

    now, step: amplitudes `[ROW]`, of partials and then of bands of noise, and their change in a sample. turned:
    cosines, then sines `[2 * PARTIALS]` of the phases in which partials begin. noise: loops `[BANDS, LOOP]` of power 1.
    """
    phase = real[LatentVoice.PHASE]
    pace = real[LatentVoice.PACE]
    gain = real[LatentVoice.GAIN]
    place = i64(real[LatentVoice.NOISE])
    for n in range(count):
        angle = 6.283185307179586 * phase
        cosine = math.cos(angle)
        sine = math.sin(angle)
        twice = 2.0 * cosine
        a1 = 0.0
        a2 = 0.0
        b1 = 0.0
        b2 = 0.0
        k = partials - 1
        while k >= 0:
            level = now[k] + f64(n) * step[k]
            a = level * turned[k] - a2 + twice * a1
            b = level * turned[PARTIALS + k] - b2 + twice * b1
            a2 = a1
            a1 = a
            b2 = b1
            b1 = b
            k = k - 1
        # sum of level * sin(k * angle + phase of k)
        total = a1 * sine + b1 * cosine - b2
        for band in range(BANDS):
            m = PARTIALS + band
            total = total + (now[m] + f64(n) * step[m]) * f64(noise[band * LOOP + place])
        out[n] = f64(out[n]) + gain * total
        gain = min(1.0, max(0.0, gain + real[LatentVoice.GAIN_STEP]))
        phase = phase + pace
        if phase >= 1.0:
            phase = phase - 1.0
        pace = pace + real[LatentVoice.PACE_STEP]
        place = (place + 1) % LOOP
    for k in range(ROW):
        now[k] = now[k] + f64(count) * step[k]
    real[LatentVoice.PHASE] = phase
    real[LatentVoice.PACE] = pace
    real[LatentVoice.GAIN] = gain
    real[LatentVoice.NOISE] = f64(place)


@kernel
def latent_out(made: f32p, gain: f32p, out: Audio) -> None:
    """out ← made times gain, dB, all channels alike, bent from -3 dBFS on: it never reaches full scale."""
    for n in range(out.frames):
        x = f64(made[n]) * math.exp(0.11512925464970229 * f64(gain[n]))
        size = abs(x)
        if size > 0.7:
            bent = 1.0 - 0.3 * math.exp((0.7 - size) / 0.3)
            x = bent if x > 0.0 else -bent
        for c in range(out.channels):
            out[c, n] = x
