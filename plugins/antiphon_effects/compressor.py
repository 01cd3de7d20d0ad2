"""Dynamic range compressor.

Feed-forward, in the log domain, with a soft knee and the smooth decoupled peak detector, after Giannoulis, Massberg and
Reiss, "Digital Dynamic Range Compressor Design" (JAES 60, 2012): level in dB, then the static curve, then attack and
release of the gain reduction. So the times do not depend on the level, and a sound below the knee passes bit for bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from antiphon.api import AUDIO_IN, IO, FileUse, Param, Port, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, kernel
from antiphon_effects.shared import (
    NEPER,
    effects_detect,
    effects_exp,
    effects_fall,
    effects_finite,
    effects_log,
    smooth_param,
    time_constant,
)

SIDE = Port("side")
# places in `state`: the reduction after release and after attack, in dB
_HELD, _CUT, _SIZE = 0, 1, 2
_FAINT = 1e-6


class CompressorCurves(NamedTuple):
    """The parameters, a place a frame."""

    detector: f32p
    threshold: f32p
    ratio: f32p
    knee: f32p
    attack: f32p
    release: f32p
    makeup: f32p


@kernel
def effects_compressor(
    x: Audio, side: Audio, y: Audio, p: CompressorCurves, state: f64p, gains: f64p, rate: f64
) -> None:
    """y ← x, compressed while the detector signal is above the threshold (dB). gains: scratch, one per frame."""
    # only the middle one of these loops needs the frame before; the others run in vectors
    effects_detect(x, side, p.detector, gains)
    for n in range(y.frames):
        over = f64(f32(effects_log(f64(f32(max(gains[n], 1e-6)))))) * (1.0 / NEPER) - f64(p.threshold[n])
        slope = 1.0 - 1.0 / f64(p.ratio[n])
        width = f64(p.knee[n])
        bent = slope * (over + 0.5 * width) * (over + 0.5 * width) / (2.0 * width)
        bent = bent if 2.0 * over > -width and width > 0.0 else 0.0
        gains[n] = slope * over if 2.0 * over > width else bent
    attack_at = f64(0.0)
    release_at = f64(0.0)
    rise = f64(0.0)
    fall = f64(0.0)
    held = state[_HELD]
    now = state[_CUT]
    for n in range(y.frames):
        cut = gains[n]
        if f64(p.attack[n]) != attack_at:
            attack_at = f64(p.attack[n])
            rise = effects_fall(attack_at, rate)
        if f64(p.release[n]) != release_at:
            release_at = f64(p.release[n])
            fall = effects_fall(release_at, rate)
        held = cut + (held - cut) * fall
        held = cut if cut > held else held
        held = 0.0 if held < _FAINT else held
        now = held + (now - held) * rise
        now = 0.0 if now < _FAINT else now
        gains[n] = f64(p.makeup[n]) - now
    state[_HELD] = held
    state[_CUT] = now
    for n in range(y.frames):
        gains[n] = f64(f32(effects_exp(f64(f32(gains[n] * NEPER)))))
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = effects_finite(x[c, n]) * gains[n]


class Compressor(Processor):
    """Compresses the dynamic range: above `threshold`, `ratio` dB of input become one dB of output.

    The same gain for all channels. With `detector` side the level is that of the input `side`: ducking.
    """

    on_files = FileUse(changes=("level",))
    inputs = (AUDIO_IN, SIDE)
    params = (
        Param(
            "detector",
            "choice",
            "input",
            choices=("input", "side"),
            doc="Which signal sets the gain: the input or the side chain.",
        ),
        smooth_param("threshold", -20.0, -80.0, 0.0, "Peak level above which the gain is reduced.", "dB"),
        Param(
            "ratio",
            default=4.0,
            low=1.0,
            high=100.0,
            warp="log",
            smooth=0.02,
            doc="Compression ratio: 1 does nothing, 100 limits.",
        ),
        smooth_param("knee", 6.0, 0.0, 36.0, "Width of the knee; 0 is a hard knee.", "dB"),
        time_constant("attack", 0.005, 0.00005, 0.5, "Time constant of a rising reduction."),
        time_constant("release", 0.1, 0.005, 5.0, "Time constant of a falling reduction."),
        smooth_param("makeup", 0.0, -24.0, 36.0, "Gain after the compressor.", "dB"),
        Param("reduction", default=0.0, low=0.0, high=120.0, unit="dB", readonly=True, doc="Gain reduction now."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._state = np.zeros(_SIZE, np.float64)
        self._gains = np.zeros(spec.block, np.float64)

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, side = io.audio_in
        return effects_compressor.step(
            x,
            side,
            io.audio_out[0],
            CompressorCurves._make(map(io.curve, CompressorCurves._fields)),
            self._state,
            self._gains,
            self._rate,
        ).reporting(reduction=(self._state, _CUT))
