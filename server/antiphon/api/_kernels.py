"""Kernels for authors of processors that the server does not use: spectra, rests on the musical clock, hops."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.processor import IO, BlockTime
from antiphon.native.compiling import kernel
from antiphon.native.dsp import fill_sound, pass_part
from antiphon.native.intrinsics import channel, offset
from antiphon.native.kernel import Audio, Step, f32, f32p, f64, f64p, i64, i64p


@kernel
def fft_pass_2(x: f32p, y: f32p, length: i64, stride: i64, turns: f32p, step: i64, sign: f32) -> None:
    """Radix-2 pass over complex numbers: y ← x, `stride` interleaved transforms of `length` numbers."""
    half = length // 2
    for k in range(half):
        cos = turns[2 * k * step]
        sin = sign * turns[2 * k * step + 1]
        for q in range(stride):
            a = 2 * (q + stride * k)
            b = 2 * (q + stride * (k + half))
            c = 2 * (q + stride * 2 * k)
            d = c + 2 * stride
            re = x[a] - x[b]
            im = x[a + 1] - x[b + 1]
            y[c] = x[a] + x[b]
            y[c + 1] = x[a + 1] + x[b + 1]
            y[d] = re * cos - im * sin
            y[d + 1] = re * sin + im * cos


@kernel
def fft_pass_4(x: f32p, y: f32p, length: i64, stride: i64, turns: f32p, step: i64, sign: f32) -> None:
    """Radix-4 pass, like `fft_pass_2`. `turns`: twiddle factors, cosine and sine of multiples of the smallest angle.

    `sign`: -1 forward, 1 inverse; factor of the sine.
    """
    part = length // 4
    far = 2 * stride * part
    for k in range(part):
        cos_1 = turns[2 * k * step]
        sin_1 = sign * turns[2 * k * step + 1]
        cos_2 = turns[4 * k * step]
        sin_2 = sign * turns[4 * k * step + 1]
        cos_3 = turns[6 * k * step]
        sin_3 = sign * turns[6 * k * step + 1]
        for q in range(stride):
            a = 2 * (q + stride * k)
            b = a + far
            c = b + far
            d = c + far
            sum_re = x[a] + x[c]
            sum_im = x[a + 1] + x[c + 1]
            gap_re = x[a] - x[c]
            gap_im = x[a + 1] - x[c + 1]
            odd_re = x[b] + x[d]
            odd_im = x[b + 1] + x[d + 1]
            # the odd ones' difference, turned by a quarter
            turn_re = sign * (x[d + 1] - x[b + 1])
            turn_im = sign * (x[b] - x[d])
            e = 2 * (q + stride * 4 * k)
            y[e] = sum_re + odd_re
            y[e + 1] = sum_im + odd_im
            e = e + 2 * stride
            re = gap_re + turn_re
            im = gap_im + turn_im
            y[e] = re * cos_1 - im * sin_1
            y[e + 1] = re * sin_1 + im * cos_1
            e = e + 2 * stride
            re = sum_re - odd_re
            im = sum_im - odd_im
            y[e] = re * cos_2 - im * sin_2
            y[e + 1] = re * sin_2 + im * cos_2
            e = e + 2 * stride
            re = gap_re - turn_re
            im = gap_im - turn_im
            y[e] = re * cos_3 - im * sin_3
            y[e + 1] = re * sin_3 + im * cos_3


@kernel
def fft_complex(x: f32p, count: i64, turns: f32p, work: f32p, sign: f32) -> i64:
    """Complex FFT of `count` numbers; returns the offset of the result within `work`, which has two buffers."""
    from_ = x
    at = 0
    length = count
    stride = 1
    while length > 1:
        to = offset(work, at)
        # step in the table, which has the angles of twice the length
        step = 2 * stride
        if length == 2:
            fft_pass_2(from_, to, length, stride, turns, step, sign)
            length = 1
        else:
            fft_pass_4(from_, to, length, stride, turns, step, sign)
            length = length // 4
            stride = stride * 4
        from_ = to
        at = 2 * count - at
    return 2 * count - at


@kernel
def fft_real(x: f32p, size: i64, turns: f32p, work: f32p, bins: f32p) -> None:
    """Forward FFT of real sound, equal to `numpy.fft.rfft`.

    Args:
        x: `size` frames.
        size: A power of two, 4 at least.
        turns: `RealFft.turns`.
        work: `RealFft.work`.
        bins: Written: size / 2 + 1 complex numbers, real and imaginary parts in turn.
    """
    half = size // 2
    z = offset(work, fft_complex(x, half, turns, work, f32(-1.0)))
    bins[0] = z[0] + z[1]
    bins[1] = 0.0
    bins[size] = z[0] - z[1]
    bins[size + 1] = 0.0
    for k in range(1, half // 2 + 1):
        j = half - k
        even_re = f32(0.5) * (z[2 * k] + z[2 * j])
        even_im = f32(0.5) * (z[2 * k + 1] - z[2 * j + 1])
        odd_re = f32(0.5) * (z[2 * k + 1] + z[2 * j + 1])
        odd_im = f32(0.5) * (z[2 * j] - z[2 * k])
        cos = turns[2 * k]
        sin = turns[2 * k + 1]
        re = odd_re * cos + odd_im * sin
        im = odd_im * cos - odd_re * sin
        bins[2 * k] = even_re + re
        bins[2 * k + 1] = even_im + im
        bins[2 * j] = even_re - re
        bins[2 * j + 1] = im - even_im


@kernel
def fft_real_inverse(bins: f32p, size: i64, turns: f32p, work: f32p, x: f32p) -> None:
    """Inverse FFT to real sound, equal to `numpy.fft.irfft`; x needs space for size / 2 + 1 complex numbers.

    Arguments as for `fft_real`. The first and last of `bins` are taken as real; `x` may be `bins`.
    """
    half = size // 2
    scale = f32(1.0) / f32(half)
    first = bins[0]
    last = bins[size]
    x[0] = f32(0.5) * (first + last)
    x[1] = f32(0.5) * (first - last)
    for k in range(1, half // 2 + 1):
        j = half - k
        even_re = f32(0.5) * (bins[2 * k] + bins[2 * j])
        even_im = f32(0.5) * (bins[2 * k + 1] - bins[2 * j + 1])
        re = f32(0.5) * (bins[2 * k] - bins[2 * j])
        im = f32(0.5) * (bins[2 * k + 1] + bins[2 * j + 1])
        cos = turns[2 * k]
        sin = turns[2 * k + 1]
        odd_re = re * cos - im * sin
        odd_im = re * sin + im * cos
        x[2 * k] = even_re - odd_im
        x[2 * k + 1] = even_im + odd_re
        x[2 * j] = even_re + odd_im
        x[2 * j + 1] = odd_re - even_im
    z = offset(work, fft_complex(x, half, turns, work, f32(1.0)))
    for n in range(size):
        x[n] = z[n] * scale


class RealFft:
    """Table and buffers of the kernels `fft_real` and `fft_real_inverse` for one size.

    Attributes:
        size: Frames of a transform, a power of two.
        turns: float32 `[1.5 size]`: cosine and sine of 2 π k / size for each k below 3/4 of the size.
        work: float32 `[2 * size]`, scratch buffer.
    """

    def __init__(self, size: int) -> None:
        """Computes the table."""
        if size < 4 or size & (size - 1):
            raise ValueError(f"a transform has a power of two of frames, 4 at least, not {size}")
        self.size = size
        angle = 2.0 * np.pi * np.arange(3 * size // 4) / size
        self.turns: NDArray[np.float32] = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32).ravel()
        self.work: NDArray[np.float32] = np.zeros(2 * size, np.float32)


NEVER = 1 << 60
"""Frame number above any real one."""
_EARLY = 1e-6
"""Frames of tolerance for the rounding of a beat's frame."""


