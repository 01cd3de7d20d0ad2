"""Spectral freeze: sustains the sound of a moment.

It is a phase vocoder that stands still: the magnitudes of one spectrum, and for each bin the frequency given by the
phase difference of two spectra one hop apart (Flanagan and Golden, "Phase vocoder", Bell System Technical Journal 45,
1966; Laroche and Dolson, "Improved phase vocoder time-scale modification of audio", IEEE Trans. Speech and Audio
Processing 7, 1999). The input passes without latency, and the frozen sound is added to it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, RealFft, channel, f32p, f64, f64p, fft_real, fft_real_inverse, i64, i64p, kernel
from antiphon_effects.shared import effects_finite, smooth_param

SECONDS = 0.085
"""Window length in seconds: 4,096 frames at 48 kHz."""
OVERLAP = 4
"""Number of overlapping windows."""
FADE = 0.05
"""Fade time of the frozen sound in seconds, in and out."""
# places in `place`: frames of the hop that were given, frames of the input, whether sound is held
_AT, _AGE, _ON = 0, 1, 2


@kernel
def effects_spectrum(
    past: Audio, mask: i64, end: i64, window: f32p, frame: Audio, turns: f32p, work: f32p, bins: Audio
) -> None:
    """bins ← the spectrum of the windowed frames of `past` before `end`."""
    for c in range(frame.channels):
        for n in range(frame.frames):
            frame[c, n] = past[c, (end - frame.frames + n) & mask] * window[n]
        fft_real(channel(frame, c), frame.frames, turns, work, channel(bins, c))


@kernel
def effects_capture_spectrum(now: Audio, before: Audio, wave: f64p, turn: f64p) -> None:
    """wave ← spectrum of now; turn ← each bin's unit phasor of phase advance since the spectrum a hop before."""
    for c in range(now.channels):
        for k in range(now.frames // 2):
            at = c * now.frames + 2 * k
            a = f64(now[c, 2 * k])
            b = f64(now[c, 2 * k + 1])
            x = f64(before[c, 2 * k])
            y = f64(before[c, 2 * k + 1])
            wave[at] = a
            wave[at + 1] = b
            re = a * x + b * y
            im = b * x - a * y
            size = math.sqrt(re * re + im * im)
            turn[at] = re / size if size > 0.0 else 1.0
            turn[at + 1] = im / size if size > 0.0 else 0.0


class FreezeState(NamedTuple):
    """The frozen spectrum, with analysis and synthesis buffers."""

    gain: f64p
    place: i64p
    past: Audio
    mask: i64
    hop: i64
    window: f32p
    scaled: f32p
    frame: Audio
    now: Audio
    before: Audio
    wave: f64p
    turn: f64p
    sums: Audio
    turns: f32p
    work: f32p


@kernel
def effects_add_frozen_window(s: FreezeState) -> None:
    """Adds the next window of the held sound to `sums`, completing its first hop; advances its phases by a hop."""
    size = s.frame.frames
    for c in range(s.frame.channels):
        for k in range(s.now.frames // 2):
            at = c * s.now.frames + 2 * k
            re = s.wave[at]
            im = s.wave[at + 1]
            s.now[c, 2 * k] = re
            s.now[c, 2 * k + 1] = im
            s.wave[at] = re * s.turn[at] - im * s.turn[at + 1]
            s.wave[at + 1] = re * s.turn[at + 1] + im * s.turn[at]
        fft_real_inverse(channel(s.now, c), size, s.turns, s.work, channel(s.frame, c))
        for n in range(size - s.hop):
            s.sums[c, n] = s.sums[c, n + s.hop] + s.frame[c, n] * s.scaled[n]
        for n in range(size - s.hop, size):
            s.sums[c, n] = s.frame[c, n] * s.scaled[n]


@kernel
def effects_freeze(
    x: Audio, y: Audio, frames: i64, hold: i64, through: f32p, level: f32p, s: FreezeState, step: f64
) -> None:
    """y ← x plus the held sound, whose gain goes to `hold` by `step` a frame; x is written to `past`."""
    if hold == 1 and s.place[_ON] == 0:
        effects_spectrum(s.past, s.mask, s.place[_AGE] - s.hop, s.window, s.frame, s.turns, s.work, s.before)
        effects_spectrum(s.past, s.mask, s.place[_AGE], s.window, s.frame, s.turns, s.work, s.now)
        effects_capture_spectrum(s.now, s.before, s.wave, s.turn)
        for c in range(s.sums.channels):
            for n in range(s.sums.frames):
                s.sums[c, n] = 0.0
        # the overlapping windows are filled at once
        for _turn in range(OVERLAP):
            effects_add_frozen_window(s)
        s.place[_AT] = 0
    s.place[_ON] = hold
    to = f64(hold)
    g = s.gain[0]
    for n in range(frames):
        g = min(to, g + step) if to > g else max(to, g - step)
        for c in range(y.channels):
            v = effects_finite(x[c, n])
            s.past[c, (s.place[_AGE] + n) & s.mask] = v
            y[c, n] = v * f64(through[n]) + f64(s.sums[c, s.place[_AT]]) * g * f64(level[n])
        if g > 0.0:
            s.place[_AT] = s.place[_AT] + 1
            if s.place[_AT] == s.hop:
                s.place[_AT] = 0
                effects_add_frozen_window(s)
    s.gain[0] = g
    s.place[_AGE] = s.place[_AGE] + frames


class Freeze(Processor):
    """While `hold` is on, sustains the spectrum of the moment it was switched on."""

    split = True
    on_files = FileUse(tail=True)
    params = (
        Param("hold", "switch", False, doc="Freezes the sound of this moment."),
        smooth_param("level", 1.0, 0.0, 2.0, "Level of the frozen sound."),
        smooth_param("through", 1.0, 0.0, 1.0, "Level of the dry input."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        size = 1 << round(math.log2(SECONDS * spec.rate))
        fft = RealFft(size)
        channels, words = spec.channels, size + 2
        window = np.hanning(size + 1)[:-1].astype(np.float32)
        self._state = FreezeState(
            gain=np.zeros(1, np.float64),
            place=np.zeros(3, np.int64),
            past=np.zeros((channels, 2 * size), np.float32),
            mask=2 * size - 1,
            hop=size // OVERLAP,
            window=window,
            # windows on both ways, which add up to 1.5 at an overlap of four
            scaled=(window / 1.5).astype(np.float32),
            frame=np.zeros((channels, size), np.float32),
            now=np.zeros((channels, words), np.float32),
            before=np.zeros((channels, words), np.float32),
            wave=np.zeros((channels, words), np.float64),
            turn=np.zeros((channels, words), np.float64),
            sums=np.zeros((channels, size), np.float32),
            turns=fft.turns,
            work=fft.work,
        )
        self._step = 1.0 / (FADE * spec.rate)

    def reset(self) -> None:
        s = self._state
        for state in (s.past, s.sums, s.wave, s.turn, s.gain, s.place):
            state.fill(0)

    def step(self, io: IO) -> Step:
        hold, through, level = int(io.at("hold", 0)), io.curve("through"), io.curve("level")
        return effects_freeze.step(
            io.audio_in[0], io.audio_out[0], io.frames, hold, through, level, self._state, self._step
        )
