"""`denoise`: takes noise away from any sound, a hop at a time."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from antiphon.block import StreamSpec
from antiphon.params import Param
from antiphon.processor import IO, Processor
from antiphon_denoise.estimate import Estimator, denoise_power
from antiphon_denoise.phrase import PhraseGate
from antiphon_denoise.profile import Recent
from antiphon_denoise.spectrum import F32, History, Spectra, grid
from antiphon_denoise.wavelet import Shrinker


class Denoise(Processor):
    """Spectral gate and wavelet shrinkage, both told by one estimate of where the noise is.

    All work falls on a grid of hops counted from the last `reset`, and a hop reads its parameters at
    its own last sample: any split into blocks gives the same samples. One gain serves all channels, so
    the stereo image stays. With `amount` 0 the output is the input, `latency` frames later.
    """

    params: ClassVar[tuple[Param, ...]] = (
        Param("mode", "choice", "gate", choices=("gate", "wavelet"), doc="Spectral gate, or wavelet shrinkage."),
        Param(
            "threshold", default=0.0, low=-80.0, high=0.0, unit="dB",
            doc="What is louder than noise of this level, against full scale, is never taken for noise.",
        ),
        Param("amount", default=1.0, low=0.0, high=1.0, doc="How much of the noise is taken away."),
        Param("learn", "trigger", False, doc="The noise is what sounds now: the half second before the trigger."),
        Param("full", "switch", False, doc="Silence between phrases."),
    )  # fmt: skip

    def prepare(self, spec: StreamSpec) -> None:
        """Makes every buffer for `spec.channels` channels. Latency: 26.7 ms, at 44.1 kHz 29 ms."""
        self._grid = grid(spec.rate)
        self.latency = self._grid.lag
        hop = self._grid.hop
        self._channels = spec.channels
        self._history = History(self._grid, spec.channels)
        self._spectra = Spectra(self._grid, spec.channels)
        self._estimator = Estimator(self._grid.bins)
        self._recent = Recent(self._grid, spec.rate)
        self._phrase = PhraseGate()
        self._shrinker = Shrinker(self._grid, spec.channels)
        self._gain: F32 = np.ones(self._grid.bins, np.float32)
        self._made: F32 = np.zeros((spec.channels, self._grid.lag), np.float32)
        self._tail: F32 = np.zeros((spec.channels, hop), np.float32)
        self._ready: F32 = np.zeros((spec.channels, hop), np.float32)
        self._measure = denoise_power.bind(
            self._spectra.bins, spec.channels, self._grid.bins, self._spectra.unit, self._estimator.power
        )
        self.reset()

    def reset(self) -> None:
        """Forgets the sound, the estimate and the learned noise."""
        self._history.clear()
        self._estimator.reset()
        self._recent.clear()
        self._phrase.reset()
        self._tail.fill(0.0)
        self._ready.fill(0.0)
        self._filled = 0
        self._hops = 0
        self._learn_at = -1

    def process(self, io: IO) -> None:
        heard, said = io.audio_in[0], io.audio_out[0]
        hop = self._grid.hop
        fired = io.fired("learn")
        done = 0
        while done < io.frames:
            count = min(io.frames - done, hop - self._filled)
            end = self._filled + count
            self._history.fresh()[:, self._filled : end] = heard[:, done : done + count]
            said[:, done : done + count] = self._ready[:, self._filled : end]
            for at in fired:
                if done <= at < done + count:
                    self._learn_at = self._hops * hop + self._filled + at - done
            done += count
            self._filled = end
            if end == hop:
                self._hop(io, done - 1)
                self._history.turn()
                self._filled = 0

    def _hop(self, io: IO, last: int) -> None:
        """A hop is full; `last` is the frame of its last sample in this block."""
        estimator, lag = self._estimator, self._grid.lag
        self._spectra.forward(self._history.frame(self._grid.size))
        self._measure()
        self._hops += 1
        self._recent.add(estimator.power)
        if self._learn_at >= 0:
            if self._recent.take(self._learn_at):
                estimator.learn(self._recent.mean)
            self._learn_at = -1
        threshold = float(io.at("threshold", last))
        ceiling = threshold * (math.log(10.0) / 10.0) if threshold < 0.0 else 1e9
        estimator.update(ceiling)
        amount = float(io.at("amount", last))
        careful = amount * estimator.care
        phrase = self._phrase.update(estimator)
        if not io.at("full", last):
            phrase = 1.0
        if io.at("mode", last) == "gate":
            np.subtract(1.0, estimator.gain, out=self._gain)
            np.multiply(self._gain, -careful, out=self._gain)
            np.add(self._gain, 1.0, out=self._gain)
            self._spectra.inverse(self._gain, self._made)
        else:
            frame = self._history.frame(lag)
            self._shrinker.run(frame, estimator.power, estimator.gain, careful, self._made)
        if phrase < 1.0:
            np.multiply(self._made, 1.0 - amount * (1.0 - phrase), out=self._made)
        hop = self._grid.hop
        np.add(self._tail, self._made[:, :hop], out=self._ready)
        self._tail[:] = self._made[:, hop:]