class _Word(IntEnum):
    DUE = 0  # the beat of the next thing to do
    EXPECTED = 1  # the beat at which the next block begins; NaN while the clock stands


@kernel
def beat_rests(words: f64p, jump: f64, beat: f64, step: f64, playing: i64, frames: i64) -> i64:
    """1 if the node is idle in this block: the clock runs or is stopped as expected and no event is due; else 0."""
    expected = words[_Word.EXPECTED]
    if playing == 0:
        return 1 if expected != expected else 0
    # a frame more, for the rounding of a beat's frame
    due = words[_Word.DUE] <= beat + step * f64(frames + 1)
    return 1 if abs(beat - expected) <= jump and not due else 0


@kernel
def follow_beat(words: f64p, beat: f64, step: f64, playing: i64, frames: i64) -> None:
    """Stores the beat at which the next block begins."""
    if playing != 0:
        words[_Word.EXPECTED] = beat + step * f64(frames)


class NextEventTimer:
    """A node's position on the musical clock, and the frame of its next event, until which machine code plays the node.

    `process` checks `moved` for clock jumps, and calls `until` at its end.

    Args:
        rate: Sample rate of the stream, Hz.
        jump: Beats between the clock and `expected` from which on the clock has jumped.
        ahead: The same for a jump forwards; None for `jump`.
    """

    def __init__(self, rate: int, jump: float, ahead: float | None = None) -> None:
        self._rate, self._jump, self._ahead = rate, jump, jump if ahead is None else ahead
        self._words = np.array([-math.inf, math.nan])

    @property
    def expected(self) -> float | None:
        """Beat at which the next block begins; None while the clock is stopped, and before the first block."""
        beat = float(self._words[_Word.EXPECTED])
        return None if math.isnan(beat) else beat

    def moved(self, beat: float) -> bool:
        """True if the clock jumped between two blocks."""
        expected = self.expected
        return expected is not None and not -self._jump <= beat - expected <= self._ahead

    def frame(self, beat: float, time: BlockTime) -> int:
        """First frame of a block at or after a beat.

        Returns the frame: 0 for a beat before the block, one beyond any block for an infinite beat.
        """
        per_frame = time.tempo / 60.0 / self._rate
        return NEVER if beat == math.inf else max(0, math.ceil((beat - time.beat) / per_frame - _EARLY))

    def forget(self) -> None:
        """Clears the clock position: the next block may begin at any beat."""
        self._words[_Word.EXPECTED] = math.nan

    def until(self, beat: float, io: IO) -> None:
        """Ends a block: stores the beats of the next event and of the next block."""
        time, words = io.time, self._words
        ends = time.beat + time.beats_per_frame(self._rate) * io.frames
        words[_Word.DUE], words[_Word.EXPECTED] = beat, ends if time.playing else math.nan

    def step(self, io: IO) -> Step:
        """Step of an idle block: silence, unless an event is due or the clock jumped."""
        time, jump = io.time, min(self._jump, self._ahead)
        now = time.beat, time.beats_per_frame(self._rate), time.playing, io.frames
        step = follow_beat.step(self._words, *now).provided(beat_rests.step(self._words, jump, *now))
        for sound in io.audio_out:
            step = step.then(fill_sound.step(sound, 0.0))
        return step


