"""Convolution with an impulse response, in partitions of two sizes.

Overlap-save in the frequency domain: the first part of the response in partitions of one block, which is the latency;
the rest in partitions of some 2,048 frames, whose products are spread over the blocks in which the next one is gathered
(Gardner, "Efficient convolution without input-output delay", JAES 43, 1995; García, "Optimal filter partition for
efficient convolution with short input/output delay", AES 113th Convention, 2002). So no block does much more than
another.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import IO, FileError, FileUse, Param, Processor, StreamSpec
from antiphon.api.files import printable_path, stream_sound
from antiphon.api.kernels import Audio, f32, f32p, f64, i64, kernel
from antiphon_effects.shared import LOUDEST, effects_finite, effects_gain

LONGEST = 20.0
"""Seconds of an impulse response."""
LARGE = 2048
"""Frames of a large partition, at least."""
F32 = NDArray[np.float32]


@kernel
def effects_products(
    total: f32p, spectra: f32p, response: f32p, first: i64, last: i64, newest: i64, count: i64, bins: i64
) -> None:
    """total ← total and the products of partitions `first` to `last`.

    total: `[2, bins]`, real and imaginary.  spectra: `[count, 2, bins]`, a ring whose newest is at `newest`.
    response: `[count, 2, bins]`.
    """
    for k in range(first, last):
        slot = newest - k
        slot = slot + count if slot < 0 else slot
        x = 2 * bins * slot
        h = 2 * bins * k
        for i in range(bins):
            total[i] = total[i] + spectra[x + i] * response[h + i] - spectra[x + bins + i] * response[h + bins + i]
        for i in range(bins):
            total[bins + i] = (
                total[bins + i] + spectra[x + i] * response[h + bins + i] + spectra[x + bins + i] * response[h + i]
            )


@kernel
def effects_clean(x: Audio, first: i64, count: i64, y: Audio, at: i64) -> None:
    """y from frame `at` on ← frames of x, NaN and infinity as silence."""
    for c in range(x.channels):
        for n in range(count):
            y[c, at + n] = effects_finite(x[c, first + n])


@kernel
def effects_level(x: Audio, at: i64, y: Audio, first: i64, count: i64, level: f32p) -> None:
    """Frames of y ← frames of x at that level (dB)."""
    last = f64(-1000.0)
    g = f32(1.0)
    for n in range(first, first + count):
        if f64(level[n]) != last:
            last = f64(level[n])
            g = f32(effects_gain(last)) if last != 0.0 else f32(1.0)
        for c in range(y.channels):
            v = x[c, at + n - first] * g
            y[c, n] = f32(0.0) if abs(v) < f32(1e-15) else v


class Partitions:
    """One size of partitions of one response: spectra of the last inputs, and their products with the response's."""

    def __init__(self, response: F32, size: int, channels: int) -> None:
        """response: `[channels, frames]`, at least one frame."""
        self.size, self.count = size, -(-response.shape[1] // size)
        self.bins = size + 1
        padded = np.zeros((channels, self.count * size), np.float32)
        padded[:, : response.shape[1]] = response
        self._response = np.zeros((channels, self.count, 2, self.bins), np.float32)
        for c in range(channels):
            for k in range(self.count):
                spectrum = np.fft.rfft(padded[c, k * size : (k + 1) * size], 2 * size)
                self._response[c, k] = spectrum.real, spectrum.imag
        self._spectra = np.zeros_like(self._response)
        self._total = np.zeros((channels, 2, self.bins), np.float32)
        self._window = np.zeros((channels, 2 * size), np.float32)
        self._bins = np.zeros((channels, self.bins), np.complex64)
        self._sound = np.zeros((channels, 2 * size), np.float32)
        self.newest = 0
        self.done = 0

    def clear(self) -> None:
        for state in (self._spectra, self._total, self._window):
            state.fill(0.0)
        self.newest = self.done = 0

    def take(self, x: F32) -> None:
        """Takes the next input, `[channels, size]`."""
        size = self.size
        self._window[:, :size] = self._window[:, size:]
        self._window[:, size:] = x
        np.fft.rfft(self._window, axis=1, out=self._bins)  # type: ignore[arg-type]
        self.newest = self.newest + 1 if self.newest + 1 < self.count else 0
        self._spectra[:, self.newest, 0] = self._bins.real
        self._spectra[:, self.newest, 1] = self._bins.imag
        self._total.fill(0.0)
        self.done = 0

    def advance(self, to: int) -> None:
        """Computes the products up to partition `to`."""
        to = min(to, self.count)
        for total, spectra, response in zip(self._total, self._spectra, self._response, strict=True):
            effects_products(total, spectra, response, self.done, to, self.newest, self.count, self.bins)
        self.done = to

    def give(self, out: F32) -> None:
        """out `[channels, size]` ← the sound of the products."""
        self.advance(self.count)
        self._bins.real = self._total[:, 0]
        self._bins.imag = self._total[:, 1]
        np.fft.irfft(self._bins, 2 * self.size, axis=1, out=self._sound)  # type: ignore[arg-type]
        out[:] = self._sound[:, self.size :]


class Convolution(Processor):
    """Convolution reverb: filters the sound by the impulse response of a room, cabinet or filter.

    Without a file the sound passes, a block later. Each channel is convolved with the same channel of the file, or with
    its only one.
    """

    on_files = FileUse(needs=("impulse",), tail=True)
    params = (
        Param("impulse", "file", "", doc="The impulse response, at most 20 s; without one the sound passes."),
        Param("normalise", "switch", True, restart=True, doc="Normalises the impulse response: noise keeps its level."),
        Param("level", default=0.0, low=-60.0, high=24.0, unit="dB", smooth=0.05, doc="Output gain."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        """Reads the response.

        Raises:
            FileError: It cannot be read, is empty, silent, or longer than 20 s.
        """
        self._finish = effects_level.caller()
        self._clean = effects_clean.caller()
        self.latency = self._size = spec.block
        self._in = np.zeros((spec.channels, spec.block), np.float32)
        self._out = np.zeros((spec.channels, spec.block), np.float32)
        self._at = 0
        path = str(self.settings["impulse"])
        self._head: Partitions | None = None
        self._rest: Partitions | None = None
        if not path:
            return
        response = read_impulse(path, spec, normalise=bool(self.settings["normalise"]))
        large = spec.block * -(-LARGE // spec.block)
        self._turns = large // spec.block
        self._head = Partitions(response[:, : 2 * large], spec.block, spec.channels)
        if response.shape[1] > 2 * large:
            self._rest = Partitions(response[:, 2 * large :], large, spec.channels)
            self._gathered = np.zeros((spec.channels, large), np.float32)
            self._late = np.zeros((spec.channels, large), np.float32)
        self._turn = 0

    def reset(self) -> None:
        self._in.fill(0.0)
        self._out.fill(0.0)
        self._at = self._turn = 0
        if self._head is not None:
            self._head.clear()
        if self._rest is not None:
            self._rest.clear()
            self._gathered.fill(0.0)
            self._late.fill(0.0)

    def process(self, io: IO) -> None:
        x, y, level = io.audio_in[0], io.audio_out[0], io.curve("level")
        first = 0
        while first < io.frames:
            count = min(io.frames - first, self._size - self._at)
            self._clean(x, first, count, self._in, self._at)
            self._finish(self._out, self._at, y, first, count, level)
            first += count
            self._at += count
            if self._at == self._size:
                self._at = 0
                self._block()

    def _block(self) -> None:
        """Computes one block of `_out` from one of `_in`."""
        head, rest = self._head, self._rest
        if head is None:
            self._out[:] = self._in
            return
        head.take(self._in)
        head.give(self._out)
        if rest is None:
            return
        place = slice(self._turn * self._size, (self._turn + 1) * self._size)
        np.add(self._out, self._late[:, place], out=self._out)
        self._gathered[:, place] = self._in
        self._turn += 1
        rest.advance(rest.count * self._turn // self._turns)
        if self._turn == self._turns:
            self._turn = 0
            rest.give(self._late)
            rest.take(self._gathered)


def read_impulse(path: str, spec: StreamSpec, *, normalise: bool) -> F32:
    """The response `[channels, frames]` at the stream's rate and channels.

    Raises:
        FileError: It cannot be read, is empty, silent, or too long.
    """
    name = printable_path(Path(path).name)
    parts: list[F32] = []
    frames, most = 0, round(LONGEST * spec.rate)
    # block by block, so that an hour is refused after the first 20 s
    with stream_sound(path, rate=spec.rate) as (info, blocks):
        for block in blocks:
            parts.append(block.copy())
            frames += block.shape[1]
            if frames > most:
                length = f"{info.frames / info.rate:.3g} s" if info.frames is not None else "too"
                raise FileError(
                    f"the impulse {name} is {length} long; {LONGEST:g} s are allowed: cut it, or fade it out sooner"
                )
    sound = np.concatenate(parts, axis=1) if parts else np.zeros((1, 0), np.float32)
    if not sound.any():
        raise FileError(f"the impulse {name} is silent; give the recorded answer to a click or a sweep")
    sound = np.clip(sound, -LOUDEST, LOUDEST)
    samples = np.stack([sound[c % len(sound)] for c in range(spec.channels)])
    if normalise:
        energy = float(np.sqrt(np.square(sound, dtype=np.float64).sum(axis=1).mean()))
        samples /= energy
    return samples.astype(np.float32)
