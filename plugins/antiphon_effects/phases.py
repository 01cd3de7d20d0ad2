"""Phase vocoder: spectra of overlapping windows, spectral peaks, and resynthesis.

Peaks of the spectrum are found, and the bins around a peak keep their phases relative to it: identity phase locking
(Laroche and Dolson, "Improved phase vocoder time-scale modification of audio", IEEE Trans. Speech and Audio Processing
7, 1999). Phases refer to a window's centre. All channels share peaks and rotations: the stereo image stays.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api.kernels import Audio, RealFft, channel, f32, f32p, f64, fft_real, fft_real_inverse, i64, i64p, kernel
from antiphon_effects.shared import PI, REST

OVERLAP = 8
"""Number of overlapping windows. With 4, a partial between two bins has sidebands at -46 dB (the window's transform at
3.5 bins); with 8 they are at -79 dB."""
QUIET = 1e-20
"""Power below which a bin is no peak."""
ABOVE = 1.00001
"""Factor over its neighbours' power that makes a bin a peak: above the rounding noise of a flat spectrum."""
TAU = 2.0 * math.pi


@kernel
def effects_angle(y: f64, x: f64) -> f64:
    """atan2(y, x), -π to π, within 2e-8.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 4.4.49.
    """
    a = abs(x)
    b = abs(y)
    top = max(a, b)
    if top == 0.0:
        return 0.0
    t = min(a, b) / top
    s = t * t
    p = ((0.0028662257 * s - 0.0161657367) * s + 0.0429096138) * s - 0.0752896400
    p = (((p * s + 0.1065626393) * s - 0.1420889944) * s + 0.1999355085) * s - 0.3333314528
    v = t + t * s * p
    v = 0.5 * PI - v if b > a else v
    v = PI - v if x < 0.0 else v
    return -v if y < 0.0 else v


class SpectraBuffers(NamedTuple):
    """What kernels are given of `PhaseSpectra`, which says what each is."""

    past: Audio
    mask: i64
    hop: i64
    output: Audio
    window: f32p
    scaled: f32p
    frame: Audio
    sums: Audio
    now: Audio
    before: Audio
    target: Audio
    power: f32p
    edges: i64p
    peaks: i64p
    turns: f32p
    work: f32p


@kernel
def effects_window(s: SpectraBuffers, end: i64, bins: Audio) -> None:
    """bins ← the spectrum of the windowed frames of `past` before `end`, their centre at the first place of frame."""
    size = s.frame.frames
    half = size // 2
    for c in range(s.frame.channels):
        for n in range(half):
            s.frame[c, n] = s.past[c, (end - half + n) & s.mask] * s.window[half + n]
            s.frame[c, half + n] = s.past[c, (end - size + n) & s.mask] * s.window[n]
        fft_real(channel(s.frame, c), size, s.turns, s.work, channel(bins, c))


@kernel
def effects_overlap(s: SpectraBuffers) -> None:
    """out ← the next `hop` frames of the overlapping windows, to which the spectrum's sound, in `frame`, is added."""
    size = s.frame.frames
    half = size // 2
    for c in range(s.frame.channels):
        fft_real_inverse(channel(s.target, c), size, s.turns, s.work, channel(s.frame, c))
        for n in range(half):
            s.sums[c, n] = s.sums[c, n] + s.frame[c, half + n] * s.scaled[n]
            s.sums[c, half + n] = s.sums[c, half + n] + s.frame[c, n] * s.scaled[half + n]
        for n in range(s.hop):
            v = s.sums[c, n]
            s.output[c, n] = f32(0.0) if abs(v) < f32(REST) else v
        for n in range(size - s.hop):
            s.sums[c, n] = s.sums[c, n + s.hop]
        for n in range(size - s.hop, size):
            s.sums[c, n] = 0.0