class _Place(IntEnum):
    FILLED = 0  # frames of the hop so far
    DUE = 1  # the frame of the hop before which nothing else is to be done; -1: a block is due


@kernel
def hop_waits(words: i64p, hop: i64, frames: i64) -> i64:
    """1 if a block does not end the hop, and nothing is due in it, else 0."""
    end = words[_Place.FILLED] + frames
    return 1 if end < hop and end <= words[_Place.DUE] else 0


@kernel
def hop_count(words: i64p, frames: i64) -> None:
    """Counts frames of the hop."""
    words[_Place.FILLED] += frames


class HopPlace:
    """Place in the hop that a processor fills and plays. Machine code plays the blocks within it.

    `hop`: its frames; `NEVER` for a mere count of frames. `words`: for kernels, the first is `frames`.
    """

    def __init__(self, hop: int = NEVER) -> None:
        self.hop = hop
        self.words = np.zeros(len(_Place), np.int64)
        self._swap = pass_part.caller()
        self.clear()

    @property
    def frames(self) -> int:
        """Frames of the hop so far."""
        return int(self.words[_Place.FILLED])

    def begin(self, frames: int = 0) -> None:
        """Begins the next hop, or sets its frames so far."""
        self.words[_Place.FILLED] = frames

    def clear(self) -> None:
        """Begins the first hop; its first block is for `process`."""
        self.words[:] = 0, -1

    def until(self, due: int = NEVER) -> None:
        """Ends a block. `due`: the frame, counted from the hop's first, before which `process` has nothing to do."""
        self.words[_Place.DUE] = due

    def swap(self, x: Samples, into: Samples, ready: Samples, y: Samples, done: int) -> int:
        """Passes frames of a block from `done` on, x → into and ready → y, up to the end of the hop or the block.

        `into`, `ready`: the hop that is filled, and the one that is played; `y` and `ready` may be without channels.
        Returns the frames of the block so far.
        """
        return self._swap(self.words, x, into, ready, y, done)

    def step(self, x: Samples, into: Samples, ready: Samples, y: Samples) -> Step:
        """Step of a block within the hop, with the arguments of `swap`."""
        inside = hop_waits.step(self.words, self.hop, x.shape[1])
        return pass_part.step(self.words, x, into, ready, y, 0).provided(inside)

    def count(self, frames: int) -> Step:
        """Step of a block within the hop whose frames are only counted."""
        return hop_count.step(self.words, frames).provided(hop_waits.step(self.words, self.hop, frames))


