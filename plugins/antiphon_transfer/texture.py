"""`mode=texture`, files alone: a new sound of the length of IN, whose statistics are those of the reference.

The log spectrogram is changed, by Adam from noise, until the correlations of random filters over it are the reference's
(Ulyanov and Lebedev, Audio texture synthesis and style transfer, 2016), with filters of several lengths and two terms
of Antognini et al. (Synthesizing diverse, high-quality audio textures, 2018): the autocorrelation of what the filters
give, for rhythm, and the inverse of the distance to the reference, against copies. The phases are Griffin and Lim's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr

from antiphon.api import F32, F64, FileError, UsageError
from antiphon.api.files import AudioWriter, printable_path, read_sound, stream_sound
from antiphon.api.jobs import FileJob, Written, fade_out
from antiphon_transfer.reference import read
from antiphon_transfer.stream import C64, grid, hann

RATE, SIZE, HOP = 22050, 512, 256
LENGTHS, FILTERS = (2, 8, 24), 128
"""Frames of the filters, and how many there are of each length."""
STEPS, SPEED = 120, 0.08
RHYTHM, DIVERSE = 0.3, 0.02
"""Weights of the autocorrelation and of the distance to the reference."""
LAGS = (17, 172)
"""Frames over which what the filters give is correlated with itself: 0.2 to 2 s."""
ROUNDS = 60
SHORTEST, LONGEST = 1.0, 30.0
"""Seconds of IN."""
_UNUSED = ("instrument", "decoder", "amount", "stem")


class RandomFilters:
    """One layer of random filters over a log spectrogram `[bins, frames]`, and the statistics of the reference."""

    def __init__(self, reference: F32, length: int, frames: int, rng: np.random.Generator) -> None:
        self._length, bins = length, len(reference)
        self._weights: F32 = (rng.standard_normal((FILTERS, bins * length)) / np.sqrt(bins * length)).astype(np.float32)
        repeated = np.tile(reference, (1, -(-(frames + length) // reference.shape[1])))[:, :frames]
        self._given = self._filter(repeated)
        self._gram, self._rhythm = self._statistics(self._given)

    def _unfold(self, x: F32) -> F32:
        view = np.lib.stride_tricks.sliding_window_view(x, self._length, axis=1)
        return np.ascontiguousarray(view.transpose(0, 2, 1)).reshape(-1, view.shape[1])

    def _filter(self, x: F32) -> F32:
        return np.asarray(np.maximum(self._weights @ self._unfold(x), 0.0), np.float32)

    def _statistics(self, found: F32) -> tuple[F32, F32]:
        sums = found.sum(axis=0) - found.sum(axis=0).mean()
        rhythm = np.fft.irfft(np.abs(np.fft.rfft(sums, 2 * len(sums))) ** 2)[LAGS[0] : LAGS[1]] / len(sums)
        return found @ found.T / found.shape[1], rhythm.astype(np.float32)

    def gradient(self, x: F32) -> tuple[float, F32]:
        """Loss and its gradient for a log spectrogram."""
        found = self._filter(x)
        gram, rhythm = self._statistics(found)
        frames, scale = found.shape[1], 1.0 / float(np.square(self._gram).sum())
        off = gram - self._gram
        loss, down = scale * float(np.square(off).sum()), (4.0 * scale / frames) * (off @ found)
        # of the autocorrelation
        weight = RHYTHM / float(np.square(self._rhythm).sum() + 1e-9)
        apart = rhythm - self._rhythm
        loss += weight * float(np.square(apart).sum())
        kernel = np.zeros(2 * frames)
        kernel[LAGS[0] : LAGS[0] + len(apart)] = apart
        sums = found.sum(axis=0) - found.sum(axis=0).mean()
        both = 2.0 * np.fft.rfft(kernel).real
        change = np.fft.irfft(np.fft.rfft(sums, 2 * frames) * both)[:frames]
        down += (2.0 * weight / frames) * (change - change.mean())
        # of copies
        copy = found - self._given
        distance = float(np.square(copy).sum()) / float(np.square(self._given).sum()) + 1e-3
        loss += DIVERSE / distance
        down -= (2.0 * DIVERSE / distance**2 / float(np.square(self._given).sum())) * copy
        columns = (self._weights.T @ (down * (found > 0.0))).reshape(len(x), self._length, frames)
        back = np.zeros_like(x)
        for n in range(self._length):
            back[:, n : n + frames] += columns[:, n]
        return loss, back


def texture(reference: F32, samples: int, seed: int = 1, progress: Callable[[float], None] = lambda part: None) -> F32:
    """A sound `[samples]` at `RATE` like the reference `[n]` at `RATE`."""
    rng = np.random.default_rng(seed)
    goal = np.log1p(1000.0 * np.abs(_spectra(reference)).T / SIZE).astype(np.float32)
    frames = samples // HOP + 2
    nets = [RandomFilters(goal, length, frames, rng) for length in LENGTHS]
    x = (goal.mean(axis=1, keepdims=True) + 0.3 * goal.std() * rng.standard_normal((len(goal), frames))).astype(
        np.float32
    )
    first, second = np.zeros_like(x), np.zeros_like(x)
    for step in range(1, STEPS + 1):
        total = np.zeros_like(x)
        for net in nets:
            total += net.gradient(x)[1]
        first += 0.1 * (total - first)
        second += 0.01 * (total * total - second)
        x -= SPEED * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-12)
        np.maximum(x, 0.0, out=x)
        progress(0.9 * step / STEPS)
    made, wanted = np.expm1(x.T), np.expm1(goal.T)
    balance = np.sqrt(np.square(wanted).mean(axis=0) / (np.square(made).mean(axis=0) + 1e-9))
    return _sound(made * balance * (SIZE / 1000.0), rng)[:samples]


def _spectra(sound: F32) -> C64:
    window = hann(SIZE)
    padded = np.pad(sound, SIZE)
    views = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
    return np.asarray(np.fft.rfft(views * window, axis=1), np.complex64)


def _sound(magnitudes: F64, rng: np.random.Generator) -> F32:
    """Griffin and Lim: phases that agree with magnitudes `[frames, bins]`."""
    window = hann(SIZE)
    weights = np.zeros(len(magnitudes) * HOP + SIZE) + 1e-3
    for n in range(len(magnitudes)):
        weights[n * HOP : n * HOP + SIZE] += window**2
    phases = np.exp(2j * np.pi * rng.random(magnitudes.shape))
    out = np.zeros(len(weights))
    for _ in range(ROUNDS):
        frames = np.fft.irfft(magnitudes * phases, SIZE, axis=1) * window
        out = np.zeros(len(weights))
        for n, frame in enumerate(frames):
            out[n * HOP : n * HOP + SIZE] += frame
        out /= weights
        views = np.lib.stride_tricks.sliding_window_view(out, SIZE)[::HOP][: len(magnitudes)]
        spectra = np.fft.rfft(views * window, axis=1)
        phases = spectra / np.maximum(np.abs(spectra), 1e-9)
    return out.astype(np.float32)


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes a texture as long as IN and at its level, the same in all channels.

    Raises:
        UsageError: IN is too long, or a parameter was given that this mode has not.
        FileError: IN is too short, or a file cannot be read or written.
    """
    if other := next((name for name in _UNUSED if name in job.settings), ""):
        raise UsageError(f"transfer mode=texture has no {other}; leave it out")
    source = read_sound(job.source, rate=RATE)
    seconds = source.samples.shape[1] / RATE
    name = printable_path(job.source)
    if seconds > LONGEST:
        raise UsageError(f"{name} is longer than {LONGEST:g} s, and a texture takes some 10 s of work a second")
    if seconds < SHORTEST:
        raise FileError(f"{name} is too short; give at least {SHORTEST:g} s")
    reference = read(str(job.settings["reference"]), grid(RATE)).mean(axis=0)
    made = texture(reference[: round(LONGEST * RATE)], source.samples.shape[1], 1, job.progress)
    with stream_sound(job.source) as (info, _):
        rate, channels, subtype = info.rate, info.channels, info.subtype
    level = float(np.sqrt(np.mean(np.square(source.samples)))) / (float(np.sqrt(np.mean(np.square(made)))) + 1e-9)
    made *= min(level, 0.98 / max(float(np.abs(made).max()), 1e-9))
    # of so many samples at another rate may come one more or less than IN has
    frames = read_sound(job.source).samples.shape[1]
    whole = np.asarray(soxr.resample(made, RATE, rate), np.float32)[:frames]
    with AudioWriter(job.target, rate, channels, subtype, job.rate) as writer:
        for block in fade_out([np.tile(np.pad(whole, (0, frames - len(whole))), (channels, 1))], rate, job.fade):
            writer.write(block)
    return (Written.sound(writer, name),)