@kernel
def effects_peaks(s: SpectraBuffers) -> i64:
    """Finds the spectrum's peaks; returns how many. The bins of each lie from its place in `edges` to the next.

    now: `[channels, 2 bins]`, interleaved real and imaginary.  power: of each bin, over all channels.
    """
    bins = s.now.frames // 2
    for k in range(bins):
        s.power[k] = 0.0
    for c in range(s.now.channels):
        for k in range(bins):
            s.power[k] = s.power[k] + s.now[c, 2 * k] * s.now[c, 2 * k] + s.now[c, 2 * k + 1] * s.now[c, 2 * k + 1]
    count = 0
    strongest = 2
    for k in range(2, bins - 2):
        p = s.power[k]
        around = max(max(s.power[k - 1], s.power[k - 2]), max(s.power[k + 1], s.power[k + 2]))
        strongest = k if p > s.power[strongest] else strongest
        if p > f32(QUIET) and p > around * f32(ABOVE):
            s.peaks[count] = k
            # the border lies where the sound between two peaks is weakest
            if count > 0:
                low = s.peaks[count - 1]
                for j in range(s.peaks[count - 1], k):
                    if s.power[j] < s.power[low]:
                        low = j
                s.edges[count] = low
            count = count + 1
    # the spectrum of a click is flat: it is one peak, whose phases stay as they are to each other
    if count == 0 and s.power[strongest] > f32(QUIET):
        s.peaks[0] = strongest
        count = 1
    s.edges[0] = 0
    s.edges[count] = bins
    return count


@kernel
def effects_advance(now: Audio, before: Audio, bin: i64) -> f64:
    """Phase advance of a bin from one spectrum to the other, -π to π, over all channels."""
    re = f64(0.0)
    im = f64(0.0)
    for c in range(now.channels):
        a = f64(before[c, 2 * bin])
        b = f64(before[c, 2 * bin + 1])
        x = f64(now[c, 2 * bin])
        y = f64(now[c, 2 * bin + 1])
        re = re + a * x + b * y
        im = im + a * y - b * x
    return effects_angle(im, re)


class PhaseSpectra:
    """Short-time Fourier analysis and synthesis of one stream.

    `size`: frames of a window. `hop`: frames from one to the next. `now`: the spectrum taken last, `[channels, 2
    bins]`, real and imaginary in turn.
    """

    def __init__(self, channels: int, size: int, past: int) -> None:
        """Allocates the buffers.

        `size`: frames of a window, a power of two. `past`: frames of sound that are kept, at least; more than `size`.
        """
        self.size, self.hop = size, size // OVERLAP
        self.mask = (1 << math.ceil(math.log2(past))) - 1
        self.past = np.zeros((channels, self.mask + 1), np.float32)  # the sound so far, a ring of `mask` + 1 frames
        self.output = np.zeros((channels, self.hop), np.float32)  # the sound that has become ready, `[channels, hop]`
        window = np.hanning(size + 1)[:-1]
        self.window = window.astype(np.float32)
        # a window on both ways; their squares add up to 3/8 of the overlap
        self.scaled = (window / (0.375 * OVERLAP)).astype(np.float32)
        self.frame = np.zeros((channels, size), np.float32)  # a windowed frame, `[channels, size]`
        self.sums = np.zeros((channels, size), np.float32)  # the overlapping windows so far, `[channels, size]`
        self.fft = RealFft(size)
        bins = size // 2 + 1
        self.now, self.before, self.target = (np.zeros((channels, 2 * bins), np.float32) for _ in range(3))
        self.power = np.zeros(bins, np.float32)
        self.edges, self.peaks = np.zeros(bins + 1, np.int64), np.zeros(bins, np.int64)
        self.record = SpectraBuffers(
            self.past, self.mask, self.hop, self.output, self.window, self.scaled, self.frame, self.sums, self.now,
            self.before, self.target, self.power, self.edges, self.peaks, self.fft.turns, self.fft.work,
        )  # fmt: skip

    def clear(self) -> None:
        for state in (self.past, self.output, self.sums, self.now, self.before, self.target):
            state.fill(0.0)


def window_size(seconds: float, rate: int) -> int:
    """Window size in frames for about `seconds`: a power of two."""
    return 1 << max(6, round(math.log2(seconds * rate)))