OVERLAP = 8
"""Number of overlapping windows. With 4, a partial between two bins has sidebands at -46 dB (the window's transform at
3.5 bins); with 8 they are at -79 dB."""
QUIET = 1e-20
"""Power below which a bin is no peak."""
PEAK_FACTOR = 1.00001
"""Minimum ratio of a peak's power to its neighbours', above the rounding noise of a flat spectrum."""
REST = 1e-15
"""Magnitude below which the sound is 0: 300 dB below full scale, and far above the slow denormal numbers."""


class SpectraBuffers(NamedTuple):
    """Kernel arguments of `PhaseSpectra`, which documents each."""

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
def vocoder_window(s: SpectraBuffers, end: i64, bins: Audio) -> None:
    """bins ← the spectrum of the windowed frames of `past` before `end`; the window's centre is at index 0 of frame."""
    size = s.frame.frames
    half = size // 2
    for c in range(s.frame.channels):
        for n in range(half):
            s.frame[c, n] = s.past[c, (end - half + n) & s.mask] * s.window[half + n]
            s.frame[c, half + n] = s.past[c, (end - size + n) & s.mask] * s.window[n]
        fft_real(channel(s.frame, c), size, s.turns, s.work, channel(bins, c))


@kernel
def vocoder_overlap(s: SpectraBuffers) -> None:
    """out ← the next `hop` frames of the overlap-added windows, including the spectrum's sound, in `frame`."""
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
def vocoder_peaks(s: SpectraBuffers) -> i64:
    """Finds the spectrum's peaks; returns their number. A peak's bins lie from its entry in `edges` to the next.

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
        if p > f32(QUIET) and p > around * f32(PEAK_FACTOR):
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
def vocoder_turn(s: SpectraBuffers, count: i64, rises: f32p, attack: i64) -> None:
    """target ← now, with phases that continue those of `target`; the input's at an attack for peaks with `rises`."""
    bins = s.now.frames // 2
    for i in range(count):
        peak = s.peaks[i]
        re = f64(0.0)
        im = f64(0.0)
        for c in range(s.now.channels):
            a = f64(s.before[c, 2 * peak])
            b = f64(s.before[c, 2 * peak + 1])
            x = f64(s.target[c, 2 * peak])
            y = f64(s.target[c, 2 * peak + 1])
            re = re + a * x + b * y
            im = im + a * y - b * x
        size = math.sqrt(re * re + im * im)
        if size < 1e-30 or (attack == 1 and rises[i] > 0.0):
            re = 1.0
            im = 0.0
            size = 1.0
        cos = re / size
        sin = im / size
        for c in range(s.now.channels):
            for k in range(s.edges[i], s.edges[i + 1]):
                a = f64(s.now[c, 2 * k])
                b = f64(s.now[c, 2 * k + 1])
                s.target[c, 2 * k] = f32(a * cos - b * sin)
                s.target[c, 2 * k + 1] = f32(a * sin + b * cos)
    if count == 0:
        for c in range(s.target.channels):
            for k in range(2 * bins):
                s.target[c, k] = 0.0


class PhaseSpectra:
    """Short-time Fourier analysis and synthesis of one stream.

    `size`: frames of a window. `hop`: frames between windows. `now`: the latest spectrum, `[channels, 2 bins]`,
    interleaved real and imaginary.
    """

    def __init__(self, channels: int, size: int, past: int) -> None:
        """Allocates for windows of `size` frames, a power of two, and `past` frames of sound, more than `size`."""
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
        """Silences all that sounded."""
        for state in (self.past, self.output, self.sums, self.now, self.before, self.target):
            state.fill(0.0)
