"""Holds the sound of a moment for as long as one likes.

A phase vocoder that stands still: the magnitudes of one spectrum, and for each bin the frequency that the phases of two
spectra one hop apart tell (Flanagan and Golden, "Phase vocoder", Bell System Technical Journal 45, 1966; Laroche and
Dolson, "Improved phase vocoder time-scale modification of audio", IEEE Trans. Speech and Audio Processing 7, 1999).
The sound itself passes without latency, and what is held is added to it.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, i64, i64p, kernel
from antiphon_effects.shared import effects_finite, smooth_param

SECONDS = 0.085
"""Of a spectrum: 4,096 frames at 48 kHz."""
OVERLAP = 4
"""Frames of spectra that sound at once."""
FADE = 0.05
"""Seconds in which what is held fades in, and out."""
# places in `state`: the gain of what is held
_GAIN = 0


@kernel
def effects_freeze(
    x: Audio,
    y: Audio,
    first: i64,
    count: i64,
    held: Audio,
    at: i64,
    past: Audio,
    mask: i64,
    ages: i64p,
    to: f64,
    through: f32p,
    level: f32p,
    state: f64p,
    step: f64,
) -> None:
    """Frames of y ← x plus the held sound; x is written to `past`, a ring of `mask` + 1 frames. to: the gain's end."""
    age = ages[0] - first
    for n in range(first, first + count):
        g = state[_GAIN]
        g = min(to, g + step) if to > g else max(to, g - step)
        state[_GAIN] = g
        for c in range(y.channels):
            v = effects_finite(x[c, n])
            past[c, (age + n) & mask] = v
            y[c, n] = v * f64(through[n]) + f64(held[c, at + n - first]) * g * f64(level[n])
    ages[0] = ages[0] + count


class Freeze(Processor):
    """Sustains the spectrum of the moment at which `hold` was switched on, while it is on."""

    split = True
    on_files = FileUse(tail=True)
    params = (
        Param("hold", "switch", False, doc="Freezes the sound of this moment."),
        smooth_param("level", 1.0, 0.0, 2.0, "Level of the frozen sound."),
        smooth_param("through", 1.0, 0.0, 1.0, "Level of the dry input."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._run = effects_freeze.caller()
        self._size = size = 1 << round(math.log2(SECONDS * spec.rate))
        self._hop = size // OVERLAP
        self._mask = 2 * size - 1
        bins = size // 2 + 1
        channels = spec.channels
        self._past = np.zeros((channels, 2 * size), np.float32)
        self._window = np.hanning(size + 1)[:-1].astype(np.float32)
        # windows on both ways, which add up to 1.5 at an overlap of four
        self._scaled = (self._window / 1.5).astype(np.float32)
        self._frame = np.zeros((channels, size), np.float32)
        self._bins = np.zeros((channels, bins), np.complex64)
        self._before = np.zeros((channels, bins), np.complex64)
        self._loud = np.zeros((channels, bins), np.float32)
        self._phase = np.zeros((channels, bins), np.float64)
        self._turn = np.zeros((channels, bins), np.float64)
        self._wave = np.zeros((channels, bins), np.float64)
        self._sum = np.zeros((channels, size), np.float32)
        self._held = np.zeros((channels, self._hop), np.float32)
        self._nothing = np.zeros((channels, spec.block), np.float32)
        self._gain = np.zeros(1, np.float64)
        self._age = np.zeros(1, np.int64)
        self._step = 1.0 / (FADE * spec.rate)
        self.reset()

    def reset(self) -> None:
        for state in (self._past, self._sum, self._held, self._gain, self._loud, self._phase, self._turn):
            state.fill(0.0)
        self._age.fill(0)
        self._at = 0
        self._on = False

    def step(self, io: IO) -> Step | None:
        """While nothing is held, and what was held has faded out."""
        if io.at("hold", 0) or self._gain[_GAIN]:
            return None
        return effects_freeze.step(
            io.audio_in[0],
            io.audio_out[0],
            0,
            io.frames,
            self._nothing,
            0,
            self._past,
            self._mask,
            self._age,
            0.0,
            io.curve("through"),
            io.curve("level"),
            self._gain,
            self._step,
        )

    def process(self, io: IO) -> None:
        x, y = io.audio_in[0], io.audio_out[0]
        on = bool(io.value("hold"))
        if on and not self._on:
            self._capture()
        self._on = on
        through, level = io.curve("through"), io.curve("level")
        first = 0
        while first < io.frames:
            count = min(io.frames - first, self._hop - self._at)
            self._run(
                x,
                y,
                first,
                count,
                self._held,
                self._at,
                self._past,
                self._mask,
                self._age,
                1.0 if on else 0.0,
                through,
                level,
                self._gain,
                self._step,
            )
            first += count
            self._at += count
            if self._at == self._hop:
                self._at = 0
                self._next()

    def _spectrum(self, end: int) -> None:
        """_bins ← the spectrum of the frames before `end`."""
        begin = (end - self._size) & self._mask
        part = min(self._size, self._mask + 1 - begin)
        self._frame[:, :part] = self._past[:, begin : begin + part]
        self._frame[:, part:] = self._past[:, : self._size - part]
        np.multiply(self._frame, self._window, out=self._frame)
        np.fft.rfft(self._frame, axis=1, out=self._bins)  # type: ignore[arg-type]

    def _capture(self) -> None:
        """Takes the spectrum of now, and fills the overlapping windows from it."""
        self._spectrum(int(self._age[0]) - self._hop)
        self._before[:] = self._bins
        self._spectrum(int(self._age[0]))
        np.abs(self._bins, out=self._loud)
        np.arctan2(self._bins.imag, self._bins.real, out=self._phase)
        np.arctan2(self._before.imag, self._before.real, out=self._wave)
        np.subtract(self._phase, self._wave, out=self._turn)
        self._sum.fill(0.0)
        for _ in range(OVERLAP):
            self._next()
        self._at = 0

    def _next(self) -> None:
        """_held ← the next hop of the held sound."""
        hop = self._hop
        np.cos(self._phase, out=self._wave)
        np.multiply(self._wave, self._loud, out=self._bins.real, casting="same_kind")
        np.sin(self._phase, out=self._wave)
        np.multiply(self._wave, self._loud, out=self._bins.imag, casting="same_kind")
        np.add(self._phase, self._turn, out=self._phase)
        np.remainder(self._phase, 2.0 * math.pi, out=self._phase)
        np.fft.irfft(self._bins, self._size, axis=1, out=self._frame)  # type: ignore[arg-type]
        np.multiply(self._frame, self._scaled, out=self._frame)
        np.add(self._sum, self._frame, out=self._sum)
        self._held[:] = self._sum[:, :hop]
        self._sum[:, :-hop] = self._sum[:, hop:]
        self._sum[:, -hop:] = 0.0
